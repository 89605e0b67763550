"""Owns the walks of renewal under trouble: many requests at once, a 401 that stays, a vault that does not answer."""

import asyncio

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.demo.visit import DAY_S, HOUR_S, NOTEBOOKS, Visit, Walk
from shared.usecases.notes import IN_VAIN

_AT_ONCE = 20
_INVALID_TOKEN = '{"error": {"code": "InvalidAuthenticationToken", "message": "Lifetime validation failed."}}'


async def _renewal(visit: Visit) -> None:
    await visit.control.behaviour(rotation="strict")
    await visit.signs_in("work", WORK_USER)
    step = visit.step("two hours later")
    await visit.control.advance(2 * HOUR_S)
    before = len(await visit.token_calls())
    await visit.notebooks(step)
    answered = [call["status"] for call in await visit.control.calls("graph")]
    step.check(answered == [200], "expiry checked before the call", answered)
    step.check(len(await visit.token_calls()) == before + 1, "renewed once", await visit.token_calls())
    step.done("five notebooks, and Graph never saw the old token")
    await _crowd(visit)
    await _refused_for_good(visit)
    await _vault_away(visit)
    await _weeks(visit)


async def _crowd(visit: Visit) -> None:
    step = visit.step(f"{_AT_ONCE} requests at once with an expired token")
    await visit.control.advance(2 * HOUR_S)
    before = len(await visit.token_calls())
    answers = await asyncio.gather(*(visit.browser.fetch(NOTEBOOKS) for _ in range(_AT_ONCE)))
    statuses = {answer.status for answer in answers}
    step.check(statuses == {200}, "all answered", statuses)
    made = len(await visit.token_calls()) - before
    step.check(made == 1, "one renewal for all", f"{made} calls")
    health = (await visit.session())["health"]["state"]
    step.check(health == "ok", "alive where a token used twice kills the grant", health)
    step.done("every one of them has its notebooks")


async def _refused_for_good(visit: Visit) -> None:
    step = visit.step("OneNote refuses fresh tokens as well")
    before = len(await visit.token_calls()), len(await visit.control.calls("graph"))
    await visit.control.fault("graph", "status", status=401, body=_INVALID_TOKEN, times=None)
    answer = await visit.browser.fetch(NOTEBOOKS)
    made = len(await visit.token_calls()) - before[0], len(await visit.control.calls("graph")) - before[1]
    await visit.control.clear_faults()
    step.check(answer.status == 401, "its 401 handed on", answer.status)
    step.check(made == (1, 2), "one renewal, two tries, no loop", made)
    await visit.notebooks(step)
    step.done("an error once, and the next list works again")


async def _vault_away(visit: Visit) -> None:
    step = visit.step("new tokens while the vault does not take them")
    await visit.control.advance(IN_VAIN.total_seconds())  # for so long the step before holds renewals back
    await visit.notebooks(step)
    await visit.control.fault("vault", "status", method="PUT", status=503, times=None)
    await visit.control.expire_access_tokens()
    await visit.notebooks(step)
    await visit.log_says(step, "new_tokens_not_stored_yet")
    await visit.control.clear_faults()
    await visit.log_says(step, "new_tokens_stored")
    step.done("nothing of it: they serve from memory until they are stored")


async def _weeks(visit: Visit) -> None:
    step = visit.step("two weeks without a visit")
    for _ in range(14):
        await visit.control.advance(DAY_S)
        await visit.control.run_timer()
    session = await visit.session()
    step.check(session["signed_in"] and session["health"]["state"] == "ok", "the grant is alive", session)
    await visit.notebooks(step)
    step.done("still signed in; the timer kept the grant alive day by day")


async def _away_too_long(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    step = visit.step("away for longer than a session may lie idle")
    await visit.control.advance(31 * DAY_S)
    await visit.control.run_timer()
    session = await visit.session()
    step.check(session["signed_in"] is False, "signed out", session)
    await visit.control.advance(DAY_S)
    await visit.control.run_timer()
    left = await visit.token_holders()
    step.check(not left, "the vault holds no token", left)
    step.done("the sign-in button, as if for the first time")


WALKS = (
    Walk("Renewal under trouble", ("R-10", "R-11", "R-18"), _renewal),
    Walk("Forgotten sessions", ("R-11", "R-16"), _away_too_long),
)
