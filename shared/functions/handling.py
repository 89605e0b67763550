"""Owns what every HTTP function shares: parts, CORS, the check of who calls, errors as answers.

A handler is `async (Call) -> Answer`; a `Route` says where it stands, `blueprint_of` makes functions of them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

import azure.functions as func

from shared.attempts import allowed_kinds
from shared.challenges import to_link
from shared.errors import Forbidden, Misconfigured, NotSignedIn, ReauthRequired
from shared.functions.cookies import SESSION, Cookies, SessionCookie
from shared.functions.http import NO_FIELDS, Answer, Fields, cookies_of, query_of, redirect, wants_page
from shared.functions.problems import Problem, problem_answer, problem_of
from shared.functions.texts import text_for
from shared.model import Account, AccountKind
from shared.origins import origin_of
from shared.parts import Parts, PartsNow
from shared.settings import Settings

type Handler = Callable[["Call"], Awaitable[Answer]]
type Function = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]

RETURN_MOST = 1_000
"""Bytes of a return address: it travels in the attempt's cookie, which must stay under 4 KB as a whole."""

GRAPH_HEADERS = (
    "accept",
    "accept-language",
    "client-request-id",
    "consistencylevel",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "prefer",
    "range",
    "sdkversion",
)
"""What of a request's headers goes to Graph: what its documents and its official clients use. No other does."""

_HEADERS_ALLOWED = ", ".join(GRAPH_HEADERS)
_HEADERS_EXPOSED = (
    "accept-ranges, client-request-id, content-disposition, content-range, etag, last-modified, location, "
    "operation-location, preference-applied, request-id, retry-after, x-ms-ags-diagnostic"
)


@dataclass(slots=True)
class Call:
    """One request, with the parts to answer it. Not frozen: every request makes one, and freezing costs more than making."""

    req: func.HttpRequest
    parts: Parts
    cookies: Cookies
    sent: dict[str, str]
    query: Fields

    @property
    def settings(self) -> Settings:
        return self.parts.settings

    async def session(self) -> SessionCookie:
        """Raises NotSignedIn."""
        read = await self.cookies.session(self.sent.get(SESSION))
        if read is None:
            raise NotSignedIn
        return read

    def return_to(self, value: str | None) -> str:
        """`value` if it lies on an allowed origin (RFC 9700 §4.11: no open redirector), else the default page."""
        return safe_return(self.settings, value) or self.settings.default_return_url

    def check_origin(self) -> None:
        """Refuse another site's request to change something. Raises Forbidden `forbidden_origin`."""
        origin = self.req.headers.get("origin", "")
        site = self.req.headers.get("sec-fetch-site", "")
        if origin in ("", "null"):
            # A page with `Referrer-Policy: no-referrer` sends "null", to its own origin too; and browsers send Origin
            # with whatever changes state, so without either header it is a program.
            allowed = site in ("same-origin", "none") or (not origin and not site)
        else:
            allowed = origin in self.settings.origins
        if not allowed:
            raise Forbidden("forbidden_origin", "The request came from an origin that is not in FRONTEND_ORIGINS.")

    def reconnect_url(self, account: Account | None, return_to: str | None, claims: str | None = None) -> str:
        return login_url(self.settings, return_to, account.kind if account else None, claims=claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One function: `name` as the platform shows it, `path` below the prefix, `methods` without OPTIONS.

    `pages`: a person's browser navigates here, so its errors end on the error page. `keyed`: for the operator.
    `raw_query`: the query is somebody else's to read, so it is neither parsed nor bounded here.
    """

    name: str
    path: str
    methods: tuple[str, ...]
    handler: Handler
    pages: bool = False
    keyed: bool = False
    raw_query: bool = False

    @property
    def allow(self) -> str:
        return ", ".join((*self.methods, "OPTIONS"))


def blueprint_of(parts_now: PartsNow, routes: Sequence[Route]) -> func.Blueprint:
    """The functions for `routes`. The host answers a method that a route does not list with 404, OPTIONS too."""
    bp = func.Blueprint()
    for route in routes:
        level = func.AuthLevel.FUNCTION if route.keyed else func.AuthLevel.ANONYMOUS
        bp.route(route.path, methods=[*route.methods, "OPTIONS"], auth_level=level)(_function(parts_now, route))
    return bp


def _function(parts_now: PartsNow, route: Route) -> Function:
    cookies: Cookies | None = None

    async def function(req: func.HttpRequest) -> func.HttpResponse:
        try:
            parts = await parts_now()
        except Misconfigured as error:
            findings = error.findings if route.keyed else ()
            return problem_answer(problem_of(error), findings=findings).to_response()
        nonlocal cookies
        cookies = cookies or Cookies(parts.settings, parts.ring, parts.clock)
        answer = await _answer(req, parts, cookies, route)
        if "origin" in req.headers:
            _allow_origin(req, parts.settings, answer)
        return answer.to_response()

    function.__name__ = route.name
    return function


async def _answer(req: func.HttpRequest, parts: Parts, cookies: Cookies, route: Route) -> Answer:
    if req.method == "OPTIONS":
        return Answer(204, headers={"Allow": route.allow})
    call: Call | None = None
    try:
        call = Call(req, parts, cookies, cookies_of(req), NO_FIELDS if route.raw_query else query_of(req))
        return await route.handler(call)
    except Exception as error:
        problem = problem_of(error)
        if route.pages and wants_page(req):
            return error_redirect(parts.settings, problem, _wished_return(call))
        reconnect = None
        if call and isinstance(error, ReauthRequired | NotSignedIn):
            claims = error.claims if isinstance(error, ReauthRequired) else None
            reconnect = call.reconnect_url(None, safe_return(parts.settings, req.headers.get("referer")), claims)
        return problem_answer(problem, reconnect_url=reconnect)


def _wished_return(call: Call | None) -> str | None:
    try:
        return safe_return(call.settings, call.query.one("return_to")) if call else None
    except Exception:
        return None


def error_redirect(settings: Settings, problem: Problem, return_to: str | None, *, claims: str | None = None) -> Answer:
    """To the friendly page; its address carries `#error=…&error_description=…` for front ends (R-14).

    `claims`: what the attempt was to show the provider, so that "Try again" does.
    """
    query = {"code": problem.code, "ref": problem.ref}
    if return_to:
        query["return_to"] = return_to
    if carried := to_link(claims):
        query["claims"] = carried
    page = f"{settings.public_base_url}/api/auth/error?{urlencode(query)}"
    return redirect(page + error_fragment(settings, problem.code))


def error_fragment(settings: Settings, code: str) -> str:
    text = text_for(code, "en", only=only_kind(settings))
    return "#" + urlencode({"error": code, "error_description": f"{text.title}. {text.body}"}, quote_via=quote)


def only_kind(settings: Settings) -> str | None:
    """The one kind of account that AUTH_TENANT lets in; None where it is both."""
    possible = allowed_kinds(settings.tenant)
    return possible[0].value if len(possible) == 1 else None


def login_url(
    settings: Settings,
    return_to: str | None,
    kind: AccountKind | None = None,
    *,
    claims: str | None = None,
    prompt: str | None = None,
) -> str:
    """`claims`, as JSON, travel in the link itself: every instance can then ask for them (R-10)."""
    query = {"return_to": return_to or settings.default_return_url}
    if kind:
        query["account"] = kind.value
    if prompt:
        query["prompt"] = prompt
    if carried := to_link(claims):
        query["claims"] = carried
    return f"{settings.public_base_url}/api/auth/login?{urlencode(query)}"


def safe_return(settings: Settings, value: str | None) -> str | None:
    """An address on an allowed origin, without fragment; a path alone counts as one on the public origin."""
    if not value or len(value.encode("utf-8", "replace")) > RETURN_MOST or "\\" in value:
        return None
    if value.startswith("/") and not value.startswith("//"):
        value = origin_of(settings.public_base_url) + value
    try:
        parts = urlsplit(value)
        if origin_of(value) not in settings.origins:
            return None
    except ValueError:
        return None
    return parts._replace(fragment="").geturl()


def _allow_origin(req: func.HttpRequest, settings: Settings, answer: Answer) -> None:
    """Let pages of an allowed origin read the answer (Fetch Standard, CORS protocol and HTTP caches)."""
    origin = req.headers["origin"]
    answer.headers["Vary"] = "Origin"
    if origin not in settings.origins:
        return
    answer.headers["Access-Control-Allow-Origin"] = origin
    answer.headers["Access-Control-Allow-Credentials"] = "true"
    answer.headers["Access-Control-Expose-Headers"] = _HEADERS_EXPOSED
    if req.method == "OPTIONS":
        answer.headers["Access-Control-Allow-Methods"] = answer.headers["Allow"]
        answer.headers["Access-Control-Allow-Headers"] = _HEADERS_ALLOWED
        answer.headers["Access-Control-Max-Age"] = "600"
