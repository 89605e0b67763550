"""Owns a person who is signed in while others attack, and the proof that nothing happened to them."""

from dataclasses import dataclass
from typing import Any, Self

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, sign_in
from local.control_client import ControlClient
from local.demo import NOTEBOOKS, token_strings
from tests.stack.test_sign_in import session_of


@dataclass(frozen=True)
class Victim:
    """`secrets` is what no answer and no log line may hold: tokens, cookie values, keys of the ring."""

    browser: Browser
    control: ControlClient
    session: dict[str, object]
    stored: list[dict[str, Any]]
    cookie: str
    secrets: tuple[str, ...]

    @classmethod
    async def sign_in(cls, browser: Browser, control: ControlClient) -> Self:
        await sign_in(browser, "personal", PERSONAL_USER)
        cookie = session_cookie(browser)
        return cls(
            browser=browser,
            control=control,
            session=await session_of(browser),
            stored=await stored(control),
            cookie=cookie,
            secrets=(cookie, *await token_strings(control), *await ring_keys(control)),
        )

    async def assert_untouched(self) -> None:
        """Still signed in with the same cookie; every secret of the vault has the versions and tags it had."""
        assert session_cookie(self.browser) == self.cookie
        assert await session_of(self.browser) == self.session
        assert await stored(self.control) == self.stored
        assert (await self.browser.fetch(NOTEBOOKS)).status == 200


async def stored(control: ControlClient) -> list[dict[str, Any]]:
    """Everything in the vaults but the values: names, tags, versions; what is deleted, too."""
    return await control.vaults()


async def ring_keys(control: ControlClient) -> tuple[str, ...]:
    """The values of secrets that are neither a session nor an index: the keys that sign cookies."""
    return tuple(
        value
        for vault in await control.vaults(values=True)
        for secret in vault["secrets"]
        for value in secret["values"]
        if not value.lstrip().startswith(("{", "["))
    )


def session_cookie(browser: Browser) -> str:
    return next(cookie.value for cookie in browser.cookies if cookie.name == "__Secure-onenote-auth")
