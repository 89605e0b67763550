"""Owns the routes of signing in and out: login, callback, error page, logout, front-channel sign-out.

Thin: they parse, keep cookies and answer; what happens is decided in `shared.usecases`.
"""

import re
from urllib.parse import urlencode

import azure.functions as func

from shared.attempts import Wish
from shared.challenges import from_link
from shared.client_info import read_client_info
from shared.errors import BadRequest, BundleError, SignInFailed
from shared.functions import pages
from shared.functions.cookies import ATTEMPT_PREFIX, SESSION, WAY_BACK
from shared.functions.handling import (
    Call,
    Route,
    blueprint_of,
    error_fragment,
    error_redirect,
    login_url,
    only_kind,
    safe_return,
)
from shared.functions.http import Answer, Fields, form_of, json_answer, redirect
from shared.functions.problems import new_ref, problem_of
from shared.functions.texts import EN, language_of
from shared.model import Attempt, Flow, ProviderRefusal, SessionRef, Stored, TokenAnswer
from shared.parts import PartsNow
from shared.usecases.sign_in import Completed, StartAgain

TOKEN_MOST = 16_000
_PROMPTS = ("none", "login", "consent", "select_account")
_HINT = re.compile(r"[^\s<>\"']{1,320}")
_AADSTS = re.compile(r"\AAADSTS(\d{4,10})\b")
_ERROR = re.compile(r"[a-z_]{1,64}")
_REF = re.compile(r"[A-Za-z0-9-]{1,64}")


async def login(call: Call) -> Answer:
    """302 to the provider; the attempt is sealed into a cookie of its own."""
    query = call.query
    _refuse_to_be_loaded(call.req)
    prompt = query.one("prompt", most=20)
    if prompt and prompt not in _PROMPTS:
        raise BadRequest("invalid_request", f"prompt is one of {', '.join(_PROMPTS)}.")
    wish = Wish(
        return_to=call.return_to(query.one("return_to")),
        account=query.one("account", most=20),
        scope=query.one("scope", most=600),
        flow=query.one("flow", most=20),
        prompt=prompt,
        login_hint=_hint(query, "login_hint"),
        domain_hint=_hint(query, "domain_hint"),
        claims=_claims(query),
        current=await _current(call),
    )
    attempt, url = await call.parts.sign_in.begin(wish)
    answer = redirect(url)
    answer.cookies = await call.cookies.set_attempt(attempt, call.sent)
    return answer


async def callback(call: Call) -> Answer:
    """The provider's answer, or the way back from its sign-out (a GET that brings neither code nor error)."""
    fields = form_of(call.req) if call.req.method == "POST" else call.query
    code, error, state = fields.one("code"), fields.one("error", most=100), fields.one("state", most=200)
    if call.req.method == "GET" and not (code or error):
        answer = redirect(call.return_to(call.cookies.way_back(call.sent.get(WAY_BACK))))
        answer.cookies = [call.cookies.clear_way_back()]
        return answer
    attempt, clear = await call.cookies.attempt(state or "", call.sent)
    try:
        if attempt is None:
            raise SignInFailed("attempt_spent" if call.parts.sign_in.was_spent(state) else "attempt_unknown")
        if error:
            # It came through the browser and goes to the log: nothing that does not look like an error's name.
            name = error if _ERROR.fullmatch(error) else "unreadable"
            refusal = ProviderRefusal(error=name, codes=_codes(fields.prose("error_description")))
            raise call.parts.sign_in.refused(attempt, refusal)
        answer = await _done(call, await _completed(call, attempt, fields, code))
    except BundleError as failure:
        answer = _failed(call, failure, attempt)
    answer.cookies += clear
    return answer


async def _completed(call: Call, attempt: Attempt, fields: Fields, code: str | None) -> Completed | StartAgain:
    sign_in, ring = call.parts.sign_in, call.parts.ring
    # The ring first: no code is spent and no session made that no cookie could be signed for.
    if attempt.flow is Flow.TOKEN:
        tokens = _token_answer(fields, attempt)
        await ring.newest()
        return await sign_in.complete_token(attempt, tokens)
    if code is None:
        raise SignInFailed("invalid_request", return_to=attempt.return_to)
    await ring.newest()
    return await sign_in.complete(attempt, code, _hinted_tenant(fields))


async def error(call: Call) -> Answer:
    """The friendly page, rendered from `code`; it shows nothing that came in the address."""
    code = call.query.one("code", most=64) or "internal_error"
    ref = call.query.one("ref", most=64) or ""
    known = code if code in EN and "." not in code else "internal_error"
    return_to = safe_return(call.settings, call.query.one("return_to")) or call.settings.default_return_url
    return pages.error_page(
        known,
        ref if _REF.fullmatch(ref) else new_ref(),
        language=language_of(call.req.headers.get("accept-language", "")),
        again_url=login_url(
            call.settings,
            return_to,
            claims=from_link(call.query.one("claims")),
            # Else the provider would take the same account again, without asking.
            prompt="select_account" if known == "wrong_account" else None,
        ),
        back_url=return_to + error_fragment(call.settings, known),
        only=only_kind(call.settings),
    )


async def logout(call: Call) -> Answer:
    """GET asks, POST does: tokens gone, local state gone, then the provider's logout (R-12)."""
    wished = safe_return(call.settings, call.query.one("return_to"))
    if call.req.method == "GET":
        provider = await call.parts.sign_out.provider_origin()
        action = f"{call.settings.public_base_url}/api/auth/logout"
        if wished:
            action += "?" + urlencode({"return_to": wished})
        language = language_of(call.req.headers.get("accept-language", ""))
        return pages.sign_out_page(language=language, action=action, provider_origin=provider)
    call.check_origin()
    return_to = call.return_to(wished or form_of(call.req).one("return_to"))
    url = await call.parts.sign_out.this(await _session_ref(call), call.settings.redirect_uri, state=new_ref())
    if url == call.settings.redirect_uri:
        url = return_to  # no provider to go by
    if "application/json" in call.req.headers.get("accept", ""):
        answer = json_answer({"url": url})
    else:
        answer = redirect(url, 303)
    answer.cookies = [call.cookies.clear_session(), call.cookies.set_way_back(return_to)]
    answer.cookies += [
        call.cookies.clear_attempt(name) for name in sorted(call.sent) if name.startswith(ATTEMPT_PREFIX)
    ][:5]
    return answer


async def frontchannel_logout(call: Call) -> Answer:
    """The provider's call from inside a hidden frame, where no cookie of ours arrives: it works by `sid`."""
    sid = call.query.one("sid", most=200)
    if sid is None:
        raise BadRequest("invalid_request", "sid is missing.")
    await call.parts.sign_out.by_sid(sid, call.query.one("iss", most=500))
    answer = Answer(200, "<!doctype html><title>Signed out</title>", "text/html")
    answer.headers["Content-Security-Policy"] = "default-src 'none'"
    return answer


def blueprint(parts_now: PartsNow) -> func.Blueprint:
    return blueprint_of(
        parts_now,
        (
            Route(name="auth_login", path="auth/login", methods=("GET",), handler=login, pages=True),
            Route(name="auth_callback", path="auth/callback", methods=("GET", "POST"), handler=callback, pages=True),
            Route(name="auth_error", path="auth/error", methods=("GET",), handler=error, pages=True),
            Route(name="auth_logout", path="auth/logout", methods=("GET", "POST"), handler=logout, pages=True),
            Route(
                name="auth_frontchannel_logout",
                path="auth/frontchannel-logout",
                methods=("GET",),
                handler=frontchannel_logout,
            ),
        ),
    )


def _refuse_to_be_loaded(req: func.HttpRequest) -> None:
    """By pages, as by an `<img>`: a few of those, and the attempt that a person is at has been pushed out.

    Our own scripts may ask: they read why a sign-in is refused. Source: "Fetch Metadata Request Headers" (W3C).
    """
    mode, site = req.headers.get("sec-fetch-mode", "navigate"), req.headers.get("sec-fetch-site", "")
    if mode == "no-cors" or (mode != "navigate" and site != "same-origin"):
        raise BadRequest("invalid_request", "A browser goes to this address; no page loads it.")


async def _done(call: Call, done: Completed | StartAgain) -> Answer:
    if isinstance(done, StartAgain):
        answer = redirect(done.url)
        answer.cookies = await call.cookies.set_attempt(done.attempt, call.sent)
        return answer
    answer = redirect(done.return_to)
    if done.session:
        answer.cookies = [await call.cookies.set_session(done.session)]
    return answer


def _failed(call: Call, failure: BundleError, attempt: Attempt | None) -> Answer:
    return_to, claims = (failure.return_to, failure.claims) if isinstance(failure, SignInFailed) else (None, None)
    if failure.code == "access_denied" and return_to:
        return redirect(return_to + error_fragment(call.settings, "access_denied"))
    claims = claims or (attempt.claims if attempt else None)
    return error_redirect(call.settings, problem_of(failure), return_to, claims=claims)


async def _current(call: Call) -> Stored | None:
    """The session of this browser, if it still is one. A vault that can't be asked must not stop a sign-in here."""
    try:
        read = await call.cookies.session(call.sent.get(SESSION))
        return await call.parts.sessions.get(read.ref) if read else None
    except BundleError:
        return None


async def _session_ref(call: Call) -> SessionRef | None:
    try:
        read = await call.cookies.session(call.sent.get(SESSION))
    except BundleError:
        # The vault can't give the key: the sign-out goes on all the same, and its deletion is tried again.
        claimed = call.cookies.claimed_session(call.sent.get(SESSION))
        return claimed.ref if claimed else None
    return read.ref if read else None


def _token_answer(fields: Fields, attempt: Attempt) -> TokenAnswer:
    id_token, access_token = fields.one("id_token", most=TOKEN_MOST), fields.one("access_token", most=TOKEN_MOST)
    if not (id_token and access_token):
        raise SignInFailed("invalid_request", return_to=attempt.return_to)
    return TokenAnswer(
        id_token=id_token,
        access_token=access_token,
        expires_in=fields.one("expires_in", most=10) or "",
        scope=fields.one("scope"),
    )


def _hinted_tenant(fields: Fields) -> str | None:
    try:
        hint = read_client_info(fields.one("client_info"))
    except BadRequest:
        return None
    return hint[1] if hint else None


def _hint(query: Fields, name: str) -> str | None:
    value = query.one(name, most=320)
    if value and not _HINT.fullmatch(value):
        raise BadRequest("invalid_request", f"{name} holds characters that it can't have.")
    return value


def _claims(query: Fields) -> str | None:
    """Whoever makes the link can only ask the provider for more proof, which it then demands or refuses."""
    text = query.one("claims")
    claims = from_link(text)
    if text and claims is None:
        raise BadRequest("invalid_request", "claims is not what a challenge asks for.")
    return claims


def _codes(description: str) -> tuple[int, ...]:
    """An error that comes through the browser carries its code only at the beginning of its description."""
    match = _AADSTS.match(description)
    return (int(match[1]),) if match else ()
