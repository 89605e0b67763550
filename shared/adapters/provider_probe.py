"""Owns the checks of the identity provider: its metadata, the app's credential, the redirect URI.

Nobody signs in and nobody's token is used. What the provider can't be made to say that way is a note, not a guess.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from aiohttp import ClientSession

from shared.adapters.http import json_object, with_query
from shared.adapters.metadata import SHARED, Metadata, parse, url
from shared.adapters.msal_identity import s256
from shared.adapters.reach import NO_ANSWER, Page, get, unreachable, with_clock
from shared.adapters.token_endpoint import TokenEndpoint
from shared.errors import ProviderUnavailable
from shared.findings import Finding, State
from shared.model import ProviderRefusal
from shared.settings import Settings
from shared.verdicts import MENDS, judge

_NOWHERE = frozenset({90002, 900021, 900023})
"""AADSTS: no such tenant, or nothing that could be one."""

_UNREADABLE = 9002313
"""Microsoft could not even read the made-up token: it may not have looked at the credential yet."""

_ABOUT_CREDENTIAL = frozenset(
    {
        "app_disabled",
        "client_secret_wrong",
        "client_secret_expired",
        "client_credential_missing",
        "client_credential_refused",
        "client_is_public",
        "client_assertion_refused",
        "federated_credential_missing",
        "federated_credential_refused",
    }
)
_CODE = re.compile(rb"AADSTS(\d{4,9})")


class ProviderProbe:
    """Findings `identity_provider` (with `clock`), `credential`, `redirect_uri`."""

    def __init__(self, settings: Settings, http: ClientSession, metadata: Metadata, tokens: TokenEndpoint) -> None:
        self._settings = settings
        self._http = http
        self._metadata = metadata
        self._tokens = tokens
        self._host = urlsplit(settings.authority_host).netloc

    async def authority(self) -> Iterable[Finding]:
        """OpenID Connect Discovery §4, asked anew: what the bundle remembers may be a day old."""
        settings, check = self._settings, "identity_provider"
        try:
            page = await get(self._http, url(settings.authority_host, settings.tenant))
        except NO_ANSWER as error:
            what = "The identity provider can't be reached."
            return (unreachable(check, "", error, host=self._host, setting="AUTH_AUTHORITY_HOST", what=what),)
        return with_clock(self._of_metadata(page), self._host, page.ahead)

    def _of_metadata(self, page: Page) -> Finding:
        check, tenant, document = "identity_provider", self._settings.tenant, json_object(page.body)
        if page.status == 200:
            try:
                parse(document)
            except ProviderUnavailable:
                pass
            else:
                return Finding(check=check, what=f"{self._host} knows the authority {tenant}.")
        if page.busy:
            return _broken(
                check,
                "provider_down",
                "The identity provider is out of order.",
                f"It answers HTTP {page.status}.",
                "See Microsoft's service health, and wait.",
            )
        if page.status == 400 and (document.get("error") == "invalid_tenant" or _NOWHERE & _codes(document)):
            return _broken(
                check,
                "tenant_unknown",
                f"There is no tenant {tenant} at {self._host}.",
                "AUTH_TENANT names a tenant that does not exist there, or one of another cloud.",
                "Set it to common, organizations, consumers, or the tenant id from Entra's overview page.",
            )
        return _broken(
            check,
            "not_a_provider",
            f"What answers at {self._host} is no identity provider.",
            f"It gives no metadata (HTTP {page.status}): a proxy, or another service.",
            "Check AUTH_AUTHORITY_HOST, and what lies on the way.",
        )

    async def credential(self) -> Iterable[Finding]:
        """The credential shown to the token endpoint, with grants that are nobody's (RFC 6749 §2.3, §4.4, §6).

        Raises Misconfigured, Unavailable where the credential itself can't be had.
        """
        settings = self._settings
        authorities = [settings.tenant]
        if settings.managed_identity_client_id and settings.tenant == "common":
            authorities.append("organizations")  # where the identity is used; personal accounts get the other
        found = [await self._credential_at(authority) for authority in authorities]
        return (max(found, key=lambda finding: list(State).index(finding.state)),)

    async def _credential_at(self, authority: str) -> Finding:
        check = "credential"
        as_itself = {"grant_type": "client_credentials", "scope": f"{self._settings.graph_base_url}/.default"}
        as_nobody = {"grant_type": "refresh_token", "refresh_token": "nobodys", "scope": "openid"}
        said = ""
        for form in (as_itself, as_nobody):
            refusal = await self._tokens.ask_as_app(authority, form)
            if refusal is None or (form is as_nobody and _only_the_grant(refusal)):
                return Finding(check=check, what="The provider accepts the app's credential.")
            reason, said = judge(refusal).reason, _said(refusal)
            # Without a tenant in the address the first grant says nothing of where the app is known.
            unknown = reason == "app_unknown" and (authority not in SHARED or form is as_nobody)
            if reason in _ABOUT_CREDENTIAL or unknown:
                return _broken(
                    check,
                    reason,
                    "The provider refuses the app: nobody can sign in or be renewed. No session is lost by it.",
                    f"It says {said}.",
                    MENDS[reason],
                )
        return Finding(
            check=check,
            state=State.NOTE,
            code="credential_unproven",
            what="The provider does not say whether the app's credential is right.",
            cause=f"To a request without a person it says {said}.",
            mend="Sign in once: the log says `provider_refused_the_app` if it is wrong.",
        )

    async def redirect_uri(self) -> Iterable[Finding]:
        """A silent sign-in of nobody (OpenID Connect Core §3.1.2.1, `prompt=none`).

        Answered at the redirect URI it is a registered one; a page of the provider's own may name the code.
        """
        settings, check = self._settings, "redirect_uri"
        endpoint = (await self._metadata.endpoints(settings.tenant)).authorization
        query = {
            "client_id": settings.client_id,
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": settings.redirect_uri,
            "scope": "openid",
            "prompt": "none",
            "state": "doctor",
            "code_challenge": s256("doctor"),
            "code_challenge_method": "S256",
        }
        host = urlsplit(endpoint).netloc
        try:
            page = await get(self._http, with_query(endpoint, query))
        except NO_ANSWER as error:
            what = "The provider's sign-in page can't be reached from here."
            return (unreachable(check, "", error, host=host, setting="AUTH_AUTHORITY_HOST", what=what),)
        if page.location.partition("?")[0] == settings.redirect_uri:
            return (Finding(check=check, what=f"The provider sends people back to {settings.redirect_uri}."),)
        codes = tuple(int(code) for code in _CODE.findall(page.body))
        verdict = judge(ProviderRefusal(error="invalid_request", codes=codes))
        if verdict.reason in ("redirect_uri_unknown", "app_unknown"):
            return (
                _broken(
                    check,
                    verdict.reason,
                    f"The provider does not send people back to {settings.redirect_uri}.",
                    f"It shows AADSTS{codes[0]}.",
                    MENDS[verdict.reason],
                ),
            )
        return (
            Finding(
                check=check,
                state=State.NOTE,
                code="redirect_uri_unproven",
                what=f"The provider does not say whether it knows {settings.redirect_uri}.",
                cause=f"It shows a page (HTTP {page.status}) and waits for a person.",
                mend="Sign in once: AADSTS50011, or a redirect_uri that is not valid, means that it is not registered.",
            ),
        )


def _only_the_grant(refusal: ProviderRefusal) -> bool:
    return refusal.error == "invalid_grant" and _UNREADABLE not in refusal.codes


def _said(refusal: ProviderRefusal) -> str:
    error = refusal.error if re.fullmatch(r"[a-z_]{1,64}", refusal.error) else "an error"
    return error + "".join(f", AADSTS{code}" for code in refusal.codes[:2])


def _broken(check: str, code: str, what: str, cause: str, mend: str) -> Finding:
    return Finding(check=check, state=State.BROKEN, code=code, what=what, cause=cause, mend=mend)


def _codes(document: Mapping[str, object]) -> set[int]:
    codes = document.get("error_codes")
    return {code for code in codes if isinstance(code, int)} if isinstance(codes, list) else set()
