"""Owns the walks of signing out: each step, the provider's own sign-out, everywhere, and with the vault away."""

import asyncio

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.demo.visit import Visit, Walk


async def _in_order(visit: Visit) -> None:
    page = await visit.signs_in("personal", PERSONAL_USER)
    kept = list(visit.browser.cookies)
    step = visit.step("sign out, step by step")
    page = await visit.browser.post(f"/api/auth/logout?return_to={visit.home}%3Fbye%3D1")
    deleted = next((c["at"] for c in await visit.control.calls("vault") if c["method"] == "DELETE"), None)
    logouts = [call for call in await visit.control.calls("identity") if call["path"].endswith("/logout")]
    step.check(deleted is not None, "1 tokens deleted", await visit.control.calls("vault"))
    cookies = [cookie.name for cookie in visit.browser.cookies if cookie.name.endswith("onenote-auth")]
    step.check(not cookies, "2 cookie cleared", cookies)
    step.check(bool(logouts) and deleted <= logouts[0]["at"], "3 then the provider's logout", logouts)
    hinted = any("/logout" in url and "logout_hint=" in url for url in page.chain)
    step.check(hinted, "with a hint whose", page.chain)
    step.check(page.url == visit.home + "?bye=1", "4 back where the link said", page.url)
    step.done("signed out; the provider asked nothing")
    step = visit.step("a cookie kept from before")
    for cookie in kept:
        visit.browser.cookies.put(cookie)
    answer = await visit.graph("notebooks")
    step.check(answer.status == 401 and answer.json()["code"] == "not_signed_in", "opens nothing", answer.text)
    step.done(f"“{answer.json()['detail']}”")
    step = visit.step("signing out again, and without a session")
    for _ in range(2):
        page = await visit.browser.post("/api/auth/logout")
        step.check(page.url == visit.home, "a quiet success", page.url)
    step.done("the demo page")


async def _provider_first(visit: Visit) -> None:
    await visit.signs_in("work", WORK_USER)
    step = visit.step("an unknown sid, from anywhere")
    answer = await visit.browser.request("GET", "/api/auth/frontchannel-logout?sid=nobody")
    step.check(answer.status == 200 and (await visit.session())["signed_in"] is True, "ends nobody", answer.status)
    step.done("nothing")
    step = visit.step("signing out of another app at the provider")
    provider = (await visit.control.state())["services"]["identity_pages"]
    await visit.browser.goto(f"{provider}/common/oauth2/v2.0/logout")
    session = await visit.session()
    step.check(session["signed_in"] is False, "signed out here, by sid, without our cookie", session)
    live = await visit.token_holders(deleted=False)
    step.check(not live, "tokens deleted", live)
    step.done("signed out here as well, by a hidden frame of the provider's page")


async def _everywhere(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    async with visit.another_browser() as phone, visit.another_browser() as somebody_else:
        await visit.signs_in("personal", PERSONAL_USER, phone)
        await visit.signs_in("work", WORK_USER, somebody_else)
        step = visit.step("my sessions")
        listed = (await phone.fetch("/api/auth/sessions")).json()["sessions"]
        step.check(len(listed) == 2, "mine, on both devices, and nobody else's", listed)
        step.check([each["current"] for each in listed].count(True) == 1, "this one marked", listed)
        step.done(f"two, begun at {' and '.join(each['created_at'] for each in listed)}")
        step = visit.step("sign out everywhere, on the phone")
        ended = await phone.fetch("/api/auth/sessions", method="DELETE")
        step.check(ended.status == 200 and ended.json() == {"ended": 2}, "two ended", ended.text)
        for browser in (phone, visit.browser):
            answer = await visit.graph("notebooks", browser=browser)
            step.check(answer.status == 401, "neither device gets in", answer.text)
        step.check((await visit.session(somebody_else))["signed_in"] is True, "somebody else stays", "signed out")
        live = await visit.token_holders(deleted=False)
        step.check(len(live) == 1, "their tokens deleted", live)
        step.done("signed out on the phone and on the desk")


async def _vault_away(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    kept = list(visit.browser.cookies)
    step = visit.step("sign out while the vault does not answer")
    await visit.control.fault("vault", "status", status=503, times=None)
    page = await visit.browser.post("/api/auth/logout")
    step.check(page.url == visit.home, "the way goes on to its end", page.url)
    for cookie in kept:
        visit.browser.cookies.put(cookie)
    answer = await visit.graph("notebooks")
    step.check(answer.status == 401, "the session is refused from now on", answer.text)
    await visit.log_says(step, "sign_out_not_stored_yet", "mend")
    step.done("signed out, as always; the operator is told")
    step = visit.step("and when it answers again")
    await visit.control.clear_faults()
    live = await visit.token_holders(deleted=False)
    for _ in range(200):
        if not live:
            break
        await asyncio.sleep(0.05)
        live = await visit.token_holders(deleted=False)
    step.check(not live, "the deletion was tried again", live)
    step.done("nothing; the tokens are gone")


async def _by_link(visit: Visit) -> None:
    await visit.signs_in("work", WORK_USER)
    step = visit.step("the question before a sign-out by link")
    page = await visit.browser.goto("/api/auth/logout")
    step.check((await visit.session())["signed_in"] is True, "a link alone signs nobody out", page.url)
    step.check(len(page.forms) == 1, "one button", page.forms)
    page = await visit.browser.submit(page, page.forms[0])
    step.check(page.url == visit.home and not (await visit.session())["signed_in"], "a click does", page.url)
    step.done("“Sign out?” with its button, then the demo page")


WALKS = (
    Walk("Sign out", ("R-12",), _in_order),
    Walk("Sign out by link, without scripts", ("R-12",), _by_link),
    Walk("Signed out at the provider", ("R-12",), _provider_first),
    Walk("Sign out everywhere", ("R-12",), _everywhere),
    Walk("Sign out with the vault away", ("R-12", "R-16"), _vault_away),
)
