"""Owns the authorization endpoint and its pages: who signs in, what they consent to, and the answer to the app."""

import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from local.identity_provider import pages, scopes
from local.identity_provider.answers import client_info, to_app
from local.identity_provider.authorize_request import (
    AuthorizationRequest,
    read_parameters,
    read_request,
    read_target,
)
from local.identity_provider.browser_sessions import BrowserSession, SignIn
from local.identity_provider.core import Core
from local.identity_provider.errors import ProviderError
from local.identity_provider.grants import Code
from local.identity_provider.keys import id_token
from local.identity_provider.users import User

_PENDING_S = 1800
_MOST_PENDING = 1000


@dataclass(slots=True)
class _Pending:
    """A request that waits for a person. `sign_in` is set once they have said who they are."""

    request: AuthorizationRequest
    since: float
    sign_in: SignIn | None = None


class AuthorizeEndpoint:
    """`authorize`, and the two forms of its pages: `choose` (the account) and `decide` (the consent)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._pending: dict[str, _Pending] = {}

    async def authorize(self, request: web.Request) -> web.Response:
        """GET and POST alike (OpenID Connect Core §3.1.2.1)."""
        try:
            authority = self._core.authority(request.match_info["tenant"])
            sent = read_parameters(await request.post() if request.method == "POST" else request.query)
            target = read_target(sent, self._core.registration)
        except ProviderError as error:
            return _sorry(error)
        try:
            wanted = read_request(sent, target, authority, self._core.behaviour)
            return self._begin(request, wanted)
        except ProviderError as error:
            return to_app(target, error.as_answer())

    async def choose(self, request: web.Request) -> web.Response:
        """Somebody has said who they are: that is all it takes here."""
        form = await request.post()
        context, username = str(form.get("context", "")), str(form.get("username", "")).strip()
        pending = self._find(context)
        if pending is None:
            return _gone()
        user = self._core.users.find(username)
        problem = _why_not(user, username, pending.request)
        if user is None or problem:
            return self._picker(context, pending.request, problem, username)
        browser = self._core.browsers.of(request)
        pending.sign_in = self._core.browsers.sign_in(browser, user)
        response = self._consent_or_finish(context, pending, pending.sign_in)
        self._core.browsers.remember(browser, response)
        return response

    async def decide(self, request: web.Request) -> web.Response:
        """Accept or Cancel on the consent page."""
        form = await request.post()
        context = str(form.get("context", ""))
        pending = self._find(context)
        if pending is None or pending.sign_in is None:
            return _gone()
        if form.get("decision") == "accept":
            self._core.ledger.consent(pending.sign_in.user, pending.request.scopes.names)
            return self._finish(context, pending.request, pending.sign_in)
        self._pending.pop(context, None)
        text = "User declined to consent to access the app."
        declined = ProviderError("access_denied", (65004,), text, fields={"error_subcode": "cancel"})
        return to_app(pending.request.target, declined.as_answer())

    def _begin(self, request: web.Request, wanted: AuthorizationRequest) -> web.Response:
        known = self._known(self._core.browsers.of(request), wanted)
        if wanted.prompt == "none":
            return self._finish("", wanted, self._silently(known, wanted))
        context = secrets.token_urlsafe(24)
        pending = self._keep(context, wanted)
        if len(known) == 1 and wanted.prompt not in ("login", "select_account"):
            pending.sign_in = known[0]
            return self._consent_or_finish(context, pending, known[0])
        return self._picker(context, wanted)

    def _known(self, browser: BrowserSession, wanted: AuthorizationRequest) -> list[SignIn]:
        """Sign-ins of this browser that the request may mean."""
        hint = wanted.login_hint
        return [
            sign_in
            for sign_in in browser.sign_ins.values()
            if wanted.may_be(sign_in.user) and (hint is None or sign_in.user.is_hinted(hint))
        ]

    def _silently(self, known: list[SignIn], wanted: AuthorizationRequest) -> SignIn:
        """`prompt=none` (OpenID Connect Core §3.1.2.6)."""
        if not known:
            text = "Session information is not sufficient for single-sign-on."
            raise ProviderError("login_required", (50058,), text)
        if len(known) > 1:
            text = "Either multiple user identities are available for the current request or none was selected."
            raise ProviderError("interaction_required", (16000,), text)
        if wanted.scopes.names - self._core.ledger.consented(known[0].user):
            text = "The user or administrator has not consented to use the application."
            raise ProviderError("interaction_required", (65001,), text)
        return known[0]

    def _picker(
        self, context: str, wanted: AuthorizationRequest, problem: str | None = None, typed: str = ""
    ) -> web.Response:
        users = [user for user in self._core.users if wanted.may_be(user)]
        hint = wanted.login_hint or ""
        users.sort(key=lambda user: not user.is_hinted(hint))
        hinted = users[0].username if users and users[0].is_hinted(hint) else hint
        return pages.account_picker(
            action=f"/{wanted.authority.segment}/signin",
            context=context,
            users=users,
            prefilled=typed or hinted,
            problem=problem,
        )

    def _consent_or_finish(self, context: str, pending: _Pending, sign_in: SignIn) -> web.Response:
        wanted = pending.request
        asked = wanted.scopes.names
        if wanted.prompt != "consent":
            asked -= self._core.ledger.consented(sign_in.user)
        if not asked:
            return self._finish(context, wanted, sign_in)
        return pages.consent(
            action=f"/{wanted.authority.segment}/consent",
            context=context,
            user=sign_in.user,
            permissions=scopes.in_words(asked),
        )

    def _finish(self, context: str, wanted: AuthorizationRequest, sign_in: SignIn) -> web.Response:
        self._pending.pop(context, None)
        try:
            self._core.check_refusal(sign_in.user, "authorize")
        except ProviderError as error:
            return to_app(wanted.target, error.as_answer())
        sign_in.apps.add(self._core.registration.client_id)
        fields = self._granted(wanted, sign_in)
        if wanted.client_info and self._core.behaviour.client_info_in_answer:
            fields["client_info"] = client_info(sign_in.user)
        fields["session_state"] = sign_in.sid
        return to_app(wanted.target, fields)

    def _granted(self, wanted: AuthorizationRequest, sign_in: SignIn) -> dict[str, str]:
        """A code, or tokens at once (OAuth 2.0 Multiple Response Type Encoding Practices §3, RFC 6749 §4.2.2)."""
        user, fields = sign_in.user, dict[str, str]()
        if "code" in wanted.response_types:
            code = Code(
                user=user,
                segment=wanted.authority.segment,
                redirect_uri=wanted.target.redirect_uri,
                scopes=wanted.scopes,
                nonce=wanted.nonce,
                code_challenge=wanted.code_challenge,
                sid=sign_in.sid,
                issued_at=time.time(),
            )
            return {"code": self._core.ledger.give_code(code)}
        if "token" in wanted.response_types:
            lifetime_s = self._core.behaviour.access_token_seconds
            fields["access_token"] = self._core.ledger.give_access_token(user, wanted.scopes, lifetime_s)
            fields |= {"token_type": "Bearer", "expires_in": str(lifetime_s)}
            fields["scope"] = wanted.scopes.echo(as_asked=user.personal)
        if "id_token" in wanted.response_types:
            fields["id_token"] = id_token(
                self._core.keys,
                back_url=self._core.back_url,
                client_id=self._core.registration.client_id,
                user=user,
                scopes=wanted.scopes.names,
                sid=sign_in.sid,
                nonce=wanted.nonce,
                access_token=fields.get("access_token"),
            )
        return fields

    def _keep(self, context: str, wanted: AuthorizationRequest) -> _Pending:
        if len(self._pending) >= _MOST_PENDING:
            del self._pending[next(iter(self._pending))]  # the oldest: somebody who never came back
        pending = self._pending[context] = _Pending(wanted, time.time())
        return pending

    def _find(self, context: str) -> _Pending | None:
        pending = self._pending.get(context)
        return pending if pending and abs(time.time() - pending.since) < _PENDING_S else None


def _why_not(user: User | None, username: str, wanted: AuthorizationRequest) -> str | None:
    if not username:
        return "Type a username, or choose an account."
    if user is None:
        return f"AADSTS50034: The user account '{username[:100]}' does not exist."
    if wanted.authority.takes(user):
        return None
    provider = "live.com" if user.personal else user.domain
    return (
        f"AADSTS50020: User account '{user.username}' from identity provider '{provider}' does not exist in "
        f"tenant '{wanted.authority.segment}' and can't access the application there. "
        "Sign in with another account."
    )


def _sorry(error: ProviderError) -> web.Response:
    return pages.problem("You can't sign in here", error.as_answer()["error_description"])


def _gone() -> web.Response:
    return pages.problem("This sign-in has ended", "It was answered already, or waited too long. Start again.")
