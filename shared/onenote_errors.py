"""Owns what OneNote's own failures mean in plain words: they are no token trouble, and never treated as such (R-15).

Pure. Source: "OneNote API error codes" and the OneNote part of "Microsoft Graph throttling limits".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared import scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`code` is ours and stable. `retry_after_s` where waiting helps, `scope` where one more permission would."""

    code: str
    detail: str
    retry_after_s: int | None = None
    scope: str | None = None


_NO_LICENCE = Explanation(
    code="onenote_not_available",
    detail="This account has no OneNote to open: it lacks a licence with OneDrive, or OneDrive was never set up. "
    "Opening OneDrive once sets it up; otherwise the people who manage the account can help.",
)
_PROVISIONING = Explanation(
    code="onenote_being_set_up",
    detail="OneDrive for this account is being set up for the first time. That takes a few minutes.",
    retry_after_s=60,
)
_BUSY = Explanation(code="onenote_busy", detail="OneNote is busy. Try again in a moment.", retry_after_s=30)
_UNCERTAIN = replace(
    _BUSY, detail="OneNote took too long. It may have saved this all the same: look before it is sent again."
)
_TOO_MANY = Explanation(
    code="onenote_too_many_requests",
    detail="This app has asked OneNote too often for this person. It may go on in a moment.",
    retry_after_s=60,
)
_LOCKED = Explanation(
    code="onenote_section_locked",
    detail="This section is protected by a password. It can be opened in OneNote only.",
)
_FULL = Explanation(
    code="onenote_limit_reached",
    detail="A limit of OneNote or OneDrive is reached: delete or move something, then try again.",
)
_TOO_LARGE = Explanation(
    code="onenote_library_too_large",
    detail="This library holds too many OneNote items to be listed. Ask for one section or notebook at a time.",
)
_FORBIDDEN = Explanation(code="onenote_forbidden", detail="This person may not open or change that notebook.")
_GONE = Explanation(code="onenote_not_found", detail="That notebook, section or page is not there (any more).")
_SUSPENDED = Explanation(
    code="onenote_account_suspended",
    detail="This account's OneDrive is suspended. The people who manage the account can say why.",
)

_BY_CODE: Mapping[str, Explanation] = {
    **dict.fromkeys(("10001", "19999", "10002", "10003", "10007", "10014", "10015", "30103", "40009"), _BUSY),
    **dict.fromkeys(("30105", "30106"), _PROVISIONING),
    "30108": _NO_LICENCE,
    "10004": _LOCKED,
    **dict.fromkeys(("10008", "10013", "20266", "10016"), _TOO_LARGE),
    "20166": _TOO_MANY,
    **dict.fromkeys(("30101", "30102"), _FULL),
    "30104": _SUSPENDED,
    **dict.fromkeys(("40002", "40003", "40007", "40008", "10012"), _FORBIDDEN),
    **dict.fromkeys(("20102", "20113"), _GONE),
}
_PERMISSION = ("40001", "40004", "40006")
PROVISIONING_CODES = frozenset({"30105", "30106"})


def parsed(body: bytes) -> Any:
    """A body as JSON; None for what is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def code_in(body: Any) -> str | None:
    """The `error.code` of a parsed answer of Graph or OneNote; None where there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def error_code(body: bytes) -> str | None:
    return code_in(parsed(body))


def about_the_token(body: Any) -> bool:
    """Whether another access token may help against a 401: not when OneNote names a reason of its own, as 40001."""
    code = code_in(body)
    return code is None or not code.isdigit()


def explain(status: int, code: str | None, *, method: str, path: str, held: tuple[str, ...]) -> Explanation | None:
    """What an error answer means for the person; None where there is nothing to add.

    `held` are the permissions that the session has. A missing permission is told from all other refusals by
    OneNote's code, and names the least one that this very request needs.
    """
    if code in _PERMISSION or (
        status == 403 and code in ("accessDenied", "AccessDenied", "Authorization_RequestDenied")
    ):
        scope = least_permission(method, path)
        # Whoever may read may list: "Notes.Create" is only the least that lists.
        lists = method == "GET" and scope == "Notes.Create" and scopes.covers(held, "Notes.Read")
        if not (lists or scopes.covers(held, scope)):
            detail = f"This needs the permission {scope}, which the person has not given yet."
            return Explanation(code="permission_missing", detail=detail, scope=scope)
        return _FORBIDDEN
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if status == 429:
        return _TOO_MANY
    if status == 507:
        return _FULL
    if status in (502, 504) and method != "GET":
        return _UNCERTAIN
    return _BUSY if status in (502, 503, 504) else None


def least_permission(method: str, path: str) -> str:
    """The least permission that a OneNote request needs ("Microsoft Graph permissions reference", OneNote).

    Notebooks of groups, sites and other people need the `.All` permissions.
    """
    segments = [segment.lower() for segment in path.split("/") if segment]
    own = len(segments) > 1 and segments[1] == "me"
    if method == "GET":
        lists = segments[-1:] in (["notebooks"], ["sections"], ["sectiongroups"])
        least = "Notes.Create" if lists and own else "Notes.Read"
    elif method == "POST":
        least = "Notes.Create"
    else:
        least = "Notes.ReadWrite"
    if own:
        return least
    return "Notes.Read.All" if least == "Notes.Read" else "Notes.ReadWrite.All"
