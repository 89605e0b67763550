"""Cookies that we never set, or set for somebody else, or for something that is over."""

import base64
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, sign_in, sign_in_on
from local.control_client import ControlClient
from local.demo import DAY_S, NOTEBOOKS
from tests.attacks.victim import Victim, session_cookie
from tests.attacks.wire import FORM, PAGE, Wire, assert_sound, json_of
from tests.stack.test_sign_in import session_of, stored_sessions

NAME = "__Secure-onenote-auth"
ATTEMPT = f"{NAME}-attempt-"


def with_session(value: str) -> dict[str, str]:
    return {"cookie": f"{NAME}={value}"}


def forgeries(genuine: str) -> dict[str, str]:
    """A session cookie is `1.vault.id.issued.key.mac`."""
    version, vault, session, issued, key, mac = genuine.split(".")
    other = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
    now = int(time.time())

    def made(**changed: str) -> str:
        parts = {"version": version, "vault": vault, "session": session, "issued": issued, "key": key, "mac": mac}
        return ".".join((parts | changed).values())

    return {
        "another session's id": made(session=other),
        "another vault": made(vault="other"),
        "a vault that is a path": made(vault="../x"),
        "issued later": made(issued=f"{now + 60:08x}"),
        "issued in the future": made(issued="ffffffff"),
        "issued at the beginning of time": made(issued="00000000"),
        "an unknown key": made(key="0" * 32),
        "a key in capitals": made(key=key.upper()),
        "no signature": made(mac=""),
        "an empty signature": made(mac=other),
        "another version": made(version="2"),
        "a part more": genuine + ".x",
        "a part less": genuine.rpartition(".")[0],
        "cut off": genuine[:-1],
        "longer": genuine + "A",
        "blanks": f" {genuine[:60]} {genuine[60:]}",
        "quoted": f'"{genuine}"x',
        "escaped": genuine.replace(".", "%2e"),
        "huge": "1." + "A" * 20_000,
        "JSON": '{"vault":"main"}',
        "a token": "eyJhbGciOiJub25lIn0.e30.",
    }


async def test_no_forged_session_cookie_is_a_session(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-16: whatever part of it is made up; and it costs the vault nothing but a look for an unknown key."""
    before = len(await control.calls("vault"))
    requests = 4
    for told, value in forgeries(victim.cookie).items():
        session = await wire.send("GET", "/api/auth/session", headers=with_session(value))
        assert_sound(session, told=told, forbidden=victim.secrets)
        assert json_of(session) == {"signed_in": False}, told
        for method, path in (("GET", NOTEBOOKS), ("POST", "/api/auth/token"), ("DELETE", "/api/auth/sessions")):
            reply = await wire.send(method, path, headers=with_session(value))
            assert_sound(reply, told=told, forbidden=victim.secrets)
            assert (reply.status, reply.code) == (401, "not_signed_in"), told
    assert len(await control.calls("vault")) - before <= requests  # of the one with the unknown key


async def test_a_flood_of_unknown_keys_does_not_reach_the_vault(
    wire: Wire, control: ControlClient, browser: Browser
) -> None:
    """R-16: a read for each would be the attacker's to spend; whoever has a genuine cookie notices nothing."""
    await control.reset()
    await control.advance(DAY_S)  # so that the minute after it does not count for other tests
    await sign_in(browser, "work", WORK_USER)
    parts = session_cookie(browser).split(".")
    before = len(await control.calls("vault"))
    for number in range(80):
        forged = ".".join((*parts[:4], f"{number:032x}", parts[5]))
        reply = await wire.send("GET", "/api/auth/session", headers=with_session(forged))
        assert (reply.status, reply.code) in ((200, None), (503, "store_unavailable"))
        assert "set-cookie" not in reply.headers or reply.status == 200
    assert len(await control.calls("vault")) - before <= 60
    assert (await session_of(browser))["signed_in"] is True
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    await control.reset()


async def test_of_two_session_cookies_a_forged_one_does_not_help(wire: Wire, victim: Victim) -> None:
    """R-16: the first counts, as the most specific path comes first (RFC 6265 §5.4)."""
    forged = forgeries(victim.cookie)["another session's id"]
    headers = {"cookie": f"{NAME}={forged}; {NAME}={victim.cookie}"}
    assert json_of(await wire.send("GET", "/api/auth/session", headers=headers)) == {"signed_in": False}
    headers = {"cookie": f"{NAME.lower()}={victim.cookie}; x{NAME}={victim.cookie}; onenote-auth={victim.cookie}"}
    assert json_of(await wire.send("GET", "/api/auth/session", headers=headers)) == {"signed_in": False}


async def test_the_cookie_of_a_deleted_session_opens_nothing(wire: Wire, browser: Browser) -> None:
    """R-12: it is genuine, and what it named is gone."""
    await sign_in(browser, "work", WORK_USER)
    kept = with_session(session_cookie(browser))
    await browser.post("/api/auth/logout")
    assert json_of(await wire.send("GET", "/api/auth/session", headers=kept)) == {"signed_in": False}
    for method, path in (("GET", NOTEBOOKS), ("POST", "/api/auth/token"), ("DELETE", "/api/auth/sessions")):
        reply = await wire.send(method, path, headers=kept)
        assert_sound(reply, told=path, forbidden=(kept["cookie"],))
        assert (reply.status, reply.code) == (401, "not_signed_in")
    again = await wire.send("POST", "/api/auth/logout", headers=kept)
    assert again.status == 303


async def test_no_forged_attempt_cookie_is_an_attempt(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-04: neither made up, nor another attempt's under this one's name, nor this one's under another name."""
    first, second = [await wire.send("GET", "/api/auth/login?account=work") for _ in range(2)]
    state = parse_qs(urlsplit(first.location).query)["state"][0]
    name, value = first.headers["set-cookie"].partition(";")[0].split("=")
    other_name, other = second.headers["set-cookie"].partition(";")[0].split("=")
    key = value.split(".")[1]
    forged = {
        "another's content": f"{name}={other}",
        "another's name": f"{other_name}={value}",
        "made up": f"{name}=1.{key}.{'A' * 100}",
        "of odd length": f"{name}=1.{key}.{'A' * 41}",
        "an unknown key": f"{name}=1.{'0' * 32}.{value.split('.')[2]}",
        "one character changed": f"{name}={value[:-9]}{'A' if value[-9] != 'A' else 'B'}{value[-8:]}",
        "cut off": f"{name}={value[:-1]}",
        "a session's": f"{name}={victim.cookie}",
        "empty": f"{name}=",
        "a name without a state": f"{ATTEMPT}={value}",
        "as a session": f"{NAME}={value}",
    }
    before = len([call for call in await control.calls("identity") if call["path"].endswith("/token")])
    for told, cookie in forged.items():
        headers = FORM | PAGE | {"cookie": cookie}
        reply = await wire.send("POST", "/api/auth/callback", headers=headers, body=f"code=x&state={state}")
        assert_sound(reply, told=told, leads_to=(wire.base_url + "/api/auth/error?",))
        assert reply.code == "attempt_unknown", told
        assert f"{NAME}=" not in reply.headers.get("set-cookie", ""), told
    assert len([c for c in await control.calls("identity") if c["path"].endswith("/token")]) == before


async def test_a_session_cookie_set_beforehand_is_replaced_at_sign_in(
    wire: Wire, control: ControlClient, browser: Browser, attacker: Browser
) -> None:
    """R-04, R-16: session fixation; the attacker's cookie never becomes the victim's session, and is worth nothing."""
    await control.reset()
    await sign_in(attacker, "work", WORK_USER)
    planted = next(cookie for cookie in attacker.cookies if cookie.name == NAME)
    browser.cookies.put(planted)
    await sign_in(browser, "personal", PERSONAL_USER)
    assert session_cookie(browser) != planted.value
    account = (await session_of(browser))["account"]
    assert isinstance(account, dict)
    assert account["username"] == PERSONAL_USER
    assert (await session_of(attacker))["signed_in"] is False
    assert len(await stored_sessions(control)) == 1


@pytest.mark.parametrize("planted", ["planted-by-somebody", "1." + "A" * 300])
async def test_a_made_up_cookie_set_beforehand_is_replaced_at_sign_in(browser: Browser, planted: str) -> None:
    """R-16: an id is never taken over from the browser."""
    await sign_in(browser, "personal", PERSONAL_USER)
    cookie = next(cookie for cookie in browser.cookies if cookie.name == NAME)
    browser.cookies.replace_value(cookie, planted)
    await sign_in(browser, "personal", PERSONAL_USER)
    assert planted not in session_cookie(browser)
    assert (await session_of(browser))["signed_in"] is True


async def test_a_sixth_sign_in_at_once_does_not_touch_the_session(victim: Victim) -> None:
    """R-04: attempts are bounded; the oldest goes, the session's cookie never."""
    browser = victim.browser
    begun = []
    for _ in range(7):
        begun.append(await open_sign_in(browser, "work"))
        await victim.control.advance(1)  # they are told apart by the second
    attempts = [cookie for cookie in browser.cookies if cookie.name.startswith(ATTEMPT)]
    assert len(attempts) == 5
    oldest = await sign_in_on(browser, begun[0], WORK_USER)
    assert oldest.query["code"] == "attempt_unknown"
