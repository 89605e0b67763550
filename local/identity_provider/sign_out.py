"""Owns the ends of things: sign-out with its front channel, and the page where consent is taken back."""

from collections.abc import Iterable
from urllib.parse import urlencode

from aiohttp import web

from local.identity_provider import pages, scopes
from local.identity_provider.browser_sessions import SignIn
from local.identity_provider.core import Core
from local.identity_provider.errors import ProviderError, consent_missing
from local.identity_provider.users import User


class SignOut:
    """The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0 §2)."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def logout(self, request: web.Request) -> web.Response:
        """GET and POST alike. Somebody who is not signed in is signed out just as well."""
        try:
            self._core.authority(request.match_info["tenant"])
        except ProviderError as error:
            return pages.problem("You can't sign out here", error.as_answer()["error_description"])
        sent = await request.post() if request.method == "POST" else request.query
        hint, state = sent.get("logout_hint"), sent.get("state")
        browser = self._core.browsers.of(request)
        ended = self._core.browsers.sign_out(browser, str(hint) if hint else None)
        onward = self._onward(str(sent.get("post_logout_redirect_uri", "")), str(state) if state else None)
        frames = list(self._frames(ended))
        if onward is not None and not frames:
            response = web.Response(status=302, headers={"Location": onward, "Cache-Control": "no-store"})
        else:
            response = pages.signed_out(frames, onward)
        self._core.browsers.forget(browser, response)
        return response

    def _onward(self, address: str, state: str | None) -> str | None:
        """Only to addresses that the app registered: this would be an open redirect otherwise."""
        app = self._core.registration
        if address not in app.redirect_uris | app.post_logout_redirect_uris:
            return None
        if state is None:
            return address
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'state': state})}"

    def _frames(self, ended: Iterable[SignIn]) -> Iterable[str]:
        """The app's front-channel address for every sign-in that it had an answer of."""
        app = self._core.registration
        url = app.front_channel_logout_url
        for sign_in in ended:
            if url is None or app.client_id not in sign_in.apps:
                continue
            parameters = {"sid": sign_in.sid}
            if self._core.behaviour.front_channel_iss:
                parameters["iss"] = f"{self._core.back_url}/{sign_in.user.tenant_id}/v2.0"
            yield f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


class ConsentPage:
    """What users have allowed, of all users: this is a development tool."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def start(self, request: web.Request) -> web.Response:
        return pages.start()

    async def show(self, request: web.Request) -> web.Response:
        given = [
            (user, scopes.in_words(names)) for user in self._core.users if (names := self._core.ledger.consented(user))
        ]
        return pages.given_consents(given)

    async def revoke(self, request: web.Request) -> web.Response:
        user = self._core.users.find(str((await request.post()).get("username", "")))
        if user is None:
            return pages.problem("Nothing was revoked", "There is no such test user.")
        revoke(self._core, user)
        return web.Response(status=303, headers={"Location": "/consent", "Cache-Control": "no-store"})


def revoke(core: Core, user: User) -> None:
    """Consent forgotten, refresh tokens dead. Access tokens live on until they run out, as Microsoft's do."""
    core.ledger.consents.pop(user.username, None)
    core.ledger.end_families(user, consent_missing())
