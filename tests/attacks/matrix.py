"""Owns what may be wrong with a parameter, for every parameter of every route. Sends nothing.

A case is one request: the other parameters are as they should be, the one attacked is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from local.browser.sign_in import WORK_USER
from tests.attacks.wire import MARK

OTHER_SESSION = f"{MARK}-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
DEEP_JWT = "W1tb" * 3_900 + ".e30.c2ln"
"""Brackets within brackets where the head of an id token should be: deep enough to break a reader of JSON."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """One route and method, with what a caller may send. `form`: parameters travel in the body, not in the query.

    `flow`: an attempt of that flow must be under way, whose state goes into the place of `{state}`. `unread` is what
    the route has no use for.
    """

    method: str
    path: str
    good: dict[str, str] = field(default_factory=dict)
    attacked: tuple[str, ...] = ()
    form: bool = False
    flow: str | None = None
    unread: tuple[str, ...] = ()
    keyed: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f" ({self.flow} flow)" if self.flow else "")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`fields` is a query or a form, percent-encoded as it goes out."""

    door: Door
    name: str
    kind: str
    fields: str

    @property
    def cannot_be_meant(self) -> bool:
        """Whether the answer must say so, rather than take a part of it or pass over it."""
        return self.kind in _CANNOT_BE_MEANT and self.name not in self.door.unread

    def __str__(self) -> str:
        return f"{self.door} {self.name} {self.kind}"


_CANNOT_BE_MEANT = frozenset(
    {
        "repeated",
        "repeated with one empty",
        "not UTF-8",
        "overlong UTF-8",
        "half a surrogate pair",
        "line breaks",
        "line breaks at the ends",
        "a NUL",
        "C1 and line separators",
    }
)
_GRANT = {"code": f"{MARK}-code", "state": "{state}", "client_info": "e30", "session_state": "s"}
_REFUSAL = {"error": "server_error", "error_description": "AADSTS90033: busy", "state": "{state}"}
_TOKENS = {"id_token": "a.b.c", "access_token": f"{MARK}-token", "expires_in": "3599", "state": "{state}"}
_UNREAD = ("client_info", "session_state", "iss", "token_type", "error_description")
"""The last is prose with line breaks of Microsoft's own: looked into for a code, and whatever it is spoils nothing."""

DOORS = (
    Door(
        method="GET",
        path="/api/auth/login",
        good={"account": "personal"},
        attacked=("return_to", "account", "scope", "flow", "prompt", "login_hint", "domain_hint", "claims"),
    ),
    *(
        Door(
            method=method,
            path="/api/auth/callback",
            good=good,
            attacked=(*good, *more),
            form=method == "POST",
            flow=flow,
            # By GET, an answer with neither code nor error is the way back from sign-out, whatever else it brings.
            unread=(*_TOKENS, *more) if (method, flow) == ("GET", "token") else _UNREAD,
        )
        for method in ("GET", "POST")
        for flow, good, more in (
            ("code", _GRANT, ("iss",)),
            ("code", _REFUSAL, ()),
            ("token", _TOKENS, ("session_state", "client_info", "scope", "token_type")),
        )
    ),
    Door(method="GET", path="/api/auth/error", attacked=("code", "ref", "return_to", "claims")),
    Door(method="GET", path="/api/auth/logout", attacked=("return_to",)),
    Door(method="GET", path="/api/auth/frontchannel-logout", attacked=("sid", "iss"), good={"sid": OTHER_SESSION}),
    Door(method="GET", path="/api/auth/session", attacked=("return_to",), unread=("return_to",)),
    Door(method="GET", path="/api/auth/sessions", attacked=("page",), unread=("page",)),
    Door(method="POST", path="/api/auth/token", attacked=("min_validity",)),
    Door(method="GET", path="/api/ops/accounts", attacked=("page",), keyed=True),
)

_OTHERS = {
    "return_to": "https://evil.example/" + MARK,
    "account": "work",
    "login_hint": WORK_USER,
    "domain_hint": "contoso.example",
    "sid": OTHER_SESSION,
    "iss": f"https://{MARK}.example/v2.0",
    "code": f"{MARK}-code-of-another",
    "state": f"{MARK}-state-of-another",
    "scope": "Mail.Read",
    "flow": "token",
    "page": "bWFpbnxodHRwczovL2V2aWwuZXhhbXBsZS9zZWNyZXRzPw",
    "min_validity": "-1",
}


def cases(door: Door) -> Iterator[Case]:
    for name in door.attacked:
        for kind, sent in _wrong(name):
            fields = [f"{key}={_quoted(value)}" for key, value in door.good.items() if key != name]
            yield Case(door=door, name=name, kind=kind, fields="&".join([*fields, *sent]))


def _wrong(name: str) -> Iterator[tuple[str, list[str]]]:
    """Kinds of wrong values with the fields to send."""
    tag = f"%3C{MARK}%3E%22%27"
    yield "missing", []
    yield "empty", [f"{name}="]
    yield "nameless", [name]
    yield "repeated", [f"{name}=a", f"{name}={MARK}"]
    yield "repeated with one empty", [f"{name}=", f"{name}={MARK}"]
    yield "as a list", [f"{name}%5B%5D={MARK}"]
    yield "huge", [f"{name}={'A' * 5_000}{MARK}"]
    yield "a little too long", [f"{name}={'9' * 701}"]
    yield "not UTF-8", [f"{name}={MARK}%ff%fe"]
    yield "overlong UTF-8", [f"{name}={MARK}%c0%af%e0%80%af"]
    yield "half a surrogate pair", [f"{name}={MARK}%ed%a0%80"]
    yield "broken escapes", [f"{name}={MARK}%zz%"]
    yield "line breaks", [f"{name}={MARK}%0d%0aSet-Cookie:%20{MARK}=1%0d%0a%0d%0a{tag}"]
    yield "line breaks at the ends", [f"{name}=%0d%0a{MARK}%0d%0a"]
    yield "a NUL", [f"{name}={MARK}%00{MARK}"]
    yield "C1 and line separators", [f"{name}={MARK}%c2%85%e2%80%a8"]
    yield "markup", [f"{name}={tag}%3Cscript%3Ealert(1)%3C/script%3E"]
    yield "unicode", [f"{name}={MARK}-%C3%A9%F0%9F%99%82%E2%80%AE%EF%BC%93"]
    yield "other digits", [f"{name}=%D9%A1%D9%A2"]
    yield "a number out of bounds", [f"{name}={'9' * 30}"]
    yield "JSON", [f"{name}=%7B%22{MARK}%22%3A%5B1%5D%7D"]
    if name in ("id_token", "access_token", "client_info"):
        yield "brackets within brackets", [f"{name}={DEEP_JWT}"]
    if name in _OTHERS:
        yield "somebody else's", [f"{name}={quote(_OTHERS[name], safe='')}"]


def _quoted(value: str) -> str:
    return value if value == "{state}" else quote(value, safe="")
