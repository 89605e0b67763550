"""Owns OneNote's refusals: its numbered errors, who may do what, and what a name may be. Pure.

Sources: "Error codes for OneNote APIs in Microsoft Graph", "Microsoft Graph permissions reference" (Notes.*).
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from local.identity_provider import AccessToken

NOTEBOOK_NAME_MAX = 128
SECTION_NAME_MAX = 50

_FORBIDDEN_IN_NAMES = re.compile(r"[?*\\/:<>|'\"\x00-\x1f]")


class OneNoteError(Exception):
    """A refusal: HTTP status, `code` (a string of digits for OneNote's own), words, headers."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class Action(StrEnum):
    """What a request does, as far as permissions tell requests apart."""

    LIST = "list"  # GET notebooks, sections, section groups
    READ = "read"  # GET anything else
    CREATE = "create"
    CHANGE = "change"


_OWN = {
    Action.LIST: frozenset({"Notes.Create", "Notes.Read", "Notes.ReadWrite"}),
    Action.READ: frozenset({"Notes.Read", "Notes.ReadWrite"}),
    Action.CREATE: frozenset({"Notes.Create", "Notes.ReadWrite"}),
    Action.CHANGE: frozenset({"Notes.ReadWrite"}),
}
_EVERYONES = {
    Action.LIST: frozenset({"Notes.Read.All", "Notes.ReadWrite.All"}),
    Action.READ: frozenset({"Notes.Read.All", "Notes.ReadWrite.All"}),
    Action.CREATE: frozenset({"Notes.ReadWrite.All"}),
    Action.CHANGE: frozenset({"Notes.ReadWrite.All"}),
}


def action_of(method: str, kind: str) -> Action:
    """`kind` is what stands first after `onenote/`."""
    if method == "POST":
        return Action.CREATE
    if method != "GET":
        return Action.CHANGE
    return Action.LIST if kind in ("notebooks", "sections", "sectiongroups") else Action.READ


def check_permission(token: AccessToken, action: Action, *, own: bool) -> None:
    """`own`: the person's own notebooks, not those of a group, a site or somebody else. Raises OneNoteError.

    A personal account's `.All` permissions are good for nothing: 401, although the token is as fresh as can be.
    """
    enough = _OWN[action] if own else frozenset[str]()
    if not token.personal:
        enough |= _EVERYONES[action]
    if token.scopes & enough:
        return
    if token.personal and token.scopes & _EVERYONES[action]:
        raise OneNoteError(401, "40001", "The request does not contain a valid authentication token.")
    least = " or ".join(sorted(enough)) or "no permission that a personal account can have"
    message = f"The OAuth token provided does not have the necessary scopes to complete the request. It needs {least}."
    raise OneNoteError(403, "40004", message)


def check_name(name: object, *, most: int) -> str:
    """A notebook's or section's displayName. Raises OneNoteError."""
    if not isinstance(name, str) or not name.strip():
        raise OneNoteError(400, "20153", "The name is missing or empty.")
    if _FORBIDDEN_IN_NAMES.search(name):
        raise OneNoteError(400, "20115", "The name contains characters that are not allowed: ?*\\/:<>|'\"")
    if len(name) > most:
        raise OneNoteError(400, "20155", f"The name has more than {most} characters.")
    return name


def not_found() -> OneNoteError:
    return OneNoteError(404, "20102", "The specified resource ID does not exist.")


def section_locked() -> OneNoteError:
    return OneNoteError(403, "10004", "The request cannot be completed because the section is password protected.")


def no_licence() -> OneNoteError:
    message = (
        "The user's personal OneDrive for Business could not be retrieved: it is not provisioned, being provisioned, or "
        "there is no valid licence."
    )
    return OneNoteError(403, "30108", message)


def provisioning() -> OneNoteError:
    return OneNoteError(503, "30105", "The user's OneDrive for Business is currently being provisioned. Try later.")


def too_many_requests() -> OneNoteError:
    """Without a Retry-After, as OneNote sends it ("Microsoft Graph throttling limits", OneNote)."""
    return OneNoteError(429, "20166", "The application has issued too many requests on behalf of this user.")


def too_many_items() -> OneNoteError:
    message = "The library holds more than 5,000 OneNote items and cannot be queried. Ask for one section's pages."
    return OneNoteError(403, "10008", message)


def storage_full() -> OneNoteError:
    return OneNoteError(507, "30101", "The user account has exceeded its OneDrive quota.")


def wrong_path() -> OneNoteError:
    message = "This path is not valid for this kind of account. Use /me/onenote."
    return OneNoteError(400, "20150", message)
