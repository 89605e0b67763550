"""Owns what an identity provider's error means, and for whom: the person, the operator, or nobody (R-13).

Pure. The OAuth `error` decides first (RFC 6749 §5.2), AADSTS codes and sub-errors only refine: Microsoft calls
the codes diagnostics, not contracts ("Microsoft Entra authentication and authorization error codes"). Unknown
codes fall to the rule of their `error`.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.model import ProviderRefusal


class Who(StrEnum):
    PERSON = "person"
    OPERATOR = "operator"
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Who can act, and the stable `reason` that names the text for them.

    `prompt` and `claims` go into the person's next sign-in. `grant` is True when it is this very grant that was
    refused: only then may a session turn to `reauth_required`. `restart` says that a sign-in under way can
    simply begin again (an authorization code was spent twice, for example by the back button). `wait_s` is how
    long to leave the provider alone at least, where the code says more than "later".
    """

    who: Who
    reason: str
    prompt: str | None = None
    claims: str | None = None
    grant: bool = False
    restart: bool = False
    wait_s: float | None = None


_PERSON: dict[int, tuple[str, str | None]] = {
    50173: ("grant_revoked", None),
    700082: ("grant_expired", None),
    70008: ("grant_expired", None),
    700084: ("grant_expired", None),
    70043: ("sign_in_frequency", None),
    70000: ("grant_expired", None),
    50089: ("grant_expired", None),
    50132: ("password_changed", None),
    50133: ("password_changed", None),
    50055: ("password_expired", None),
    50144: ("password_expired", None),
    50078: ("mfa_required", None),
    50076: ("mfa_required", None),
    50079: ("mfa_required", None),
    50072: ("mfa_required", None),
    50074: ("mfa_required", None),
    50158: ("mfa_required", None),
    50097: ("device_required", None),
    50155: ("device_required", None),
    50187: ("device_required", None),
    53000: ("device_required", None),
    53001: ("device_required", None),
    65001: ("consent_revoked", "consent"),
    65004: ("access_denied", None),
    90094: ("admin_consent_required", None),
    90095: ("admin_consent_required", None),
    50105: ("not_assigned", None),
    53003: ("blocked_by_policy", None),
    530032: ("blocked_by_policy", None),
    530035: ("blocked_by_policy", None),
    53004: ("blocked_by_policy", None),
    53010: ("blocked_by_policy", None),
    53011: ("blocked_by_policy", None),
    135011: ("device_required", None),
    50057: ("account_disabled", None),
    50034: ("wrong_account", "select_account"),
    51004: ("wrong_account", "select_account"),
    50020: ("wrong_account", "select_account"),
    50053: ("account_locked", None),
    50126: ("sign_in_again", None),
    50056: ("sign_in_again", None),
    50058: ("sign_in_again", None),
    16000: ("sign_in_again", "select_account"),
    160021: ("sign_in_again", "select_account"),
    50085: ("sign_in_again", None),
    50139: ("sign_in_again", None),
    135010: ("sign_in_again", None),
}
_OPERATOR: dict[int, str] = {
    700016: "app_unknown",
    700011: "app_unknown",
    70001: "app_unknown",
    7000112: "app_disabled",
    7000215: "client_secret_wrong",
    7000222: "client_secret_expired",
    7000218: "client_credential_missing",
    700025: "client_is_public",
    9002327: "client_is_public",
    700027: "client_assertion_refused",
    50012: "client_assertion_refused",
    700024: "client_assertion_refused",
    70021: "federated_credential_missing",
    700211: "federated_credential_missing",
    700212: "federated_credential_missing",
    700213: "federated_credential_missing",
    700222: "federated_credential_refused",
    700229: "federated_credential_refused",
    700236: "federated_credential_refused",
    50011: "redirect_uri_unknown",
    50194: "audience_mismatch",
    9002332: "audience_mismatch",
    90130: "audience_mismatch",
    90124: "audience_mismatch",
    9001023: "audience_mismatch",
    90027: "audience_mismatch",
    70011: "scope_refused",
    28002: "scope_refused",
    28003: "scope_refused",
    650053: "scope_refused",
    650057: "scope_refused",
    65005: "scope_refused",
    500011: "scope_refused",
    700005: "wrong_authority",
    700054: "token_flow_disabled",
    70005: "token_flow_disabled",
    9002313: "request_malformed",
    900144: "request_malformed",
    90014: "request_malformed",
    90023: "request_malformed",
    90100: "request_malformed",
}
OF_THE_APP = frozenset(
    {
        "client_secret_wrong",
        "client_secret_expired",
        "client_credential_missing",
        "client_credential_refused",
        "client_assertion_refused",
        "federated_credential_missing",
        "federated_credential_refused",
    }
)
"""Reasons that are about the app in every tenant. The others may be one tenant's alone, which has removed the app."""

_LATER = frozenset({50196, 90033, 90006, 90012, 90024, 90055, 50033, 50087, 90090, 70012, 50088, 90020})
_LOOP = 50196
_LOOP_WAIT_S = 300.0
_RESTART = frozenset({54005, 501481})
_PASSES = frozenset({50053})
"""The person's to know at a sign-in, but it passes by itself, and the grant lives on."""
_SUBERRORS: dict[str, tuple[str, str | None]] = {
    "consent_required": ("consent_revoked", "consent"),
    "user_password_expired": ("password_expired", None),
    "bad_token": ("grant_expired", None),
    "token_expired": ("grant_expired", None),
    "client_mismatch": ("grant_expired", None),
    "protection_policy_required": ("device_required", None),
    "device_authentication_failed": ("device_required", None),
    "additional_action": ("blocked_by_policy", None),
    "message_only": ("blocked_by_policy", None),
}
_PERSON_ERRORS: dict[str, tuple[str, str | None]] = {
    "invalid_grant": ("sign_in_again", None),
    "interaction_required": ("sign_in_again", None),
    "login_required": ("sign_in_again", None),
    "consent_required": ("consent_revoked", "consent"),
    "access_denied": ("access_denied", None),
    "account_selection_required": ("sign_in_again", "select_account"),
}


def judge(refusal: ProviderRefusal) -> Verdict:
    """The verdict on a provider's error answer. Total: whatever comes, somebody is named."""
    codes = refusal.codes
    if any(code in _LATER for code in codes) or refusal.error in ("temporarily_unavailable", "server_error"):
        wait_s = _LOOP_WAIT_S if _LOOP in codes else None
        return Verdict(who=Who.LATER, reason="provider_busy", wait_s=wait_s)
    if any(code in _RESTART for code in codes):
        return Verdict(who=Who.PERSON, reason="sign_in_again", restart=True)
    for code in codes:
        if code in _PERSON:
            reason, prompt = _PERSON[code]
            return _person(refusal, reason, prompt, grant=code not in _PASSES)
        if code in _OPERATOR:
            return Verdict(who=Who.OPERATOR, reason=_OPERATOR[code])
    if refusal.suberror in _SUBERRORS:
        return _person(refusal, *_SUBERRORS[refusal.suberror])
    if refusal.error in _PERSON_ERRORS:
        return _person(refusal, *_PERSON_ERRORS[refusal.error])
    return Verdict(who=Who.OPERATOR, reason=_operator_reason(refusal.error))


def _person(refusal: ProviderRefusal, reason: str, prompt: str | None, *, grant: bool = True) -> Verdict:
    if refusal.claims and prompt == "consent":
        prompt = None  # the claims say more precisely what is missing
    return Verdict(who=Who.PERSON, reason=reason, prompt=prompt, claims=refusal.claims, grant=grant)


def _operator_reason(error: str) -> str:
    return {
        "invalid_client": "client_credential_refused",
        "unauthorized_client": "client_not_allowed",
        "invalid_scope": "scope_refused",
        "invalid_resource": "scope_refused",
    }.get(error, "request_refused")


MENDS = {
    "app_unknown": "AUTH_CLIENT_ID names no app that this authority knows: check it and AUTH_TENANT.",
    "app_disabled": "The app registration is disabled: enable it in the Entra admin center.",
    "client_secret_wrong": "AUTH_CLIENT_SECRET is wrong: use the secret's value, not its id.",
    "client_secret_expired": "The client secret has expired: make a new one and set AUTH_CLIENT_SECRET.",
    "client_credential_missing": "The provider wants a credential: set AUTH_CLIENT_SECRET or AUTH_CLIENT_CERTIFICATE.",
    "client_credential_refused": "The provider refused the app's credential: check the one that is set.",
    "client_is_public": "The redirect URI is registered for a public client or a single-page app: register it under platform Web.",
    "client_assertion_refused": "The certificate is unknown or the clock is off: upload the certificate, check the time.",
    "federated_credential_missing": "No federated credential matches the identity: check issuer, subject and audience.",
    "federated_credential_refused": "The provider does not take this identity's token as a credential.",
    "redirect_uri_unknown": "Register PUBLIC_BASE_URL + /api/auth/callback as a redirect URI of platform Web.",
    "audience_mismatch": "AUTH_TENANT does not fit the app's supported account types: change one of the two.",
    "scope_refused": "The provider refused a permission: check AUTH_SCOPES and the app's API permissions.",
    "wrong_authority": "The code was redeemed at another tenant than it was issued for.",
    "token_flow_disabled": "Allow ID tokens and access tokens in the app registration, or AUTH_ALLOW_TOKEN_FLOW=false.",
    "client_not_allowed": "The app may not use this grant: check its supported account types.",
    "request_malformed": "The provider could not read the request; please report it with the correlation id.",
    "request_refused": "The provider refused the request; its log has more under the correlation id.",
}
"""What the operator does about each reason of an OPERATOR verdict."""
