"""Owns a visit: one person with one browser on a freshly seeded stack, and what every walk asks and looks at."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.browser import Answer, Browser
from local.browser.sign_in import open_sign_in, sign_in, sign_in_on
from local.control_client import ControlClient
from local.demo.pages import Shown, read
from local.demo.secrets_held import holds_token, token_strings
from local.demo.step import Step, StepFailed
from local.process import StackProcess

NOTEBOOKS = "/api/graph/v1.0/me/onenote/notebooks?$top=5&$orderby=displayName"
PURGE_AFTER_S = 61  # a refresh under way ends within 30 s; the timer purges no sooner than a minute later
HOUR_S = 3_600
DAY_S = 86_400


@dataclass(frozen=True)
class Walk:
    """A named part of the demo, the rows of the requirements that it shows, and the app settings it needs."""

    name: str
    rows: tuple[str, ...]
    steps: "Callable[[Visit], Awaitable[None]]"
    settings: Mapping[str, str] = field(default_factory=dict)


class Visit:
    """`tokens` are all that the vault was seen to hold so far."""

    def __init__(self, stack: StackProcess, control: ControlClient, browser: Browser) -> None:
        self.control = control
        self.browser = browser
        self.tokens: set[str] = set()
        self._stack = stack
        self._log_from = len(stack.lines)
        self._steps: list[Step] = []

    @property
    def url(self) -> str:
        return self.browser.base_url

    @property
    def home(self) -> str:
        """Where people land."""
        return self.browser.base_url + "/"

    @property
    def log(self) -> list[str]:
        """What the stack has printed during this visit."""
        return self._stack.lines[self._log_from :]

    def step(self, name: str) -> Step:
        self._steps.append(Step(name))
        return self._steps[-1]

    @property
    def last_step(self) -> str:
        """What was begun last, for messages."""
        return self._steps[-1].name if self._steps else "before the first step"

    def end(self) -> None:
        """Raises StepFailed for a step that was begun and not ended."""
        for step in self._steps:
            if not step.is_done:
                raise StepFailed(step.name, "every step ended", "this one was not")

    def another_browser(self) -> Browser:
        """On another device, or somebody else's; an async context manager."""
        return Browser(self.url)

    async def signs_in(self, account: str, username: str, browser: Browser | None = None, **query: str) -> Answer:
        """A whole sign-in, everything allowed. Raises StepFailed unless it ends where it should, without an error."""
        page = await sign_in(browser or self.browser, account, username, **query)
        if page.status != 200 or page.fragment or not page.url.startswith(query.get("return_to", self.home)):
            raise StepFailed(f"sign in {username}", "back in the app, no error in the address", page.url)
        return page

    async def sign_in_by_hand(
        self, account: str, username: str, browser: Browser | None = None, **query: str
    ) -> Answer:
        """A whole sign-in wherever it leads: to an error page, or to the provider's page that waits to be sent on."""
        visitor = browser or self.browser
        return await sign_in_on(visitor, await open_sign_in(visitor, account, **query), username)

    async def session(self, browser: Browser | None = None, return_to: str = "") -> dict[str, Any]:
        """What `/api/auth/session` says; with `return_to`, its links come back there."""
        query = f"?return_to={return_to}" if return_to else ""
        answer = await (browser or self.browser).fetch(f"/api/auth/session{query}")
        if answer.status != 200:
            raise StepFailed("ask for the session", "status 200", f"status {answer.status}: {answer.text[:300]}")
        return dict(answer.json())

    async def graph(self, path: str, method: str = "GET", body: Any = None, browser: Browser | None = None) -> Answer:
        """A OneNote call: `path` is what stands after `/onenote/`."""
        return await (browser or self.browser).fetch(f"/api/graph/v1.0/me/onenote/{path}", method=method, body=body)

    async def notebooks(self, step: Step, browser: Browser | None = None) -> list[str]:
        """The five names by the article's own request, checked for their order."""
        answer = await (browser or self.browser).fetch(NOTEBOOKS)
        step.check(answer.status == 200, "the list works", f"status {answer.status}: {answer.text[:300]}")
        names = [str(notebook["displayName"]) for notebook in answer.json()["value"]]
        in_order = len(names) == 5 and names == sorted(names, key=str.casefold)
        step.check(in_order, "five notebooks sorted by name", names)
        return names

    def error_page(self, step: Step, page: Answer, code: str) -> Shown:
        """What stands on the bundle's error page for `code`, with its address and its links checked (R-14)."""
        shown = read(page)
        there = page.address == f"{self.url}/api/auth/error"
        step.check(there and shown.details[:1] == (code,), f"the error page for {code}", (page.url, shown.details))
        described = page.fragment.get("error") == code and bool(page.fragment.get("error_description"))
        step.check(described, "#error and #error_description", page.fragment)
        has_ref = len(shown.details) == 2 and shown.details[1] == page.query.get("ref")
        step.check(has_ref and len(shown.links) == 2, "a reference and two ways on", shown)
        return shown

    async def refused(self, step: Step, query: str, code: str) -> Shown:
        """Click on `/api/auth/login?…` that must be refused at once: the page, and that the provider saw nothing."""
        before = len(await self.control.calls("identity"))
        page = await self.browser.follow(await self.browser.goto("/"), f"/api/auth/login?{query}")
        shown = self.error_page(step, page, code)
        asked = [call for call in (await self.control.calls("identity"))[before:] if "authorize" in call["path"]]
        step.check(not asked, "before the redirect", asked)
        return shown

    async def secrets(self) -> list[dict[str, Any]]:
        return [secret for vault in await self.control.vaults() for secret in vault["secrets"]]

    async def token_holders(self, *, deleted: bool = True) -> list[str]:
        """Names of the secrets with a token; deleted ones too, unless told otherwise."""
        vaults = await self.control.vaults(values=True)
        found = [s for vault in vaults for s in (*vault["secrets"], *(vault["deleted"] if deleted else ()))]
        return [str(secret["name"]) for secret in found if holds_token(secret)]

    async def remember_tokens(self) -> None:
        self.tokens |= set(await token_strings(self.control))

    async def token_calls(self) -> list[str]:
        """The tenant segment of every call to the token endpoint so far, oldest first."""
        calls = await self.control.calls("identity")
        return [str(call["path"]).split("/")[1] for call in calls if call["path"].endswith("/token")]

    async def log_says(self, step: Step, event: str, *words: str) -> None:
        """Check that the operator's log tells of `event` (on one line with `words`), in a moment at the latest."""
        for _ in range(100):
            if any(f'"{event}"' in line and all(word in line for word in words) for line in self.log):
                break
            await asyncio.sleep(0.05)
        else:
            step.check(False, f"{event} in the log", self.log[-5:])
        step.check(True, f"{event} in the log", None)
