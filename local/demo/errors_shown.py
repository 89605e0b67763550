"""Owns the walks of errors for people: refused at sign-in, the back button, other languages, hostile addresses."""

from typing import Any
from urllib.parse import quote

from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in
from local.demo.pages import read
from local.demo.visit import Visit, Walk

_AT_SIGN_IN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("user disabled", "account_disabled", {"codes": [50057]}),
    ("blocked by conditional access", "blocked_by_policy", {"error": "interaction_required", "codes": [53003]}),
    ("not assigned to the app", "not_assigned", {"codes": [50105]}),
    ("provider busy", "provider_unavailable", {"error": "temporarily_unavailable", "codes": [90033]}),
)


async def _at_sign_in(visit: Visit) -> None:
    for title, code, refusal in _AT_SIGN_IN:
        for at in ("authorize", "authorization_code"):
            step = visit.step(f"{title}, said {'in the browser' if at == 'authorize' else 'for the code'}")
            await visit.control.refuse(WORK_USER, **refusal, at=[at])
            async with visit.another_browser() as browser:
                page = await visit.sign_in_by_hand("work", WORK_USER, browser, return_to=visit.home + "?page=2")
                shown = visit.error_page(step, page, code)
                back = shown.links[1]
                ours = back.startswith(f"{visit.home}?page=2#error={code}&error_description=")
                step.check(ours, "the way back carries the same fragment", back)
                step.check(not (await visit.session(browser))["signed_in"], "nobody signed in", page.url)
            step.done(str(shown))
    step = visit.step("and nothing is left of all that")
    step.check(not await visit.token_holders(), "nothing stored", await visit.secrets())
    step.done("the sign-in button")


async def _languages(visit: Visit) -> None:
    page = await visit.refused(step := visit.step("the error page in English"), "account=robot", "unknown_account_kind")
    step.check(page.language == "en", "lang=en", page)
    step.done(str(page))
    step = visit.step("the error page in German")
    address = "/api/auth/error?code=unknown_account_kind&ref=0a1b2c"
    answer = await visit.browser.request("GET", address, headers={"accept-language": "de-DE,de;q=0.9,en;q=0.5"})
    german = read(answer)
    step.check(german.language == "de" and german.title != page.title, "lang=de, other words", german)
    step.check(german.details == ("unknown_account_kind", "0a1b2c"), "the same code and reference", german.details)
    step.done(str(german))
    step = visit.step("an address full of somebody else's text")
    evil = quote("<script>alert(1)</script>")
    answer = await visit.browser.goto(f"/api/auth/error?code={evil}&ref={evil}&error_description={evil}")
    step.check(
        "<script" not in answer.text and "alert(1)" not in answer.text, "none of it is shown", answer.text[-600:]
    )
    policy = answer.headers.get("content-security-policy", "")
    step.check("default-src 'none'" in policy, "and no script could run", policy)
    step.done(str(read(answer)))
    step = visit.step("a return address on somebody else's site")
    answer = await visit.browser.goto(f"/api/auth/error?code=grant_expired&return_to={quote('https://evil.example/')}")
    step.check(
        all(link.startswith(visit.url) for link in read(answer).links), "every link stays here", read(answer).links
    )
    step.done(str(read(answer)))


async def _lost_ways(visit: Visit) -> None:
    visit.browser.plays_scripts = False
    page = await visit.sign_in_by_hand("personal", PERSONAL_USER)
    visit.browser.plays_scripts = True
    answer = page.forms[0]
    step = visit.step("an answer that goes to another browser")
    async with visit.another_browser() as other:
        lost = await other.post(answer.action, dict(answer.fields), origin=page.address.partition("/consumers")[0])
        shown = visit.error_page(step, lost, "attempt_unknown")
        step.check(not (await visit.session(other))["signed_in"], "nobody signed in there", lost.url)
    step.done(str(shown))
    step = visit.step("the answer where it belongs")
    landed = await visit.browser.submit(page, answer)
    step.check(landed.url == visit.home and (await visit.session())["signed_in"], "signed in", landed.url)
    step.done("the demo page")
    step = visit.step("the same answer again, by the back button")
    again = await visit.browser.submit(page, answer)
    shown = visit.error_page(step, again, "attempt_spent")
    step.check((await visit.session())["signed_in"], "still signed in", await visit.session())
    step.done(str(shown))
    step = visit.step("a quarter of an hour too late")
    async with visit.another_browser() as slow:
        slow.plays_scripts = False
        await open_sign_in(slow, "personal")
        page = await visit.sign_in_by_hand("personal", PERSONAL_USER, slow)
        await visit.control.advance(16 * 60)
        shown = visit.error_page(step, await slow.submit(page, page.forms[0]), "attempt_expired")
    step.done(str(shown))


WALKS = (
    Walk("Refused at sign-in", ("R-13", "R-14"), _at_sign_in),
    Walk("The error page", ("R-14", "R-16"), _languages),
    Walk("Lost on the way", ("R-04", "R-14"), _lost_ways),
)
