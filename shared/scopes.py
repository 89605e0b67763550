"""Owns permission names, old and new, and what each may do: pure rules (R-06 to R-08). Knows no setting.

Sources: "Microsoft Graph permissions reference" (Notes.*), "OneNote authentication" (the names of Live Connect
and of the former enterprise API). The tables are data: a new permission is a new line.
"""

import re
from collections.abc import Iterable

from shared.errors import BadRequest
from shared.model import AccountKind, Flow

OPENID = ("openid", "profile", "offline_access")
"""Asked for at every sign-in; the token flow leaves out the last (there is no refresh token to be had)."""

ONENOTE = ("Notes.Create", "Notes.Read", "Notes.ReadWrite", "Notes.Read.All", "Notes.ReadWrite.All")

ALLOWED = (*ONENOTE, "User.Read")
"""What may be asked for where AUTH_ALLOWED_SCOPES says nothing: all of OneNote, and reading the own profile."""

ALIASES = {
    # Live Connect: the Graph permission with the least power that still does what the name promised.
    "office.onenote": "Notes.Read",
    "office.onenote_create": "Notes.Create",
    "office.onenote_update": "Notes.ReadWrite",
    "office.onenote_update_by_app": "Notes.ReadWrite",
    "wl.signin": "openid",
    "wl.basic": "profile",
    "wl.offline_access": "offline_access",
    # Without effect on Graph any more.
    "notes.readwrite.createdbyapp": "Notes.ReadWrite",
}
WITHOUT_EFFECT = frozenset({"notes.readwrite.createdbyapp"})

WORK_ONLY = frozenset({"Notes.Read.All", "Notes.ReadWrite.All"})

INCLUDES = {
    "Notes.ReadWrite.All": frozenset({"Notes.ReadWrite", "Notes.Read.All", "Notes.Read", "Notes.Create"}),
    "Notes.ReadWrite": frozenset({"Notes.Read", "Notes.Create"}),
    "Notes.Read.All": frozenset({"Notes.Read"}),
}

_CANONICAL = {name.lower(): name for name in (*ONENOTE, *OPENID, "email", "User.Read")}
_RESOURCE = re.compile(r"https://(?:onenote\.com|graph\.microsoft\.com)/", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_MOST = 30


def parse(text: str) -> tuple[str, ...]:
    """Names in `text` (separated by spaces or commas) as canonical short names: aliases folded, sorted, once each.

    Raises BadRequest `invalid_scope` for what can't be a permission's name.
    """
    names: set[str] = set()
    words = re.split(r"[\s,+]+", text.strip()) if text.strip() else []
    if len(words) > _MOST:
        raise BadRequest("invalid_scope", f"At most {_MOST} permissions can be asked for at once.")
    for word in words:
        short = _RESOURCE.sub("", word)
        if not short:
            continue  # the resource alone, as the enterprise API took it: Graph's names say the same
        if not _NAME.fullmatch(short):
            raise BadRequest("invalid_scope", "The scope holds something that is not a permission's name.")
        names.add(ALIASES.get(short.lower()) or _CANONICAL.get(short.lower(), short))
    return tuple(sorted(names))


def without_effect(text: str) -> bool:
    """Whether `text` names a permission that Graph accepts and ignores: worth a word to the operator."""
    return any(_RESOURCE.sub("", word).lower() in WITHOUT_EFFECT for word in re.split(r"[\s,+]+", text))


def resource_scopes(names: Iterable[str]) -> tuple[str, ...]:
    """Without those of OpenID Connect: what an access token for Graph can carry."""
    return tuple(name for name in names if name not in OPENID)


def from_answer(text: str) -> tuple[str, ...]:
    """The `scope` of a token answer as short names; never raises: it is the provider's word."""
    shorts = (word.rsplit("/", 1)[-1] if "://" in word else word for word in text.split())
    return tuple(sorted({_CANONICAL.get(s.lower(), s) for s in shorts if s} - {*OPENID, "email"}))


def covers(held: Iterable[str], name: str) -> bool:
    """Whether one of `held` is `name` or includes it."""
    return any(name == have or name in INCLUDES.get(have, ()) for have in held)


def choose(
    asked: str | None,
    *,
    default: tuple[str, ...],
    allowed: tuple[str, ...],
    kind: AccountKind | None,
    flow: Flow,
) -> tuple[str, ...]:
    """What a sign-in asks the provider for, without OpenID Connect's own: what the caller named, or the default.

    Raises BadRequest: `invalid_scope`, `scope_not_allowed` (above the operator's ceiling),
    `scope_not_for_account` (a personal account can't have it), `offline_access_not_for_token_flow`.
    """
    named = parse(asked) if asked else ()
    if flow is Flow.TOKEN and "offline_access" in named:
        raise BadRequest(
            "offline_access_not_for_token_flow",
            "The token flow gives no refresh token: leave out offline_access (wl.offline_access).",
        )
    wanted = resource_scopes(named) or resource_scopes(default)
    for name in wanted:
        if name != "email" and not covers(allowed, name):
            raise BadRequest("scope_not_allowed", f"This app may not ask for {name}.")
        if kind is AccountKind.PERSONAL and name in WORK_ONLY:
            raise BadRequest(
                "scope_not_for_account",
                f"{name} exists for work and school accounts only; a personal account can give "
                f"{name.removesuffix('.All')}.",
            )
    return wanted
