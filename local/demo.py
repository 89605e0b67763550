"""Owns the walk of `dev.py demo`: the main job on a stack of its own, without a browser, each step checked.

`python -m local.demo [--all]`. A walk is a list of steps in the words of a person; each prints one line with what
was checked. The first that isn't as it must be ends the demo with exit code 1 and says what was expected.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.browser import Browser, BrowserError
from local.browser.sign_in import PERSONAL_USER, WORK_USER, refuse_consent, sign_in
from local.control_client import ControlClient
from local.process import StackFailed, StackProcess

NOTEBOOKS = "/api/graph/v1.0/me/onenote/notebooks?$top=5&$orderby=displayName"
PURGE_AFTER_S = 61  # a refresh under way ends within 30 s; the timer purges no sooner than a minute later
DAY_S = 86_400


class StepFailed(Exception):
    """A step did not show what it must."""

    def __init__(self, step: str, expected: str, seen: object) -> None:
        super().__init__(f"{step}\n        expected: {expected}\n        seen:     {seen}")


@dataclass
class Visit:
    """One person with one browser on a freshly seeded stack, and the stack's control API beside them."""

    browser: Browser
    control: ControlClient
    tokens: set[str] = field(default_factory=set)  # every one that the vault has held so far

    def ok(self, step: str, detail: str) -> None:
        print(f"ok  {step}: {detail}", flush=True)

    def expect(self, condition: bool, step: str, expected: str, seen: object) -> None:
        if not condition:
            raise StepFailed(step, expected, seen)

    async def session(self) -> dict[str, Any]:
        answer = await self.browser.fetch("/api/auth/session")
        self.expect(answer.status == 200, "ask for the session", "status 200", f"status {answer.status}")
        return dict(answer.json())

    async def notebooks(self, step: str) -> list[str]:
        """The five names, checked for their order."""
        answer = await self.browser.fetch(NOTEBOOKS)
        self.expect(answer.status == 200, step, "status 200", f"status {answer.status}: {answer.text[:300]}")
        names = [str(notebook["displayName"]) for notebook in answer.json()["value"]]
        self.expect(len(names) == 5, step, "five notebooks", names)
        self.expect(names == sorted(names, key=str.casefold), step, "names in order", names)
        return names

    async def secrets(self) -> list[dict[str, Any]]:
        return [secret for vault in await self.control.vaults() for secret in vault["secrets"]]

    async def token_holders(self) -> list[str]:
        """Names of the secrets with a token, deleted ones included: there must be none after a sign-out."""
        vaults = await self.control.vaults(values=True)
        return [str(s["name"]) for vault in vaults for s in (*vault["secrets"], *vault["deleted"]) if holds_token(s)]


def holds_token(secret: Mapping[str, Any]) -> bool:
    """Whether any version of a secret is a record with tokens, by the words that every such record has."""
    return any("refresh_token" in value or "access_token" in value for value in secret["values"])


@dataclass(frozen=True)
class Walk:
    """A named part of the demo and the rows of the requirements that it shows."""

    name: str
    rows: tuple[str, ...]
    steps: Callable[[Visit], Awaitable[None]]


async def _signs_in(visit: Visit, account: str, username: str) -> None:
    step = f"sign in, {account} account"
    page = await sign_in(visit.browser, account, username)
    visit.expect(page.address == visit.browser.base_url + "/", step, "back on the demo page", page.address)
    visit.expect(not page.fragment, step, "no error in the address", page.fragment)
    visit.ok(step, f"{username} signed in at the provider, came back by a form post from another site")


async def _main_job(visit: Visit, account: str, username: str) -> None:
    await _signs_in(visit, account, username)
    await _shows_session(visit, account, username)
    await _stored_in_vault(visit)
    names = await visit.notebooks("five notebooks")
    visit.ok("five notebooks by name", ", ".join(names))
    await _expired_token(visit)
    await _day_later(visit)
    await _no_token_in_browser(visit)
    await _signs_out(visit)


async def _shows_session(visit: Visit, account: str, username: str) -> None:
    step = "session endpoint"
    session = await visit.session()
    visit.expect(session["signed_in"] is True, step, "signed_in true", session)
    shown = session["account"]
    visit.expect(shown["kind"] == account, step, f"kind {account}", shown)
    visit.expect(shown["username"] == username, step, f"username {username}", shown)
    visit.expect(session["health"]["state"] == "ok", step, "health ok", session["health"])
    scopes = ", ".join(session["scopes"])
    visit.ok(step, f"{shown['name']}, {shown['kind']}, may {scopes}, token good until {session['expires_at']}")


async def _stored_in_vault(visit: Visit) -> None:
    step = "stored in the vault"
    secrets = await visit.secrets()
    holders = await visit.token_holders()
    visit.tokens |= set(await token_strings(visit.control))
    visit.expect(len(holders) == 1, step, "one secret with tokens", [secret["name"] for secret in secrets])
    tags = next(secret["tags"] for secret in secrets if secret["name"] == holders[0])
    visit.expect(bool(tags), step, "tags for the timer", tags)
    others = len(secrets) - 1
    visit.ok(step, f"{holders[0][:20]}… with tags {', '.join(sorted(tags))}; {others} secrets without tokens")


async def _expired_token(visit: Visit) -> None:
    step = "access token expired on purpose"
    before = await _token_calls(visit)
    await visit.control.expire_access_tokens()
    await visit.notebooks(step)
    visit.tokens |= set(await token_strings(visit.control))
    renewals = await _token_calls(visit) - before
    visit.expect(renewals == 1, step, "one call to the token endpoint", renewals)
    visit.ok(step, "the next list works, renewed once on the way")


async def _day_later(visit: Visit) -> None:
    step = "a day later, after the timer"
    refreshed = (await visit.session())["refreshed_at"]
    await visit.control.advance(DAY_S)
    before = await _token_calls(visit)
    await visit.control.run_timer()
    visit.expect(await _token_calls(visit) > before, step, "the timer renews the token", "no call to the provider")
    session = await visit.session()
    visit.expect(session["refreshed_at"] != refreshed, step, "a newer token in the session", session)
    before = await _token_calls(visit)
    await visit.notebooks(step)
    made = await _token_calls(visit) - before
    visit.expect(made == 0, step, "no call to the provider in the request", f"{made} calls")
    visit.ok(step, f"renewed at {session['refreshed_at']} by the timer; the next list made no provider call")


async def _no_token_in_browser(visit: Visit) -> None:
    step = "no token in the browser"
    visit.tokens |= set(await token_strings(visit.control))
    visit.expect(len(visit.tokens) >= 6, step, "the tokens of a sign-in and two renewals", len(visit.tokens))
    heard = "\n".join(visit.browser.heard + [cookie.value for cookie in visit.browser.cookies])
    leaked = sum(token in heard for token in visit.tokens)
    visit.expect(leaked == 0, step, "none of the vault's tokens in cookies or answers", f"{leaked} of them")
    names = ", ".join(sorted(cookie.name for cookie in visit.browser.cookies if cookie.host == "localhost"))
    visit.ok(
        step,
        f"none of {len(visit.tokens)} tokens in {len(visit.browser.heard)} header lines and bodies, nor in {names}",
    )


async def token_strings(control: ControlClient) -> list[str]:
    """Every access and refresh token that a vault holds now, in any version of any secret."""
    vaults = await control.vaults(values=True)
    holders = [s for vault in vaults for s in (*vault["secrets"], *vault["deleted"]) if holds_token(s)]
    return [token for secret in holders for value in secret["values"] for token in _tokens_in(json.loads(value))]


def _tokens_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        here = [v for k, v in value.items() if k in ("access_token", "refresh_token") and isinstance(v, str)]
        return here + [token for inner in value.values() for token in _tokens_in(inner)]
    if isinstance(value, list):
        return [token for inner in value for token in _tokens_in(inner)]
    return []


async def _signs_out(visit: Visit) -> None:
    step = "sign out"
    page = await visit.browser.post("/api/auth/logout")
    provider = (await visit.control.state())["services"]["identity_pages"]
    visit.expect(any(url.startswith(provider) for url in page.chain), step, "by the provider's logout", page.chain)
    visit.expect(page.url == visit.browser.base_url + "/", step, "back on the demo page", page.url)
    visit.expect((await visit.session())["signed_in"] is False, step, "signed out", await visit.session())
    live = [
        secret["name"]
        for vault in await visit.control.vaults(values=True)
        for secret in vault["secrets"]
        if holds_token(secret)
    ]
    visit.expect(not live, step, "no secret with tokens", live)
    visit.ok(step, "tokens deleted at once, provider's logout called, back on the page without query")
    await visit.control.advance(PURGE_AFTER_S)
    await visit.control.run_timer()
    left = await visit.token_holders()
    visit.expect(not left, step, "no token in deleted secrets either", left)
    visit.ok("a minute and a timer run later", "the vault holds no token, not even in its deleted secrets")


async def _token_calls(visit: Visit) -> int:
    return sum(call["path"].endswith("/token") for call in await visit.control.calls("identity"))


async def _personal(visit: Visit) -> None:
    await _main_job(visit, "personal", PERSONAL_USER)


async def _work(visit: Visit) -> None:
    await _main_job(visit, "work", WORK_USER)


async def _consent_refused(visit: Visit) -> None:
    step = "consent refused"
    page = await refuse_consent(visit.browser, "personal", PERSONAL_USER)
    visit.expect(page.address == visit.browser.base_url + "/", step, "back on the demo page", page.address)
    error = page.fragment.get("error")
    visit.expect(error == "access_denied", step, "#error=access_denied", page.fragment)
    visit.expect("error_description" in page.fragment, step, "an error_description", page.fragment)
    visit.expect(not await visit.token_holders(), step, "nothing stored", await visit.secrets())
    visit.ok(step, f"#error={error}&error_description={page.fragment['error_description']}; nothing stored")
    await _signs_in(visit, "personal", PERSONAL_USER)


WALKS: Sequence[Walk] = (
    Walk(
        "The main job with a personal account",
        ("R-02", "R-04", "R-09", "R-10", "R-11", "R-12", "R-16"),
        _personal,
    ),
    Walk("The main job with a work or school account", ("R-03", "R-04", "R-09", "R-10", "R-11", "R-12"), _work),
    Walk("Consent refused", ("R-14",), _consent_refused),
)
"""Every walk there is, in order. `--all` walks all of them; without it, the main job's."""

MAIN_JOB: Sequence[Walk] = WALKS[:3]


async def _walk_all(url: str, walks: Sequence[Walk]) -> None:
    async with ControlClient(url) as control:
        for number, walk in enumerate(walks):
            print(f"\n{walk.name} ({', '.join(walk.rows)})", flush=True)
            if number:
                await control.reset()
            async with Browser(url) as browser:
                await walk.steps(Visit(browser, control))


def _check_end(exit_code: int) -> None:
    if exit_code != 0:
        raise StepFailed("end the stack", "exit code 0", f"exit code {exit_code}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0 only if every step was checked."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="every row of the requirements, failures included")
    walks = WALKS if parser.parse_args(arguments).all else MAIN_JOB
    start = time.monotonic()
    try:
        with StackProcess() as stack:
            print(f"ok  stack: ready at {stack.url} after {time.monotonic() - start:.1f} s", flush=True)
            asyncio.run(_walk_all(stack.url, walks))
            _check_end(stack.stop())
    except (StepFailed, BrowserError, StackFailed) as error:
        print(f"\nFAILED  {error}", file=sys.stderr, flush=True)
        return 1
    print(f"\nEvery step was checked, in {time.monotonic() - start:.1f} s.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
