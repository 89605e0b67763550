"""What the provider's refusals mean, and for whom (R-13). The table is Microsoft's list of codes, read as classes."""

import pytest

from shared.model import ProviderRefusal
from shared.verdicts import MENDS, Verdict, Who, judge

# From "Microsoft Entra authentication and authorization error codes" and field reports. `admin` is the person's own
# organization: for us the person is told, with the reason that names who can act.
USER = (
    50173, 700082, 70008, 700084, 70043, 70000, 50089, 50132, 50133, 50078, 50076, 50079, 50072, 50074, 50158, 50097,
    50155, 50187, 65001, 65004, 53000, 53001, 50055, 50144, 50034, 51004, 50020, 50126, 50056, 50058, 16000, 160021,
    50085, 50139, 135010,
)  # fmt: skip
ADMIN = (90094, 90095, 50105, 53003, 530032, 530035, 53004, 53010, 53011, 50057, 135011)
OPERATOR = (
    700016, 700011, 70001, 7000112, 7000215, 7000222, 7000218, 700025, 700027, 50012, 700024, 70021, 700213, 700211,
    700212, 700229, 50011, 50194, 9002332, 90130, 90124, 9001023, 90027, 70011, 28002, 28003, 650053, 650057, 65005,
    500011, 700005, 9002327, 9002313, 900144, 90014, 90023, 90100, 700222, 700236, 70005, 700054,
)  # fmt: skip
TRANSIENT = (50196, 90033, 90006, 90012, 90024, 90055, 50033, 50087, 90090, 70012, 50088)
RESTART = (54005, 501481)
ADMIN_REASONS = {
    "admin_consent_required",
    "not_assigned",
    "blocked_by_policy",
    "account_disabled",
    "device_required",
}


def grant_error(*codes: int, **more: str) -> Verdict:
    return judge(ProviderRefusal(error="invalid_grant", codes=codes, **more))


@pytest.mark.parametrize("code", USER)
def test_codes_that_the_person_can_mend_end_the_grant_with_a_reason(code: int) -> None:
    """R-13."""
    verdict = grant_error(code)
    assert (verdict.who, verdict.grant) == (Who.PERSON, True)
    assert verdict.reason


@pytest.mark.parametrize("code", ADMIN)
def test_codes_of_the_persons_organization_say_that_the_organization_must_act(code: int) -> None:
    """R-13: signing in again would not help, so the reason says who can."""
    verdict = grant_error(code)
    assert verdict.who is Who.PERSON
    assert verdict.reason in ADMIN_REASONS


@pytest.mark.parametrize("code", OPERATOR)
@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "invalid_request"])
def test_codes_of_our_own_set_up_touch_no_grant(code: int, error: str) -> None:
    """R-13: a wrong client secret must not sign anybody out."""
    verdict = judge(ProviderRefusal(error=error, codes=(code,)))
    assert (verdict.who, verdict.grant) == (Who.OPERATOR, False)
    assert verdict.reason in MENDS


@pytest.mark.parametrize("code", TRANSIENT)
def test_codes_that_pass_by_themselves_wait(code: int) -> None:
    """R-11."""
    verdict = grant_error(code)
    assert (verdict.who, verdict.grant) == (Who.LATER, False)


@pytest.mark.parametrize("code", RESTART)
def test_a_spent_code_starts_sign_in_again_and_never_ends_a_grant(code: int) -> None:
    """R-04: the back button, or a form sent twice."""
    verdict = grant_error(code)
    assert verdict.restart
    assert not verdict.grant


def test_a_redirect_uri_of_the_wrong_platform_is_named() -> None:
    """R-01: under "Mobile" the provider refuses our credential, under "Single-page application" a server's request."""
    for error, code in (("invalid_client", 700025), ("invalid_request", 9002327)):
        assert "platform Web" in MENDS[judge(ProviderRefusal(error=error, codes=(code,))).reason]


def test_a_locked_account_is_told_to_the_person_and_ends_no_grant() -> None:
    """R-13: a lock-out passes, and with it the refusal of the grant."""
    verdict = grant_error(50053)
    assert (verdict.who, verdict.reason, verdict.grant) == (Who.PERSON, "account_locked", False)


def test_a_loop_seen_by_the_provider_is_left_alone_for_minutes() -> None:
    """R-11: AADSTS50196, too many same requests: one second would make it worse."""
    assert (grant_error(50196).wait_s or 0) >= 120
    assert grant_error(90033).wait_s is None


@pytest.mark.parametrize(
    ("error", "who"),
    [
        ("invalid_grant", Who.PERSON),
        ("interaction_required", Who.PERSON),
        ("consent_required", Who.PERSON),
        ("login_required", Who.PERSON),
        ("access_denied", Who.PERSON),
        ("invalid_client", Who.OPERATOR),
        ("unauthorized_client", Who.OPERATOR),
        ("invalid_resource", Who.OPERATOR),
        ("invalid_scope", Who.OPERATOR),
        ("unsupported_grant_type", Who.OPERATOR),
        ("unsupported_response_type", Who.OPERATOR),
        ("invalid_request", Who.OPERATOR),
        ("something_new", Who.OPERATOR),
        ("", Who.OPERATOR),
        ("temporarily_unavailable", Who.LATER),
        ("server_error", Who.LATER),
    ],
)
@pytest.mark.parametrize("codes", [(), (99999999,)])
def test_unknown_codes_fall_to_the_rule_of_their_error(error: str, who: Who, codes: tuple[int, ...]) -> None:
    """R-13: codes are diagnostics, not contracts; the OAuth error decides (RFC 6749 §5.2)."""
    verdict = judge(ProviderRefusal(error=error, codes=codes))
    assert verdict.who is who
    if who is Who.OPERATOR:
        assert verdict.reason in MENDS


@pytest.mark.parametrize(
    ("suberror", "reason"),
    [
        ("consent_required", "consent_revoked"),
        ("user_password_expired", "password_expired"),
        ("bad_token", "grant_expired"),
        ("token_expired", "grant_expired"),
        ("client_mismatch", "grant_expired"),
        ("protection_policy_required", "device_required"),
        ("device_authentication_failed", "device_required"),
        ("message_only", "blocked_by_policy"),
        ("additional_action", "blocked_by_policy"),
        ("basic_action", "sign_in_again"),
        ("never_heard_of", "sign_in_again"),
    ],
)
def test_a_sub_error_refines_the_reason(suberror: str, reason: str) -> None:
    """R-13."""
    assert grant_error(suberror=suberror).reason == reason


def test_a_busy_provider_is_waited_for_whatever_codes_come_along() -> None:
    """R-11: nothing is concluded about a grant from an answer that says "later"."""
    assert judge(ProviderRefusal(error="temporarily_unavailable", codes=(50173,))).who is Who.LATER
    assert judge(ProviderRefusal(error="invalid_grant", codes=(50173, 90033))).who is Who.LATER


def test_revoked_consent_asks_for_consent_unless_claims_say_more() -> None:
    """R-13: claims go into the next sign-in as they came."""
    assert grant_error(65001).prompt == "consent"
    verdict = grant_error(65001, claims='{"access_token":{}}')
    assert (verdict.prompt, verdict.claims) == (None, '{"access_token":{}}')
    assert grant_error(50076, claims="{}").claims == "{}"
    assert grant_error(50034, claims="{}").prompt == "select_account"
