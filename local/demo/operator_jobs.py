"""Owns the walks of the operator's jobs: tokens while nobody is at a browser, and the end of an account (R-18)."""

from typing import Any

import aiohttp

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.demo.step import Step
from local.demo.token_flow import SWITCHED_ON
from local.demo.visit import DAY_S, Visit, Walk


async def _operator(visit: Visit, method: str, path: str, *, key: bool = True) -> tuple[int, Any]:
    """A job's call: no browser, no cookie, a function key. Status and JSON (None for an empty answer)."""
    headers = {"x-functions-key": await visit.control.function_key()} if key else {}
    async with aiohttp.request(method, f"{visit.url}/api/ops/{path}", headers=headers) as answer:
        text = await answer.text()
        return answer.status, (await answer.json(content_type=None)) if text else None


async def _accounts(visit: Visit, step: Step) -> dict[str, Any]:
    """The stored accounts by username, checked for tokens."""
    status, body = await _operator(visit, "GET", "accounts")
    step.check(status == 200, "accounts listed", (status, body))
    await visit.remember_tokens()
    step.check(not any(token in str(body) for token in visit.tokens), "no token in the list", "one of them")
    return {str(account["username"]): account for account in body["accounts"]}


async def _job(visit: Visit) -> None:
    for account, username in (("personal", PERSONAL_USER), ("work", WORK_USER)):
        async with visit.another_browser() as browser:
            await visit.signs_in(account, username, browser)
    step = visit.step("a week later, every browser closed")
    for _ in range(7):
        await visit.control.advance(DAY_S)
        await visit.control.run_timer()
    accounts = await _accounts(visit, step)
    healths = {username: account["health"] for username, account in accounts.items()}
    step.check(healths == {PERSONAL_USER: "ok", WORK_USER: "ok"}, "both healthy", healths)
    step.done("the operator's job sees " + " and ".join(accounts))
    graph = (await visit.control.state())["services"]["graph"]
    for username, account in accounts.items():
        step = visit.step(f"the job asks for a token of {username}")
        path = f"accounts/{account['home_account_id']}/token"
        status, body = await _operator(visit, "POST", path)
        step.check(status == 200 and "refresh_token" not in body, "an access token and no refresh token", status)
        headers = {"authorization": f"Bearer {body['access_token']}"}
        notebooks = f"{graph}/v1.0/me/onenote/notebooks?$top=5&$orderby=displayName"
        async with aiohttp.request("GET", notebooks, headers=headers, ssl=False) as answer:
            names = [notebook["displayName"] for notebook in (await answer.json())["value"]]
        step.check(len(names) == 5, "it opens five notebooks at OneNote", names)
        status, _ = await _operator(visit, "POST", path, key=False)
        step.check(status == 401, "nothing without the key", status)
        step.done(f"nothing, nobody is there; the job reads {names[0]} and four more")
    await _revoked(visit, accounts[PERSONAL_USER]["home_account_id"])
    await _ended(visit, accounts[WORK_USER]["home_account_id"])


async def _revoked(visit: Visit, home_account_id: str) -> None:
    step = visit.step("consent taken back meanwhile")
    await visit.control.revoke(PERSONAL_USER)
    await visit.control.advance(DAY_S)
    status, body = await _operator(visit, "POST", f"accounts/{home_account_id}/token")
    step.check((status, body["code"]) == (409, "reauth_required"), "409", (status, body))
    step.check(body["reason"] == "consent_revoked", "the reason", body)
    accounts = await _accounts(visit, step)
    health = accounts[PERSONAL_USER]["health"]
    step.check(health == "reauth_required", "and in the list", health)
    step.done(f"“{body['detail']}”")


async def _ended(visit: Visit, home_account_id: str) -> None:
    step = visit.step("the operator ends an account, then all")
    status, body = await _operator(visit, "DELETE", f"accounts/{home_account_id}")
    step.check((status, body) == (200, {"ended": 1}), "one session ended", (status, body))
    status, body = await _operator(visit, "POST", f"accounts/{home_account_id}/token")
    step.check(status == 404, "no token any more", (status, body))
    status, body = await _operator(visit, "POST", "revoke-all")
    step.check(status == 200 and body["done"] is True, "all ended", (status, body))
    live = await visit.token_holders(deleted=False)
    step.check(not live, "no token is left", live)
    step.done("the sign-in button, for everybody")


async def _off(visit: Visit) -> None:
    await visit.signs_in("work", WORK_USER)
    step = visit.step("a job where the operator has not switched it on")
    account = (await _accounts(visit, step))[WORK_USER]
    status, body = await _operator(visit, "POST", f"accounts/{account['home_account_id']}/token")
    step.check((status, body["code"]) == (403, "operator_tokens_off"), "operator_tokens_off", (status, body))
    status, body = await _operator(visit, "GET", "health")
    states = {name: each["state"] for name, each in body["dependencies"].items()}
    step.check(status == 200, "the operator's health page", body)
    step.done(f"accounts with their health, no token; {', '.join(f'{n} {s}' for n, s in states.items())}")


WALKS = (
    Walk("A job while nobody is there", ("R-18", "R-16"), _job, SWITCHED_ON),
    Walk("Jobs, switched off", ("R-18", "R-16"), _off),
)
