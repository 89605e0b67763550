"""What OneNote's failures mean in plain words, and which permission a request would have needed (R-08, R-15)."""

import pytest

from shared.onenote_errors import about_the_token, explain, least_permission, parsed

OWN, THEIRS = "v1.0/me/onenote", "v1.0/groups/1/onenote"


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", f"{OWN}/notebooks", "Notes.Create"),
        ("GET", f"{OWN}/notebooks/1/sectionGroups", "Notes.Create"),
        ("GET", f"{OWN}/pages", "Notes.Read"),
        ("GET", f"{THEIRS}/notebooks", "Notes.Read.All"),
        ("GET", f"{THEIRS}/pages", "Notes.Read.All"),
        ("POST", f"{OWN}/sections/1/pages", "Notes.Create"),
        ("POST", f"{THEIRS}/sections/1/pages", "Notes.ReadWrite.All"),
        ("PATCH", f"{OWN}/pages/1/content", "Notes.ReadWrite"),
        ("DELETE", f"{THEIRS}/pages/1", "Notes.ReadWrite.All"),
    ],
)
def test_a_request_needs_the_least_permission_of_graphs_reference(method: str, path: str, least: str) -> None:
    """R-08: also for notebooks of groups, sites and other people, which need more."""
    assert least_permission(method, path) == least
    refused = explain(403, "accessDenied", method=method, path=path, held=())
    assert refused
    assert (refused.code, refused.scope) == ("permission_missing", least)


@pytest.mark.parametrize(
    ("held", "path", "missing"),
    [
        ("Notes.Read", f"{OWN}/notebooks", None),
        ("Notes.Create", f"{OWN}/notebooks", None),
        ("Notes.Create", f"{OWN}/pages", "Notes.Read"),
        ("Notes.Read", f"{THEIRS}/notebooks", "Notes.Read.All"),
        ("Notes.Read.All", f"{THEIRS}/notebooks", None),
    ],
)
def test_who_holds_enough_is_not_asked_for_more(held: str, path: str, missing: str | None) -> None:
    """R-08, R-15."""
    refused = explain(403, "40004", method="GET", path=path, held=(held,))
    assert refused
    assert refused.scope == missing


@pytest.mark.parametrize(
    ("method", "status", "code", "ours"),
    [
        ("GET", 429, None, "onenote_too_many_requests"),
        ("POST", 507, "UnknownError", "onenote_limit_reached"),
        ("POST", 503, None, "onenote_busy"),
        ("POST", 400, None, None),
        ("GET", 500, "UnknownError", None),
        ("GET", 404, "accessDenied", None),
    ],
)
def test_without_a_code_of_onenotes_the_status_is_explained(
    method: str, status: int, code: str | None, ours: str | None
) -> None:
    """R-15: and where nothing is known, nothing is added."""
    found = explain(status, code, method=method, path=f"{OWN}/pages", held=("Notes.ReadWrite",))
    assert (found and found.code) == ours
    assert not found or "may have saved" not in found.detail


@pytest.mark.parametrize(
    ("body", "another_may_help"),
    [
        (b"", True),
        (b"<html>", True),
        (b"[" * 200_000, True),
        (b'{"error":{"code":40001}}', True),
        (b'{"error":{"code":"InvalidAuthenticationToken"}}', True),
        (b'{"error":{"code":"40001"}}', False),
    ],
    ids=["empty", "page", "deep", "number", "token", "onenote"],
)
def test_another_token_may_help_unless_onenote_names_a_reason_of_its_own(body: bytes, another_may_help: bool) -> None:
    """R-13, R-15."""
    assert about_the_token(parsed(body)) is another_may_help
