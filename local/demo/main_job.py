"""Owns the walks of the main job: sign in, stored in the vault, five notebooks, renewed, signed out."""

from local.browser.sign_in import PERSONAL_USER, WORK_USER, refuse_consent
from local.demo.visit import DAY_S, PURGE_AFTER_S, Visit, Walk


async def _personal(visit: Visit) -> None:
    await _main_job(visit, "personal", PERSONAL_USER)


async def _work(visit: Visit) -> None:
    await _main_job(visit, "work", WORK_USER)


async def _main_job(visit: Visit, account: str, username: str) -> None:
    step = visit.step(f"sign in, {account} account")
    page = await visit.signs_in(account, username)
    provider = (await visit.control.state())["services"]["identity_pages"]
    step.check(any(url.startswith(provider) for url in page.chain), "by the provider, on another site", page.chain)
    step.check(page.url == visit.home, "back on the demo page, nothing in the address", page.url)
    step.done(f"{username} chose an account, allowed it and came back")
    await _shows_session(visit, account, username)
    await _stored_in_vault(visit)
    step = visit.step("five notebooks by name")
    step.done(", ".join(await visit.notebooks(step)))
    await _expired_token(visit)
    await _day_later(visit)
    await _no_token_outside(visit)
    await _signs_out(visit)


async def _shows_session(visit: Visit, account: str, username: str) -> None:
    step = visit.step("session endpoint")
    session = await visit.session()
    step.check(session["signed_in"] is True, "signed in", session)
    shown = session["account"]
    step.check(shown["kind"] == account and shown["username"] == username, "account kind and username", shown)
    step.check(session["health"]["state"] == "ok", "health ok", session["health"])
    scopes = ", ".join(session["scopes"])
    step.done(f"{shown['name']}, {shown['kind']}, may {scopes}, token good until {session['expires_at']}")


async def _stored_in_vault(visit: Visit) -> None:
    step = visit.step("stored in the vault")
    secrets = await visit.secrets()
    holders = await visit.token_holders()
    await visit.remember_tokens()
    step.check(len(holders) == 1, "one secret with tokens", [secret["name"] for secret in secrets])
    tags = next(secret["tags"] for secret in secrets if secret["name"] == holders[0])
    step.check(bool(tags), "tags for the timer", tags)
    others = len(secrets) - 1
    step.done(f"{holders[0][:20]}… with tags {', '.join(sorted(tags))}; {others} secrets without tokens")


async def _expired_token(visit: Visit) -> None:
    step = visit.step("access token expired on purpose")
    before = len(await visit.token_calls())
    await visit.control.expire_access_tokens()
    await visit.notebooks(step)
    await visit.remember_tokens()
    renewals = len(await visit.token_calls()) - before
    step.check(renewals == 1, "one call to the token endpoint", renewals)
    step.done("the next list works, renewed once on the way")


async def _day_later(visit: Visit) -> None:
    step = visit.step("a day later, after the timer")
    refreshed = (await visit.session())["refreshed_at"]
    await visit.control.advance(DAY_S)
    before = len(await visit.token_calls())
    await visit.control.run_timer()
    made = len(await visit.token_calls()) - before
    step.check(made > 0, "the timer called the provider", f"{made} calls")
    session = await visit.session()
    step.check(session["refreshed_at"] != refreshed, "a newer token in the session", session)
    before = len(await visit.token_calls())
    await visit.notebooks(step)
    made = len(await visit.token_calls()) - before
    step.check(made == 0, "no provider call in the request", f"{made} calls")
    step.done(f"renewed at {session['refreshed_at']} by the timer; the next list is as fast as ever")


async def _no_token_outside(visit: Visit) -> None:
    step = visit.step("no token in the browser")
    await visit.remember_tokens()
    step.check(len(visit.tokens) >= 6, "against the tokens of a sign-in and two renewals", len(visit.tokens))
    heard = "\n".join(visit.browser.heard + [cookie.value for cookie in visit.browser.cookies])
    leaked = sum(token in heard for token in visit.tokens)
    step.check(leaked == 0, "none in cookies or answers", f"{leaked} of them")
    logged = "\n".join(visit.log)
    leaked = sum(token in logged for token in visit.tokens)
    step.check(leaked == 0, "none in the log", f"{leaked} of them")
    answer = await visit.browser.fetch("/api/auth/token", method="POST")
    refused = answer.status == 403 and answer.json()["code"] == "token_not_exposed"
    step.check(refused, "none for the asking", answer.text)
    names = ", ".join(sorted(cookie.name for cookie in visit.browser.cookies if cookie.host == "localhost"))
    step.done(f"{len(visit.tokens)} tokens so far; the browser has {names} and {len(visit.browser.heard)} texts")


async def _signs_out(visit: Visit) -> None:
    step = visit.step("sign out")
    page = await visit.browser.post("/api/auth/logout")
    provider = (await visit.control.state())["services"]["identity_pages"]
    step.check(any(url.startswith(provider) for url in page.chain), "by the provider's logout", page.chain)
    step.check(page.url == visit.home, "back on the page without query", page.url)
    step.check((await visit.session())["signed_in"] is False, "signed out", await visit.session())
    live = await visit.token_holders(deleted=False)
    step.check(not live, "tokens deleted at once", live)
    step.done("signed out here and at the provider")
    step = visit.step("a minute and a timer run later")
    await visit.control.advance(PURGE_AFTER_S)
    await visit.control.run_timer()
    left = await visit.token_holders()
    step.check(not left, "no token in deleted secrets either", left)
    step.done("the vault has nothing of this person's any more")


async def _consent_refused(visit: Visit) -> None:
    step = visit.step("consent refused")
    page = await refuse_consent(visit.browser, "personal", PERSONAL_USER)
    step.check(page.address == visit.home, "back on the demo page", page.address)
    error = page.fragment.get("error")
    step.check(error == "access_denied", "#error=access_denied", page.fragment)
    step.check("error_description" in page.fragment, "an error_description", page.fragment)
    step.check(not await visit.token_holders(), "nothing stored", await visit.secrets())
    await visit.log_says(step, "consent_refused", " INFO ")
    step.done(f"“{page.fragment['error_description']}”")
    step = visit.step("on second thoughts")
    await visit.signs_in("personal", PERSONAL_USER)
    step.check((await visit.session())["signed_in"] is True, "signed in", await visit.session())
    step.done("the same person allows it, and is in")


WALKS = (
    Walk(
        "The main job with a personal account",
        ("R-02", "R-04", "R-09", "R-10", "R-11", "R-12", "R-16"),
        _personal,
    ),
    Walk("The main job with a work or school account", ("R-03", "R-04", "R-09", "R-10", "R-11", "R-12"), _work),
    Walk("Consent refused", ("R-14",), _consent_refused),
)
