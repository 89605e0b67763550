"""What the stack prints while everything goes right, and while everything that is sent is wrong."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, refuse_consent, sign_in
from local.control_client import ControlClient
from local.demo import DAY_S, NOTEBOOKS, token_strings
from local.process import StackProcess
from tests.attacks.matrix import DOORS, Door, cases
from tests.attacks.test_mixing_up import held_back
from tests.attacks.test_parameters import knock
from tests.attacks.victim import Victim, ring_keys
from tests.attacks.wire import MARK, PAGE, Wire

LONG_ENOUGH = 12
"""Shorter values, such as a cookie that was cleared, would be found anywhere."""


async def secrets_of(control: ControlClient, *browsers: Browser) -> set[str]:
    """Every token and key that a vault holds, and whatever the browsers' cookies and addresses held."""
    found = {*await token_strings(control), *await ring_keys(control)}
    for browser in browsers:
        found |= {cookie.value for cookie in browser.cookies}
        for line in browser.heard:
            found |= set(re.findall(r"__Secure-[^=]+=([^;\s]+)", line))
            for address in re.findall(r"(?i)^location: (\S+)", line):
                query = parse_qs(urlsplit(address).query)
                found |= {value for name in ("state", "nonce", "code_challenge") for value in query.get(name, ())}
    whole = {unquote(secret) for secret in found}
    # Also pieces: a cookie's id, its signature, what is sealed in an attempt's.
    pieces = {piece for secret in whole for piece in secret.split(".") if len(piece) >= 40}
    return {secret for secret in whole | pieces if len(secret) >= LONG_ENOUGH}


def leaked(stack: StackProcess, secrets: set[str]) -> list[str]:
    """Lines of the stack's output that hold one. The secret itself is not repeated."""
    return [line[:60] for line in stack.lines if any(secret in line for secret in secrets)]


async def test_the_whole_road_leaves_no_secret_in_the_log(
    stack: StackProcess, control: ControlClient, browser: Browser, attacker: Browser
) -> None:
    """R-16: sign-in of both kinds and by both flows, renewal by request and timer, revoked consent, sign-out."""
    await control.reset()
    secrets: set[str] = set()
    await sign_in(browser, "personal", PERSONAL_USER)
    answer = await held_back(attacker)
    secrets |= {value for _, value in answer.fields if len(value) >= LONG_ENOUGH}  # the code among them
    await attacker.post("/api/auth/callback", dict(answer.fields))
    await refuse_consent(attacker, "work", WORK_USER, scope="Notes.Create")
    await browser.fetch(NOTEBOOKS)
    secrets |= await secrets_of(control, browser, attacker)
    await control.expire_access_tokens()
    await browser.fetch(NOTEBOOKS)
    await browser.fetch("/api/auth/token", method="POST")
    await control.advance(DAY_S)
    await control.run_timer()
    secrets |= await secrets_of(control, browser, attacker)
    await control.revoke(WORK_USER)
    await control.expire_access_tokens()
    await attacker.fetch(NOTEBOOKS)
    await sign_in(attacker, "work", WORK_USER, flow="token")
    secrets |= await secrets_of(control, browser, attacker)
    await browser.post("/api/auth/logout")
    await attacker.fetch("/api/auth/sessions", method="DELETE")
    await control.run_timer()
    assert stack.wait_for_line('"event": "signed_out"')
    assert len(secrets) > 20
    assert leaked(stack, secrets) == []
    assert not [line for line in stack.lines if "Traceback" in line]
    await control.reset()


async def test_failures_of_every_service_leave_no_secret_in_the_log(
    stack: StackProcess, control: ControlClient, browser: Browser
) -> None:
    """R-16: errors are where secrets slip out: texts of exceptions, bodies, addresses with queries."""
    await control.reset()
    await sign_in(browser, "personal", PERSONAL_USER)
    secrets = await secrets_of(control, browser)
    for service in ("vault", "identity", "graph"):
        for action in ("status", "garbage", "wrong_type", "reset_before", "truncate"):
            await control.advance(3 * 3600)
            await control.fault(service, action, times=None)
            for path in ("/api/auth/session", NOTEBOOKS, "/api/auth/login?account=work"):
                await browser.request("GET", path)
            secrets |= await secrets_of(control, browser)
            await control.clear_faults()
    secrets |= await secrets_of(control, browser)
    assert leaked(stack, secrets) == []
    await control.reset()


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_nothing_that_was_sent_stands_in_the_log(
    stack: StackProcess, wire: Wire, victim: Victim, control: ControlClient, door: Door
) -> None:
    """R-16: neither values that we can't read nor those that we can; nor the session of whoever sent them."""
    key = await control.function_key()
    for case in cases(door):
        await knock(wire, victim, case, PAGE, key)
    assert leaked(stack, {MARK, key, *victim.secrets}) == []
    assert not [line for line in stack.lines if "unexpected_error" in line]
