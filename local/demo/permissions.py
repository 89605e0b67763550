"""Owns the walks of permissions: names of both generations, the ceiling, what an account can't give, more later."""

from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlsplit

from local.browser.sign_in import PERSONAL_USER, WORK_USER, sign_in_on
from local.demo.account_kinds import PERSONAL_ONLY
from local.demo.step import Step
from local.demo.visit import Visit, Walk
from local.graph.onenote import GROUP_ID
from local.identity_provider import USERS

_OTHER_PERSONAL_USER = next(user.username for user in USERS if user.personal and user.username != PERSONAL_USER)
_SIGN_IN = {"openid", "profile", "offline_access"}
_CONSUMER_NAMES = {
    "office.onenote": {"Notes.Read"},
    "office.onenote_create": {"Notes.Create"},
    "office.onenote_update_by_app": {"Notes.ReadWrite"},
    "office.onenote_update": {"Notes.ReadWrite"},
    "wl.signin": {"Notes.Read"},  # openid and profile, which every sign-in asks for, and the default
    "wl.offline_access": {"Notes.Read"},
}
_ENTERPRISE_NAMES = {
    "Notes.Create": {"Notes.Create"},
    "Notes.Read": {"Notes.Read"},
    "Notes.ReadWrite": {"Notes.ReadWrite"},
    "Notes.Read.All": {"Notes.Read.All"},
    "Notes.ReadWrite.All": {"Notes.ReadWrite.All"},
    "https://onenote.com/Notes.Read": {"Notes.Read"},
    "Notes.ReadWrite.CreatedByApp": {"Notes.ReadWrite"},
}


async def _asks(visit: Visit, step: Step, account: str, names: Mapping[str, set[str]]) -> None:
    for name, wanted in names.items():
        answer = await visit.browser.request("GET", f"/api/auth/login?account={account}&scope={quote(name)}")
        query = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        asked = set(query.get("scope", [""])[0].split())
        shown = ", ".join(sorted(wanted))
        step.check(asked == wanted | _SIGN_IN, f"{name} asks for {shown}", (answer.status, sorted(asked)))


async def _consumer_names(visit: Visit) -> None:
    step = visit.step("each of the old names")
    await _asks(visit, step, "personal", _CONSUMER_NAMES)
    step.done("the provider's page asks for the Graph permission that does what the name promised")
    step = visit.step("sign in with wl.signin wl.offline_access office.onenote_update")
    await visit.signs_in("personal", PERSONAL_USER, scope="wl.signin wl.offline_access office.onenote_update")
    session = await visit.session()
    step.check(session["scopes"] == ["Notes.ReadWrite"], "scopes as Graph names them", session["scopes"])
    made = await visit.graph("notebooks", "POST", {"displayName": "From an old app"})
    step.check(made.status == 201, "a notebook can be made", made.text)
    step.done(f"{session['account']['name']} may {', '.join(session['scopes'])}, and made “From an old app”")


async def _enterprise_names(visit: Visit) -> None:
    step = visit.step("each of the enterprise names")
    await _asks(visit, step, "work", _ENTERPRISE_NAMES)
    await visit.log_says(step, "scope_without_effect", "Notes.ReadWrite.CreatedByApp")
    step.done("the provider's page asks for the permission of that name; the one without effect is replaced")
    step = visit.step("a work account gives Notes.Read.All")
    await visit.signs_in("work", WORK_USER, scope="https://onenote.com/Notes.Read.All")
    team = await visit.browser.fetch(f"/api/graph/v1.0/groups/{GROUP_ID}/onenote/notebooks?$top=1")
    step.check(team.status == 200 and bool(team.json()["value"]), "a group's notebooks open", team.text)
    step.done(f"the group's notebook {team.json()['value'][0]['displayName']}")
    for name in ("Notes.Read.All", "Notes.ReadWrite.All"):
        step = visit.step(f"a personal account can't give {name}")
        shown = await visit.refused(step, f"account=personal&scope={name}", "scope_not_for_account")
        step.done(str(shown))
    step = visit.step("characters that no name has")
    step.done(str(await visit.refused(step, "scope=Notes%00.Read%3Cb%3E", "invalid_request")))
    step = visit.step("a permission that there isn't")
    step.done(str(await visit.refused(step, "scope=Notes.Everything", "scope_not_allowed")))


async def _ceiling(visit: Visit) -> None:
    step = visit.step("a link that asks for more than the operator allows")
    step.done(str(await visit.refused(step, "scope=Notes.Read+Notes.ReadWrite", "scope_not_allowed")))
    step = visit.step("a link that asks for no more than that")
    await visit.signs_in("personal", PERSONAL_USER, scope="office.onenote")
    scopes = (await visit.session())["scopes"]
    step.check(scopes == ["Notes.Read"], "Notes.Read and nothing else", scopes)
    step.done("signed in")


async def _more_later(visit: Visit) -> None:
    await visit.signs_in("personal", PERSONAL_USER)
    step = visit.step("a new notebook with the permission to read only")
    refused = await visit.graph("notebooks", "POST", {"displayName": "Harvest"})
    words = refused.json().get("explanation", {})
    step.check(refused.status == 403 and words.get("code") == "permission_missing", "permission_missing", refused.text)
    step.check(words.get("scope") == "Notes.Create", "the least permission named", words)
    session = await visit.session()
    step.check(session["signed_in"] and session["health"]["state"] == "ok", "still signed in", session)
    step.done(f"“{words['detail']}” and a link")
    step = visit.step("a click on that link, and Accept")
    before = _session_cookie(visit)
    page = await sign_in_on(visit.browser, await visit.browser.goto(words["login_url"]), PERSONAL_USER)
    step.check(page.address == visit.home and not page.fragment, "back in the app", page.url)
    session = await visit.session()
    step.check(session["scopes"] == ["Notes.Create", "Notes.Read"], "one permission more, none less", session["scopes"])
    step.check(_session_cookie(visit) == before, "the same session", "another cookie")
    made = await visit.graph("notebooks", "POST", {"displayName": "Harvest"})
    step.check(made.status == 201, "the notebook can be made", made.text)
    step.done("“Harvest” is there")
    await _another_account(visit)


async def _another_account(visit: Visit) -> None:
    step = visit.step("another account chosen where a permission was to be added")
    before = await visit.token_holders(deleted=False)
    page = await visit.browser.goto("/api/auth/login?scope=Notes.ReadWrite&prompt=select_account")
    page = await sign_in_on(visit.browser, page, _OTHER_PERSONAL_USER)
    session = await visit.session()
    step.check(session["account"]["username"] == _OTHER_PERSONAL_USER, "the chosen account", session)
    after = await visit.token_holders(deleted=False)
    step.check(len(after) == 1 and not set(after) & set(before), "a session of its own, the old one gone", after)
    names = await visit.notebooks(step)
    owner = f"({_OTHER_PERSONAL_USER.partition('@')[0].capitalize()})"
    step.check(all(owner in name for name in names), "that person's notebooks", names)
    step.done(f"{session['account']['name']} with {names[0]}; never a mixture")


def _session_cookie(visit: Visit) -> str:
    return next(cookie.value for cookie in visit.browser.cookies if cookie.name.endswith("onenote-auth"))


WALKS = (
    Walk("The consumer scopes' names", ("R-06", "R-08"), _consumer_names),
    Walk("The enterprise scopes' names", ("R-07", "R-14"), _enterprise_names),
    Walk("Above the operator's ceiling", ("R-08", "R-14"), _ceiling, PERSONAL_ONLY),
    Walk("One more permission later", ("R-08", "R-15"), _more_later),
)
