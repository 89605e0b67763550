"""Owns single sign-on: which accounts are signed in at the provider in which browser, by cookie."""

import secrets
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from local.identity_provider.users import User


@dataclass(slots=True)
class SignIn:
    """One account in one browser. `sid` names it to apps; `apps` are the client ids that got an answer."""

    user: User
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    apps: set[str] = field(default_factory=set)


@dataclass(slots=True)
class BrowserSession:
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    sign_ins: dict[str, SignIn] = field(default_factory=dict)  # by username


class BrowserSessions:
    """All browsers. The cookie's name holds the port: cookies of one host are shared between its ports."""

    def __init__(self, front_url: str) -> None:
        parts = urlsplit(front_url)
        self._cookie = f"idp_sso_{parts.port or parts.scheme}"
        self._secure = parts.scheme == "https"
        self._sessions: dict[str, BrowserSession] = {}

    def of(self, request: web.Request) -> BrowserSession:
        """The browser's session; an empty one, not yet kept, for a browser never seen."""
        return self._sessions.get(request.cookies.get(self._cookie, "")) or BrowserSession()

    def sign_in(self, browser: BrowserSession, user: User) -> SignIn:
        """Signing in again keeps the `sid`: it is still the same session at the provider."""
        self._sessions[browser.key] = browser
        return browser.sign_ins.setdefault(user.username, SignIn(user))

    def remember(self, browser: BrowserSession, response: web.StreamResponse) -> None:
        """Set the cookie; it ends with the browser."""
        response.set_cookie(self._cookie, browser.key, path="/", httponly=True, samesite="Lax", secure=self._secure)

    def sign_out(self, browser: BrowserSession, logout_hint: str | None) -> list[SignIn]:
        """End the hinted account's sign-in, or all of them where the hint names none. Returns the ended ones."""
        hinted = [s for s in browser.sign_ins.values() if logout_hint and s.user.login_hint == logout_hint]
        ended = hinted or list(browser.sign_ins.values())
        for sign_in in ended:
            del browser.sign_ins[sign_in.user.username]
        return ended

    def forget(self, browser: BrowserSession, response: web.StreamResponse) -> None:
        """Clear the cookie once nobody is signed in any more."""
        if not browser.sign_ins:
            self._sessions.pop(browser.key, None)
            response.del_cookie(self._cookie, path="/", httponly=True, samesite="Lax", secure=self._secure)
