"""The life of a session after sign-in: expiry, the timer, sign-out and revoked consent, on the embedded
stack.
"""

from datetime import datetime

import pytest

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, sign_in
from local.control_client import ControlClient
from local.demo import DAY_S, NOTEBOOKS, PURGE_AFTER_S, holds_token
from tests.stack.test_sign_in import KINDS, session_of, stored_sessions


async def token_calls(control: ControlClient) -> int:
    return sum(call["path"].endswith("/token") for call in await control.calls("identity"))


@pytest.mark.parametrize(("account", "username"), KINDS)
async def test_an_expired_access_token_is_renewed_on_the_way(
    browser: Browser, control: ControlClient, account: str, username: str
) -> None:
    """R-10: one renewal, one more call to Graph, and the request after it needs neither."""
    await sign_in(browser, account, username)
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    await control.expire_access_tokens()
    before = await token_calls(control)
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert await token_calls(control) == before + 1
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert await token_calls(control) == before + 1


async def test_an_hour_later_the_token_is_renewed_before_use(browser: Browser, control: ControlClient) -> None:
    """R-10: expiry is checked before the call, so Graph never sees the old token."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await browser.fetch(NOTEBOOKS)
    await control.advance(2 * 3600)
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert [call["status"] for call in await control.calls("graph")] == [200, 200]


async def test_a_warm_request_asks_neither_vault_nor_provider(browser: Browser, control: ControlClient) -> None:
    """R-09: the second list in a row is one call to Graph and nothing else."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await browser.fetch(NOTEBOOKS)
    before = (await control.state())["calls"]
    await browser.fetch(NOTEBOOKS)
    after = (await control.state())["calls"]
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"graph": 1}


@pytest.mark.parametrize(("account", "username"), KINDS)
async def test_a_day_later_the_timer_has_renewed_and_the_request_asks_nobody(
    browser: Browser, control: ControlClient, account: str, username: str
) -> None:
    """R-11: the newest tokens are stored by the timer; the next list makes no call to the provider."""
    await sign_in(browser, account, username)
    before = datetime.fromisoformat(str((await session_of(browser))["refreshed_at"]))
    await control.advance(DAY_S)
    calls = await token_calls(control)
    await control.run_timer()
    assert await token_calls(control) == calls + 1
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert await token_calls(control) == calls + 1
    after = datetime.fromisoformat(str((await session_of(browser))["refreshed_at"]))
    assert (after - before).total_seconds() >= DAY_S - 60


async def test_the_timer_keeps_a_session_alive_for_weeks(browser: Browser, control: ControlClient) -> None:
    """R-11, R-18: refreshed each day although nobody comes, then it works at once."""
    await sign_in(browser, "work", WORK_USER)
    for _ in range(14):
        await control.advance(DAY_S)
        await control.run_timer()
    calls = await token_calls(control)
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert await token_calls(control) <= calls + 1
    assert (await session_of(browser))["health"] == {"state": "ok", "reason": None, "reconnect_url": None}


@pytest.mark.parametrize(("account", "username"), KINDS)
async def test_sign_out_deletes_at_once_calls_the_provider_and_comes_back_clean(
    browser: Browser, control: ControlClient, account: str, username: str
) -> None:
    """R-12: tokens, local state, the service's logout, back without query options; then nothing even in
    deleted.
    """
    await sign_in(browser, account, username)
    provider = (await control.state())["services"]["identity_pages"]
    page = await browser.post("/api/auth/logout")
    assert page.url == browser.base_url + "/"
    assert any(address.startswith(provider) for address in page.chain)
    assert await stored_sessions(control) == []
    assert (await session_of(browser)) == {"signed_in": False}
    assert (await browser.fetch(NOTEBOOKS)).status == 401

    await control.advance(PURGE_AFTER_S)
    await control.run_timer()
    vaults = await control.vaults(values=True)
    everything = [secret for vault in vaults for secret in (*vault["secrets"], *vault["deleted"])]
    assert [secret["name"] for secret in everything if holds_token(secret)] == []


async def test_a_cookie_kept_from_before_the_sign_out_opens_nothing(browser: Browser) -> None:
    """R-12: clearing the cookie is not what ends a session."""
    await sign_in(browser, "personal", PERSONAL_USER)
    kept = list(browser.cookies)
    await browser.post("/api/auth/logout")
    for cookie in kept:
        browser.cookies.put(cookie)
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    assert (await session_of(browser)) == {"signed_in": False}


async def test_signing_out_twice_or_without_a_session_is_a_quiet_success(browser: Browser) -> None:
    """R-12."""
    page = await browser.post("/api/auth/logout")
    assert page.url == browser.base_url + "/"
    await sign_in(browser, "personal", PERSONAL_USER)
    await browser.post("/api/auth/logout")
    page = await browser.post("/api/auth/logout")
    assert page.url == browser.base_url + "/"
    assert page.fragment == {}


async def test_sign_out_tells_programs_where_to_go(browser: Browser) -> None:
    """R-12: JSON with the provider's URL for Accept: application/json."""
    await sign_in(browser, "work", WORK_USER)
    answer = await browser.fetch("/api/auth/logout", method="POST")
    assert answer.status == 200
    assert any("logout" in str(value) for value in answer.json().values())
    assert (await session_of(browser)) == {"signed_in": False}


async def test_another_site_cannot_sign_a_person_out(browser: Browser) -> None:
    """R-12: a form on another site posts without effect, even if its cookie came along."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await browser.post("/api/auth/logout", origin="http://127.0.0.1:9")
    forged = await browser.fetch("/api/auth/logout", method="POST", headers={"origin": "https://evil.example"})
    assert forged.status == 403
    assert (await session_of(browser))["signed_in"] is True


async def test_revoked_consent_asks_for_a_new_sign_in_and_then_works_again(
    browser: Browser, control: ControlClient
) -> None:
    """R-13: reauth_required with a reason and a link; nothing is deleted; signing in again mends it."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await control.revoke(PERSONAL_USER)
    await control.expire_access_tokens()
    refused = await browser.fetch(NOTEBOOKS)
    assert refused.status == 401
    assert refused.json()["code"] == "reauth_required"

    session = await session_of(browser)
    health = session["health"]
    assert session["signed_in"] is True
    assert isinstance(health, dict)
    assert health["state"] == "reauth_required"
    assert health["reason"]
    assert health["reconnect_url"]

    await sign_in(browser, "personal", PERSONAL_USER)
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert len(await stored_sessions(control)) == 1


async def test_a_vault_that_cannot_be_reached_is_not_a_sign_out(browser: Browser, control: ControlClient) -> None:
    """R-11: 503 and the cookie stays; when the vault is back, so is the session."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await control.advance(3600)  # whatever was cached is too old by now
    await control.fault("vault", "status", status=503, times=None)
    assert (await browser.fetch("/api/auth/session")).status == 503
    await control.clear_faults()
    assert (await session_of(browser))["signed_in"] is True
