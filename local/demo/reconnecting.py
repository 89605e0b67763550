"""Owns the walks of a provider that refuses to renew: who must act, what is kept, and the way back in one click."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.browser.sign_in import PERSONAL_USER, WORK_USER, sign_in_on
from local.demo.pages import read
from local.demo.visit import NOTEBOOKS, Visit, Walk

_CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
_REFUSALS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("password changed", "password_changed", {"codes": [50132]}),
    ("password expired", "password_expired", {"codes": [50055]}),
    ("sign-ins ended by an administrator", "grant_revoked", {"codes": [50173], "suberror": "bad_token"}),
    ("user disabled", "account_disabled", {"codes": [50057]}),
    ("not used for too long", "grant_expired", {"codes": [700082], "suberror": "bad_token"}),
    ("sign-in frequency", "sign_in_frequency", {"codes": [70043]}),
    (
        "conditional access wants one more proof",
        "mfa_required",
        {"error": "interaction_required", "codes": [50076], "suberror": "basic_action", "claims": _CLAIMS},
    ),
    ("blocked by a policy", "blocked_by_policy", {"error": "interaction_required", "codes": [53003]}),
    ("a code that nobody knows", "sign_in_again", {"codes": [999999]}),
)


async def _consent_revoked(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    step = visit.step("consent taken back on the provider's page")
    page = await visit.browser.goto((await visit.control.state())["services"]["consent_page"])
    await visit.browser.submit(page, page.form(button=PERSONAL_USER), button=PERSONAL_USER)
    await visit.control.expire_access_tokens()
    answer = await visit.browser.fetch(NOTEBOOKS)
    problem = answer.json()
    step.check((answer.status, problem["code"]) == (401, "reauth_required"), "reauth_required", answer.text)
    step.check(problem["reason"] == "consent_revoked", "the reason", problem)
    step.check(len(await visit.token_holders(deleted=False)) == 1, "nothing deleted", await visit.token_holders())
    session = await visit.session(return_to=f"{visit.home}%3Fpage%3D2")
    manage = session["consent_url"]
    step.check(manage == "https://account.live.com/consent/Manage", "where consent is managed", manage)
    step.done(f"“{problem['detail']}”; still known as {session['account']['name']}")
    step = visit.step("the same the next time, and for the timer")
    before = len(await visit.token_calls())
    await visit.browser.fetch(NOTEBOOKS)
    await visit.control.run_timer()
    made = len(await visit.token_calls()) - before
    step.check(made == 0, "the provider is left alone", f"{made} calls")
    step.done("the same words")
    step = visit.step("one click on the link, and Accept")
    page = await visit.browser.goto(session["health"]["reconnect_url"])
    shown = read(page)
    step.check(shown.title == "Permissions requested", "consent asked again", shown)
    page = await sign_in_on(visit.browser, page, PERSONAL_USER)
    step.check(page.url == visit.home + "?page=2", "back where the person was", page.url)
    await visit.notebooks(step)
    step.check(len(await visit.token_holders(deleted=False)) == 1, "one session, not two", await visit.token_holders())
    step.done("five notebooks again")


async def _refused(visit: Visit) -> None:
    for title, reason, refusal in _REFUSALS:
        async with visit.another_browser() as browser:
            await visit.control.stop_refusing()
            await visit.signs_in("work", WORK_USER, browser)
            step = visit.step(title)
            await visit.control.refuse(WORK_USER, **refusal, until_sign_in=True)
            await visit.control.expire_access_tokens()
            answer = await browser.fetch(NOTEBOOKS)
            seen = answer.json().get("code"), answer.json().get("reason")
            step.check(seen == ("reauth_required", reason), f"reauth_required, {reason}", answer.text)
            health = (await visit.session(browser))["health"]
            step.check(
                health["state"] == "reauth_required" and health["reason"] == reason, "the session says so", health
            )
            words = read(await browser.goto(f"/api/auth/error?code={reason}"))
            step.check(words.details[0] == reason, "a text of its own", words)
            page = await browser.goto(health["reconnect_url"])
            if "claims" in refusal:
                asked = parse_qs(urlsplit(page.chain[1]).query).get("claims", ["{}"])[0]
                step.check(json.loads(asked) == json.loads(_CLAIMS), "the claims shown to the provider", page.chain)
            await sign_in_on(browser, page, WORK_USER)
            await visit.notebooks(step, browser)
            step.done(f"{words}; once that is mended, one click and it works again")


async def _challenged(visit: Visit) -> None:
    await visit.signs_in("work", WORK_USER)
    step = visit.step("OneNote wants one more proof in the middle of a session")
    await visit.notebooks(step)
    await visit.control.onenote(WORK_USER, claims_challenge=True)
    before = len(await visit.token_calls())
    answer = await visit.browser.fetch(NOTEBOOKS)
    seen = answer.status, answer.json().get("code"), answer.json().get("reason")
    step.check(seen == (401, "reauth_required", "claims_required"), "reauth_required, claims_required", answer.text)
    step.check(len(await visit.token_calls()) == before, "not answered by renewing", await visit.token_calls())
    health = (await visit.session())["health"]
    step.check(health["reason"] == "claims_required", "the session says so", health)
    page = await visit.browser.goto(health["reconnect_url"])
    asked = parse_qs(urlsplit(page.chain[1]).query).get("claims", [""])[0]
    step.check('"nbf"' in asked, "OneNote's claims shown to the provider", page.chain)
    await visit.notebooks(step)
    step.done("a link; one click, and it works again")


async def _nobodys_fault(visit: Visit) -> None:
    await visit.signs_in("work", WORK_USER)
    step = visit.step("the app's secret is wrong or has expired")
    refusal = json.dumps({"error": "invalid_client", "error_codes": [7000215], "error_description": "AADSTS7000215"})
    await visit.control.fault("identity", "status", path="/token$", status=401, body=refusal, times=None)
    await visit.control.expire_access_tokens()
    answer = await visit.browser.fetch(NOTEBOOKS)
    step.check((answer.status, answer.json()["code"]) == (503, "misconfigured"), "503 misconfigured", answer.text)
    session = await visit.session()
    step.check(session["signed_in"] and session["health"]["state"] == "ok", "sessions untouched", session)
    await visit.log_says(step, "provider_refused_the_app", "client_secret_wrong", "mend")
    step.done(f"“{answer.json()['detail']}”")
    step = visit.step("somebody signs in meanwhile")
    async with visit.another_browser() as browser:
        page = await visit.sign_in_by_hand("personal", PERSONAL_USER, browser)
        step.done(str(visit.error_page(step, page, "misconfigured")))
    await visit.control.advance(90)  # the engine does not show a wrong secret on and on
    await _mended(visit, "the secret is right again")
    step = visit.step("the provider is busy")
    await visit.control.refuse(WORK_USER, error="temporarily_unavailable", codes=[90033])
    await visit.control.expire_access_tokens()
    answer = await visit.browser.fetch(NOTEBOOKS)
    seen = answer.status, answer.json()["code"]
    step.check(seen == (503, "provider_unavailable"), "503 provider_unavailable", answer.text)
    step.check("retry-after" in answer.headers, "a time to wait", dict(answer.headers))
    session = await visit.session()
    step.check(session["signed_in"] and session["health"]["state"] != "reauth_required", "session kept", session)
    step.done(f"“{answer.json()['detail']}”")
    await visit.control.advance(90)  # the engine leaves a busy provider alone for a while
    await _mended(visit, "the provider answers again")
    step = visit.step("the vault does not answer")
    await visit.control.advance(90)  # beyond the cache
    await visit.control.fault("vault", "status", status=503, times=None)
    answer = await visit.browser.fetch("/api/auth/session")
    step.check((answer.status, answer.json()["code"]) == (503, "store_unavailable"), "never “signed out”", answer.text)
    step.done(f"“{answer.json()['detail']}”")
    await _mended(visit, "the vault answers again")


async def _mended(visit: Visit, title: str) -> None:
    step = visit.step(title)
    await visit.control.clear_faults()
    await visit.control.stop_refusing()
    await visit.notebooks(step)
    step.done("five notebooks, without signing in again")


WALKS = (
    Walk("Consent revoked, and given again", ("R-13",), _consent_revoked),
    Walk("The provider wants to see the person", ("R-13",), _refused),
    Walk("OneNote wants to see the person", ("R-10", "R-13", "R-15"), _challenged),
    Walk("Not the person's fault", ("R-01", "R-13", "R-14"), _nobodys_fault),
)
