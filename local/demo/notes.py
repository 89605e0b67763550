"""Owns the walks of OneNote calls: more than one page of a list, what may not pass, and OneNote's own failures."""

from local.browser import Answer
from local.browser.sign_in import PERSONAL_USER
from local.demo.step import Step
from local.demo.visit import Visit, Walk
from local.identity_provider import USERS

_UNLICENSED_USER = next(user.username for user in USERS if not user.licensed)


async def _any_client(visit: Visit) -> None:
    step = visit.step("call 1, a link to login")
    page = await visit.signs_in("personal", PERSONAL_USER, return_to=visit.home + "?from=another-app")
    step.check(page.query == {"from": "another-app"}, "back where the link said", page.url)
    step.done("signed in by a plain link, no library needed")
    step = visit.step("call 2, OneNote by Graph's own paths")
    drafts = (await visit.graph("sections?$filter=displayName%20eq%20'Drafts'&$top=1")).json()
    first = await visit.graph(f"sections/{drafts['value'][0]['id']}/pages?$top=2&$select=title")
    step.check(first.status == 200, "pages of a section", first.text)
    titles = [page["title"] for page in first.json()["value"]]
    following = first.json().get("@odata.nextLink", "")
    if following:
        step.check(following.startswith(visit.url + "/api/graph/"), "the next link leads back through us", following)
        more = await visit.browser.fetch(following)
        step.check(more.status == 200, "and works", more.text)
        titles += [page["title"] for page in more.json()["value"]]
    step.done(", ".join(titles))
    step = visit.step("call 3, sign out")
    answer = await visit.browser.fetch("/api/auth/logout", method="POST")
    provider = (await visit.control.state())["services"]["identity_pages"]
    step.check(answer.status == 200 and answer.json()["url"].startswith(provider), "where to go on", answer.text)
    step.check(not (await visit.session())["signed_in"], "signed out", await visit.session())
    step.done("JSON with the address of the provider's logout")


async def _not_ours(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    step = visit.step("mail, files and tricks through the pass-through")
    for path in ("me/messages", "me/drive/root", "me/onenote/../messages", "me/onenote/%2e%2e/messages"):
        answer = await visit.browser.fetch(f"/api/graph/v1.0/{path}")
        step.check(answer.status in (400, 404), f"{path} refused", (answer.status, answer.text))
    asked = await visit.control.calls("graph")
    step.check(not asked, "Graph not asked", asked)
    step.done(f"“{answer.json()['detail']}”" if answer.text else "nothing")
    step = visit.step("a page of another site posts with the person's cookie")
    headers = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    answer = await visit.browser.fetch(
        "/api/graph/v1.0/me/onenote/notebooks", method="POST", headers=headers, body={"displayName": "Not theirs"}
    )
    step.check(answer.status == 403 and answer.json()["code"] == "forbidden_origin", "forbidden_origin", answer.text)
    step.done(f"“{answer.json()['detail']}”")


async def _failures(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER, scope="Notes.ReadWrite")
    before = await visit.token_calls()
    onenote = visit.control.onenote
    step = visit.step("a section with a password")
    sections = (await visit.graph("sections?$filter=displayName%20eq%20'Diary'")).json()["value"]
    await _explained(step, await visit.graph(f"sections/{sections[0]['id']}/pages"), 403, "onenote_section_locked")
    step = visit.step("OneDrive being set up, ready after a moment")
    await onenote(PERSONAL_USER, provisioning=1)
    names = await visit.notebooks(step)
    step.check(True, "asked once more by itself", None)
    step.done(f"{names[0]} and four more, a little later than usual")
    step = visit.step("OneDrive being set up, for minutes")
    await onenote(PERSONAL_USER, provisioning=9)
    await _explained(step, await visit.graph("notebooks"), 503, "onenote_being_set_up", retry=True)
    await onenote(PERSONAL_USER, provisioning=0, calls_per_minute=1)
    step = visit.step("too many requests")
    await _explained(step, await visit.graph("notebooks"), 429, "onenote_too_many_requests", retry=True)
    await onenote(PERSONAL_USER, calls_per_minute=None, notebook_limit=1)
    step = visit.step("no room for another notebook")
    made = await visit.graph("notebooks", "POST", {"displayName": "One too many"})
    await _explained(step, made, 507, "onenote_limit_reached")
    await onenote(PERSONAL_USER, notebook_limit=None, too_many_items=True)
    step = visit.step("a library too large to list")
    await _explained(step, await visit.graph("pages"), 403, "onenote_library_too_large")
    await onenote(PERSONAL_USER, too_many_items=False)
    step = visit.step("a notebook that is gone")
    await _explained(step, await visit.graph("notebooks/0-ABCDEF!9"), 404, "onenote_not_found")
    await _graph_away(visit)
    step = visit.step("after all that")
    await visit.notebooks(step)
    step.check(await visit.token_calls() == before, "no token was renewed for it", await visit.token_calls())
    session = await visit.session()
    step.check(session["health"]["state"] == "ok", "health ok", session)
    step.done("still signed in, notebooks as before")


async def _graph_away(visit: Visit) -> None:
    step = visit.step("OneNote does not answer")
    await visit.control.fault("graph", "reset_before", times=None)
    answer = await visit.graph("notebooks")
    await visit.control.clear_faults()
    step.check(answer.status == 503 and answer.json()["code"] == "graph_unavailable", "graph_unavailable", answer.text)
    step.done(f"“{answer.json()['detail']}”")


async def _no_licence(visit: Visit) -> None:
    await visit.signs_in("work", _UNLICENSED_USER)
    before = await visit.token_calls()
    step = visit.step(f"{_UNLICENSED_USER} has no licence")
    await _explained(step, await visit.graph("notebooks"), 403, "onenote_not_available")
    step = visit.step("and is not signed out for it")
    session = await visit.session()
    step.check(session["signed_in"] and session["health"]["state"] == "ok", "signed in, health ok", session)
    step.check(await visit.token_calls() == before, "no token renewed", await visit.token_calls())
    step.done(f"{session['account']['name']}, signed in")


async def _explained(step: Step, answer: Answer, status: int, code: str, *, retry: bool = False) -> None:
    """OneNote's own error, kept as it was, with our words beside it; ends the step with them."""
    step.check(answer.status == status, f"status {status}", (answer.status, answer.text))
    body = answer.json()
    step.check(body.get("explanation", {}).get("code") == code, code, body)
    step.check("code" in body["error"], "OneNote's own error beside it", body)
    if retry:
        step.check("retry-after" in answer.headers, "a time to wait", dict(answer.headers))
    step.done(f"“{body['explanation']['detail']}”")


WALKS = (
    Walk("Any client, in three calls", ("R-09", "R-17"), _any_client),
    Walk("Only OneNote, only from here", ("R-09", "R-16"), _not_ours),
    Walk("OneNote's own failures", ("R-15",), _failures),
    Walk("No licence", ("R-15",), _no_licence),
)
