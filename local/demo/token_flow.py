"""Owns the walks of the token flow: off by default, a short session where it is on, and its end (R-05)."""

import json

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.demo.secrets_held import refresh_tokens_in
from local.demo.visit import HOUR_S, NOTEBOOKS, PURGE_AFTER_S, Visit, Walk

SWITCHED_ON = {
    "AUTH_ALLOW_TOKEN_FLOW": "true",
    "AUTH_EXPOSE_ACCESS_TOKEN": "true",
    "AUTH_OPERATOR_TOKENS": "true",
}


async def _off(visit: Visit) -> None:
    step = visit.step("the token flow where the operator has not switched it on")
    step.done(str(await visit.refused(step, "flow=token", "token_flow_not_allowed")))


async def _on(visit: Visit) -> None:
    for account, username in (("personal", PERSONAL_USER), ("work", WORK_USER)):
        step = visit.step(f"sign in by the token flow, {account} account")
        async with visit.another_browser() as browser:
            await visit.signs_in(account, username, browser, flow="token")
            made = await visit.token_calls()
            step.check(not made, "no call to the token endpoint", made)
            names = await visit.notebooks(step, browser)
            session = await visit.session(browser)
            step.check(session["health"]["state"] == "ok", "health ok", session)
        step.done(f"{names[0]} and four more, until {session['expires_at']}")
    step = visit.step("what the vault keeps of it")
    values = [v for vault in await visit.control.vaults(values=True) for s in vault["secrets"] for v in s["values"]]
    found = [token for value in values if value.startswith("{") for token in refresh_tokens_in(json.loads(value))]
    step.check(not found, "no refresh token", f"{len(found)} of them")
    step.done("the access token for its lifetime, and nothing that outlives it")
    for scope in ("offline_access", "wl.offline_access"):
        step = visit.step(f"the token flow with {scope}")
        query = f"flow=token&scope=Notes.Read+{scope}"
        step.done(str(await visit.refused(step, query, "offline_access_not_for_token_flow")))
    await _ends(visit)


async def _ends(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER, flow="token")
    step = visit.step("an hour later")
    await visit.control.advance(HOUR_S - 300)
    await visit.control.run_timer()
    made = await visit.token_calls()
    step.check(not made, "the timer left it alone", made)
    await visit.control.advance(301)
    answer = await visit.browser.fetch(NOTEBOOKS)
    seen = answer.status, answer.json()["code"], answer.json().get("reason")
    step.check(seen == (401, "reauth_required", "token_flow_expired"), "token_flow_expired", answer.text)
    health = (await visit.session())["health"]
    step.check(health["reason"] == "token_flow_expired", "the session says so", health)
    step.check(bool(health["reconnect_url"]), "a link to sign in again", health)
    step.done(f"“{answer.json()['detail']}”")
    step = visit.step("and after the timer")
    await visit.control.run_timer()
    await visit.control.advance(PURGE_AFTER_S)
    await visit.control.run_timer()
    left = await visit.token_holders()
    step.check(not left, "purged", left)
    step.done("nothing is left of it in the vault")


async def _not_enabled(visit: Visit) -> None:
    step = visit.step("the app registration does not allow it")
    await visit.control.behaviour(implicit_enabled=False)
    page = await visit.browser.goto("/api/auth/login?flow=token&account=personal")
    shown = visit.error_page(step, page, "misconfigured")
    await visit.log_says(step, "provider_refused_the_app", "token_flow_disabled", "mend")
    step.done(str(shown))


async def _token_for_the_front_end(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    step = visit.step("a front end that talks to Graph itself")
    answer = await visit.browser.fetch("/api/auth/token?min_validity=600", method="POST")
    step.check(answer.status == 200 and bool(answer.json()["access_token"]), "an access token", answer.status)
    step.check("refresh_token" not in answer.text, "never a refresh token", sorted(answer.json()))
    stranger = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    refused = await visit.browser.fetch("/api/auth/token", method="POST", headers=stranger)
    step.check(refused.status == 403, "none for another site", refused.text)
    step.done(f"a token good until {answer.json()['expires_at']} for {', '.join(answer.json()['scopes'])}")


WALKS = (
    Walk("Token flow, switched off", ("R-05", "R-14"), _off),
    Walk("Token flow, switched on", ("R-05", "R-06"), _on, SWITCHED_ON),
    Walk("Token flow, not allowed by the registration", ("R-05", "R-01"), _not_enabled, SWITCHED_ON),
    Walk("Access token for a front end, switched on", ("R-16", "R-17"), _token_for_the_front_end, SWITCHED_ON),
)
