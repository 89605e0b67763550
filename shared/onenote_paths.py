"""Owns which paths of Microsoft Graph are OneNote's and may pass. Pure.

Source: Microsoft Graph reference, OneNote ("HTTP request" of each call); "Working with SharePoint sites in Microsoft
Graph" for sites by their path.
"""

import re
from urllib.parse import unquote

from shared.errors import BadRequest

# No colon: `sites/{host}:/…` would be a site's own path, not its OneNote.
_ID = r"(?:[^/?#\\:%]|%(?!3a)[0-9a-f]{2})+"
_KEY = r"\('(?:''|[^/?#\\:%']|%(?!3a)[0-9a-f]{2})+'\)"
_OWNER = (
    rf"me|(?:users|groups|sites)(?:/{_ID}|{_KEY})"
    rf"|sites/{_ID}:/{_ID}(?:/{_ID})*:"
    # As Graph writes it in the links of pages that lie in SharePoint.
    rf"|siteCollections/{_ID}/sites/{_ID}"
)
_PATH = re.compile(rf"(?:v1\.0|beta)/(?:{_OWNER})/onenote(?:/[^?#\\]*)?", re.IGNORECASE)
_BATCH = re.compile(r"(?P<version>v1\.0|beta)/\$batch", re.IGNORECASE)
# Behind the version. Most paths have none of these, and then can hold no trick but an empty segment.
_SUSPECT = re.compile(r"[^A-Za-z0-9_$'()!,=@/-]")
# A percent sign without two digits behind it: some servers read `%u002e` as a dot.
_TRICKS = re.compile(r"%(?![0-9a-f]{2})|%2f|%5c|%[01][0-9a-f]|%7f|%25|//|\\|[^\x21-\x7e]", re.IGNORECASE)


def check_path(path: str) -> None:
    """Let OneNote paths of Graph pass, as they stand in Graph's documents; `path` is still percent-encoded.

    Raises BadRequest `path_not_allowed`.
    """
    if _is_tricky(path):
        detail = "The path holds dots, an encoded slash, or characters that Graph's paths never hold."
        raise BadRequest("path_not_allowed", detail)
    if not _PATH.fullmatch(path):
        detail = (
            "Only OneNote paths pass: v1.0 or beta, then me, users/{id}, groups/{id} or sites/{id}, then onenote, "
            "for example v1.0/me/onenote/notebooks."
        )
        raise BadRequest("path_not_allowed", detail)


def _is_tricky(path: str) -> bool:
    if not _SUSPECT.search(path, len("v1.0/")):
        return "//" in path
    # Encoded dots, too, and dots, or nothing at all, before a blank or a parameter: whoever stands behind us may resolve
    # them, after the check.
    decoded = unquote(path)
    names = (segment.partition(";")[0].strip() for segment in decoded.rstrip("/").split("/"))
    return not {"", ".", ".."}.isdisjoint(names) or "\ufffd" in decoded or _TRICKS.search(path) is not None


def batch_version(path: str) -> str | None:
    """The version of Graph whose `$batch` a path names; None for any other path."""
    match = _BATCH.fullmatch(path)
    return match["version"] if match else None


def is_resource(path: str) -> bool:
    """Whether a path names somebody's file: what comes from there can be of any type."""
    decoded = unquote(path).lower()
    return "/onenote/resources/" in decoded or "/onenote/resources(" in decoded
