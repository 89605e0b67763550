"""Signing in, from the first click to five notebooks, over HTTP on the embedded stack."""

import asyncio
from datetime import UTC, datetime

import pytest

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, refuse_consent, sign_in, sign_in_on
from local.control_client import ControlClient
from local.demo import NOTEBOOKS, holds_token, token_strings

KINDS = [("personal", PERSONAL_USER), ("work", WORK_USER)]


async def session_of(browser: Browser) -> dict[str, object]:
    answer = await browser.fetch("/api/auth/session")
    assert answer.status == 200
    return dict(answer.json())


async def stored_sessions(control: ControlClient) -> list[str]:
    """Names of the secrets with tokens in them."""
    vaults = await control.vaults(values=True)
    return [s["name"] for vault in vaults for s in vault["secrets"] if holds_token(s)]


@pytest.mark.parametrize(("account", "username"), KINDS)
async def test_a_person_signs_in_and_lists_five_notebooks(browser: Browser, account: str, username: str) -> None:
    """R-02, R-03, R-04, R-09: both kinds, code flow, the article's request with the session cookie."""
    page = await sign_in(browser, account, username)
    assert page.url == browser.base_url + "/"

    session = await session_of(browser)
    assert session["signed_in"] is True
    shown = session["account"]
    assert isinstance(shown, dict)
    assert (shown["kind"], shown["username"]) == (account, username)
    assert session["scopes"] == ["Notes.Read"]
    assert session["health"] == {"state": "ok", "reason": None, "reconnect_url": None}
    expires_at = datetime.fromisoformat(str(session["expires_at"]))
    assert 0 < (expires_at - datetime.now(UTC)).total_seconds() < 2 * 3600

    answer = await browser.fetch(NOTEBOOKS)
    assert answer.status == 200
    names = [notebook["displayName"] for notebook in answer.json()["value"]]
    assert len(names) == 5
    assert names == sorted(names, key=str.casefold)


async def test_any_account_kind_may_be_left_to_the_provider(browser: Browser) -> None:
    """R-03: without `account`, AUTH_TENANT decides: common, so both kinds."""
    page = await sign_in(browser, "any", WORK_USER)
    assert page.url == browser.base_url + "/"
    assert (await session_of(browser))["signed_in"] is True


@pytest.mark.parametrize(("account", "username"), KINDS)
async def test_nothing_that_reaches_the_browser_holds_a_token(
    browser: Browser, control: ControlClient, account: str, username: str
) -> None:
    """R-16: neither cookies nor headers nor bodies, before and after a renewal."""
    await sign_in(browser, account, username)
    tokens = await token_strings(control)
    await browser.fetch(NOTEBOOKS)
    await control.expire_access_tokens()
    await browser.fetch(NOTEBOOKS)
    await browser.fetch("/api/auth/session")
    tokens += await token_strings(control)
    assert len(set(tokens)) >= 3  # an access and a refresh token, and at least one new one
    heard = "\n".join([*browser.heard, *(cookie.value for cookie in browser.cookies)])
    assert not [token for token in tokens if token in heard]


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: Browser) -> None:
    """R-16: HttpOnly, Secure, SameSite=Lax, and it stays for a while."""
    await sign_in(browser, "personal", PERSONAL_USER)
    ours = [cookie for cookie in browser.cookies if cookie.host == "localhost" and cookie.expires_at is not None]
    session_cookies = [cookie for cookie in ours if cookie.same_site == "lax"]
    assert len(session_cookies) == 1
    assert session_cookies[0].http_only
    assert session_cookies[0].secure


async def test_one_secret_with_tokens_and_tags_without(browser: Browser, control: ControlClient) -> None:
    """R-16: names and tags may be listed by many; neither holds a token, a name or an address."""
    await sign_in(browser, "work", WORK_USER)
    assert len(await stored_sessions(control)) == 1
    tokens = await token_strings(control)
    for vault in await control.vaults():
        for secret in vault["secrets"]:
            shown = secret["name"] + str(secret["tags"])
            assert WORK_USER not in shown
            assert not [token for token in tokens if token in shown]


async def test_several_scopes_are_asked_for_at_once(browser: Browser) -> None:
    """R-08: what the caller names, aliases folded, within the ceiling."""
    await sign_in(browser, "personal", PERSONAL_USER, scope="Notes.Read Notes.Create")
    assert set((await session_of(browser))["scopes"]) == {"Notes.Read", "Notes.Create"}  # type: ignore[call-overload]


async def test_sign_in_comes_back_to_where_the_person_was(browser: Browser) -> None:
    """R-04: return_to, query included, on the public origin."""
    wanted = browser.base_url + "/?page=2"
    page = await sign_in(browser, "personal", PERSONAL_USER, return_to=wanted)
    assert page.url == wanted


async def test_refused_consent_comes_back_with_the_error_and_stores_nothing(
    browser: Browser, control: ControlClient
) -> None:
    """R-14: `return_to#error=access_denied&error_description=…`; trying again works."""
    wanted = browser.base_url + "/?page=2"
    page = await refuse_consent(browser, "personal", PERSONAL_USER, return_to=wanted)
    assert page.url.partition("#")[0] == wanted
    assert page.fragment["error"] == "access_denied"
    assert page.fragment["error_description"]
    assert await stored_sessions(control) == []
    assert (await session_of(browser))["signed_in"] is False

    await sign_in(browser, "personal", PERSONAL_USER)
    assert (await session_of(browser))["signed_in"] is True


async def test_signing_in_again_replaces_the_session(browser: Browser, control: ControlClient) -> None:
    """R-12, R-16: one browser, one session; the tokens of the one before are deleted."""
    await sign_in(browser, "personal", PERSONAL_USER)
    first = await stored_sessions(control)
    await sign_in(browser, "work", WORK_USER)
    second = await stored_sessions(control)
    assert len(first) == len(second) == 1
    assert first != second
    shown = (await session_of(browser))["account"]
    assert isinstance(shown, dict)
    assert shown["username"] == WORK_USER


async def test_two_tabs_sign_in_at_once(browser: Browser) -> None:
    """R-04: each attempt has its own state; the tab that ends last has the session."""
    first = await open_sign_in(browser, "personal")
    second = await open_sign_in(browser, "work")
    assert (await sign_in_on(browser, first, PERSONAL_USER)).url == browser.base_url + "/"
    assert (await sign_in_on(browser, second, WORK_USER)).url == browser.base_url + "/"
    shown = (await session_of(browser))["account"]
    assert isinstance(shown, dict)
    assert shown["username"] == WORK_USER


async def test_two_people_never_see_each_other(browser: Browser, other_browser: Browser) -> None:
    """R-16: whose cookie, whose notebooks, also when both ask at once."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await sign_in(other_browser, "work", WORK_USER)
    mine, theirs = await asyncio.gather(session_of(browser), session_of(other_browser))
    assert isinstance(mine["account"], dict)
    assert isinstance(theirs["account"], dict)
    assert mine["account"]["username"] == PERSONAL_USER
    assert theirs["account"]["username"] == WORK_USER


async def test_without_a_session_nothing_is_passed_on(browser: Browser, control: ControlClient) -> None:
    """R-09: 401 as a problem with a stable code, and no call to Graph or the vault."""
    answer = await browser.fetch(NOTEBOOKS)
    assert answer.status == 401
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"] == "not_signed_in"
    assert await control.calls("graph") == []
    assert (await session_of(browser)) == {"signed_in": False}
