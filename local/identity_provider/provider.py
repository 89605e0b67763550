"""Owns the identity provider as the rest of the stack sees it: one object, its routes, its switches."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from aiohttp import web

from local.faults import Faults
from local.identity_provider.authorize import AuthorizeEndpoint
from local.identity_provider.browser_sessions import BrowserSessions
from local.identity_provider.core import Behaviour, Core, Registration, Stage
from local.identity_provider.discovery import Discovery
from local.identity_provider.errors import ProviderError
from local.identity_provider.grants import AccessToken
from local.identity_provider.sign_out import ConsentPage, SignOut, revoke
from local.identity_provider.token_endpoint import TokenEndpoint
from local.identity_provider.users import USERS, Directory, User

_AT_REFRESH: tuple[Stage, ...] = ("refresh_token",)


class IdentityProvider:
    """A strict provider with the v2.0 endpoints of the Microsoft identity platform, for one app.

    `front_url` serves people, `back_url` (https) serves programs; the same app answers on both.
    `post_logout_redirect_uris` are addresses beside the redirect URIs that sign-out may lead to.
    `accepts_assertion` judges client assertions (a managed identity's tokens, for one).
    """

    def __init__(
        self,
        *,
        front_url: str,
        back_url: str,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        front_channel_logout_url: str | None = None,
        post_logout_redirect_uris: Sequence[str] = (),
        accepts_assertion: Callable[[str], bool] | None = None,
        users: Iterable[User] = USERS,
    ) -> None:
        self.faults = Faults()
        self._core = Core(
            front_url=front_url.rstrip("/"),
            back_url=back_url.rstrip("/"),
            registration=Registration(
                client_id=client_id,
                client_secret=client_secret,
                redirect_uris=frozenset(redirect_uris),
                post_logout_redirect_uris=frozenset(post_logout_redirect_uris),
                front_channel_logout_url=front_channel_logout_url,
                accepts_assertion=accepts_assertion,
            ),
            users=Directory(users),
            browsers=BrowserSessions(front_url),
        )
        self._authorize = AuthorizeEndpoint(self._core)

    @property
    def behaviour(self) -> Behaviour:
        """Set its attributes; they hold from the next request on."""
        return self._core.behaviour

    @property
    def token_calls(self) -> Counter[tuple[str, str]]:
        """Calls of the token endpoint by grant type and tenant segment of the path."""
        return self._core.token_calls

    @property
    def users(self) -> tuple[User, ...]:
        return tuple(self._core.users)

    def make_app(self) -> web.Application:
        """A new application over the same state, for each listener."""
        app = web.Application(middlewares=[self.faults.middleware])
        discovery, sign_out, consents = Discovery(self._core), SignOut(self._core), ConsentPage(self._core)
        at = "/{tenant}/oauth2/v2.0"
        app.add_routes(
            [
                web.get("/{tenant}/v2.0/.well-known/openid-configuration", discovery.configuration),
                web.get("/{tenant}/discovery/v2.0/keys", discovery.keys),
                web.get(f"{at}/authorize", self._authorize.authorize, allow_head=False),
                web.post(f"{at}/authorize", self._authorize.authorize),
                web.post("/{tenant}/signin", self._authorize.choose),
                web.post("/{tenant}/consent", self._authorize.decide),
                web.route("*", f"{at}/token", TokenEndpoint(self._core).token),
                web.get(f"{at}/logout", sign_out.logout, allow_head=False),
                web.post(f"{at}/logout", sign_out.logout),
                web.get("/", consents.start),
                web.get("/consent", consents.show),
                web.post("/consent/revoke", consents.revoke),
            ]
        )
        return app

    def access_token(self, token: str) -> AccessToken | None:
        """For a resource: what the token stands for; None if it is not ours or no longer valid."""
        known = self._core.ledger.access_tokens.get(token)
        return known if known is not None and time.time() < known.expires_at else None

    def expire_access_tokens(self) -> None:
        """Every access token so far counts as expired from now on."""
        self._core.ledger.access_tokens.clear()

    def revoke_consent(self, username: str) -> None:
        """The user's refresh tokens die, consent is forgotten. Raises LookupError for an unknown user."""
        revoke(self._core, self._user(username))

    def refuse(
        self,
        username: str,
        error: str = "invalid_grant",
        codes: Sequence[int] = (50173,),
        suberror: str | None = None,
        claims: str | None = None,
        *,
        at: Collection[Stage] = _AT_REFRESH,
        until_sign_in: bool = False,
    ) -> None:
        """Refuse this user with any error there is, until `stop_refusing`, or until a code of theirs is redeemed.

        `at`: `refresh_token` and `authorization_code` at the token endpoint, `authorize` in the browser.
        Raises LookupError for an unknown user.
        """
        text = "Refused by order of a test; see the error code for the cause."
        refusal = ProviderError(error, tuple(codes), text, suberror=suberror, claims=claims)
        self._core.refuse(self._user(username), refusal, at, until_sign_in)

    def stop_refusing(self, username: str | None = None) -> None:
        """Take back what `refuse` ordered, for one user or for all."""
        if username is None:
            self._core.refusals.clear()
        else:
            self._core.refusals.pop(self._user(username).username, None)

    def rotate_keys(self) -> None:
        """Sign with a new key from now on; the old ones stay published."""
        self._core.keys.rotate()

    def _user(self, username: str) -> User:
        user = self._core.users.find(username)
        if user is None:
            raise LookupError(f"there is no test user {username}")
        return user
