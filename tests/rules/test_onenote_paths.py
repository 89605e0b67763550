"""Which paths of Graph pass: OneNote's, as Graph's documents write them, and nothing else (R-09)."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.onenote_paths import batch_version, check_path, is_resource


@pytest.mark.parametrize(
    "path",
    [
        "v1.0/me/onenote/notebooks",
        "beta/me/onenote/notebooks",
        "v1.0/me/onenote",
        "v1.0/me/onenote/pages/1-abc!1-def/content",
        "v1.0/me/onenote/sections('1-abc')/pages",
        "v1.0/users/alex@contoso.example/onenote/notebooks",
        "v1.0/users/alex%40contoso.example/onenote/notebooks",
        "v1.0/users('o''neil@contoso.example')/onenote/pages",
        "v1.0/users('alex%40contoso.example')/onenote/resources/0-abc!1-def/$value",
        "v1.0/groups/11111111-2222-3333-4444-555555555555/onenote/sections",
        "v1.0/sites/contoso.sharepoint.com,1111,2222/onenote/notebooks",
        "v1.0/sites/contoso.sharepoint.com:/teams/a%20b:/onenote/notebooks",
        "v1.0/siteCollections/1111/sites/2222/onenote/resources/1/$value",
        "v1.0/groups('1111')/onenote/pages",
        "v1.0/users/o'hara@contoso.example/onenote/pages",
        "beta/me/onenote/notebooks/microsoft.graph.getRecentNotebooks(includePersonalNotebooks=true)",
        "v1.0/me/onenote/notebooks/caf%C3%A9",
        "v1.0/me/onenote/pages/a.b..c",
        "v1.0/me/onenote/pages/a;b=..",
        "V1.0/Me/OneNote/Notebooks",
    ],
)
def test_onenote_paths_pass_as_they_stand_in_graphs_documents(path: str) -> None:
    """R-09."""
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1.0",
        "v1.0/me",
        "v1.0/me/messages",
        "v1.0/me/onenotes",
        "v1.0/me/onenote-x/notebooks",
        "v1.0/$batch",
        "v1.0/sites/contoso.sharepoint.com:/onenote/notebooks",
        "v1.0/sites/contoso.sharepoint.com%3A/onenote/notebooks",
        "v1.0/sites/contoso.sharepoint.com:/teams/../a:/onenote/notebooks",
        "v1.0/sites/contoso.sharepoint.com:/teams:/drive/onenote",
        "v1.0/siteCollections/1111/onenote/notebooks",
        "v1.0/users('a')/messages/onenote",
        "v1.0/users('a'%29/onenote",
        "v1.0/users/%/onenote",
        "v1.0/me/%6fnenote/notebooks",
        "v2.0/me/onenote/notebooks",
        "v1.0x/me/onenote",
        "v1_0/me/onenote",
        "me/onenote/notebooks",
        "/v1.0/me/onenote/notebooks",
        "x/v1.0/me/onenote/notebooks",
        "v1.0/users/onenote",
        "v1.0/users//onenote/notebooks",
        "v1.0/users/a/b/onenote/notebooks",
        "v1.0/drives/a/onenote/notebooks",
        "v1.0/me/../users/a/messages",
        "v1.0/me/onenote/../messages",
        "v1.0/me/onenote/./notebooks",
        "v1.0/me/onenote/%2e%2e/messages",
        "v1.0/me/onenote/%2E%2E/messages",
        "v1.0/me/onenote/.%2e/messages",
        "v1.0/me/onenote/%2e/notebooks",
        "v1.0/me/onenote/%c0%ae%c0%ae/messages",
        "v1.0/users/../onenote",
        "v1.0/users/%2e%2e/onenote",
        "v1.0/me/onenote/..",
        "v1.0/me/onenote/..%2fmessages",
        "v1.0/me/onenote/%252e%252e/messages",
        "v1.0/me/onenote/a%252fb",
        "v1.0/me/onenote/a%2Fb",
        "v1.0/me/onenote/a%5cb",
        "v1.0/me/onenote/a\\..\\b",
        "v1.0/me/onenote//notebooks",
        "v1.0//me/onenote/notebooks",
        "v1.0/me/onenote/a%00b",
        "v1.0/me/onenote/a%0d%0aHost:evil.example",
        "v1.0/me/onenote/a\r\nHost: evil.example",
        "v1.0/me/onenote/a b",
        "v1.0/me/onenote/notebooks?x=1",
        "v1.0/me/onenote/notebooks#x",
        "https://graph.microsoft.com/v1.0/me/onenote/notebooks",
        "https://evil.example/v1.0/me/onenote/notebooks",
        "//evil.example/v1.0/me/onenote/notebooks",
        "@evil.example/v1.0/me/onenote/notebooks",
        "v1.0/users/a%2f../onenote",
        "v1.0/users('a'/onenote/notebooks",
        "v1.0/me/onenote/%u002e%u002e/messages",
        "v1.0/me/onenote/..%u002fmessages",
        "v1.0/me/onenote/%",
        "v1.0/me/onenote/%2",
        "v1.0/me/onenote/..;/messages",
        "v1.0/me/onenote/..;a=b/messages",
        "v1.0/me/onenote/%2e%2e%3b/messages",
        "v1.0/me/onenote/..%20/messages",
        "v1.0/me/onenote/%20../messages",
        "v1.0/me/onenote/;",
        "v1.0/me/onenote/%20/notebooks",
        "v1.0/me/onenote/notebooks/caf\u00e9",
        "v1.0/me/onenote/\uff0e\uff0e/messages",
        "v1.0/users('a')('b')/onenote/notebooks",
    ],
)
def test_everything_else_is_refused_before_anything_is_asked(path: str) -> None:
    """R-09: the session's token opens OneNote and nothing else."""
    with pytest.raises(BadRequest) as caught:
        check_path(path)
    assert caught.value.code == "path_not_allowed"


@pytest.mark.parametrize("path", ["v1.0/$batch", "beta/$batch", "V1.0/$Batch"])
def test_a_batch_is_known_by_its_path(path: str) -> None:
    assert batch_version(path) in ("v1.0", "beta", "V1.0")


_PIECES = st.sampled_from(
    [
        "a",
        "1-2!3",
        "me",
        "onenote",
        "..",
        ".",
        "%2e",
        "%2E.",
        ". ",
        ";",
        ":",
        "'",
        "(",
        "%",
        "%2f",
        "%5c",
        "\\",
        "",
        "?",
        "#",
        "é",
        "\t",
    ]
)


@given(
    version=st.sampled_from(["v1.0", "beta", "V1.0", "v2"]),
    owner=st.sampled_from(["me", "users/a@b.example", "sites/a:/b:", "groups('1')"]),
    rest=st.lists(st.lists(_PIECES, max_size=3).map("".join), max_size=5),
)
def test_what_passes_means_the_same_to_whoever_reads_it(version: str, owner: str, rest: list[str]) -> None:
    """R-09: no server on the way finds a dot segment, an empty one or an encoded slash in it."""
    path = "/".join([version, owner, "onenote", *rest])
    try:
        check_path(path)
    except BadRequest:
        return
    for read in (path, unquote(path), unquote(unquote(path))):
        assert {".", "..", ""}.isdisjoint(segment.partition(";")[0].strip() for segment in read.rstrip("/").split("/"))
        assert read.isascii()
        assert read.isprintable()
        assert "\\" not in read
        assert not set("?#") & set(path)
    assert path.count("/") == unquote(path).count("/")


@pytest.mark.parametrize("path", ["$batch", "v1.0/$batch/x", "v1.0/me/$batch", "v1.0/%24batch", "v1.0/$batches"])
def test_nothing_else_is_a_batch(path: str) -> None:
    assert batch_version(path) is None


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("v1.0/me/onenote/resources/1/$value", True),
        ("v1.0/me/OneNote/Resources/1/content", True),
        ("v1.0/me/onenote/%72esources/1/$value", True),
        ("v1.0/me/onenote/resources('1')/$value", True),
        ("v1.0/me/onenote/pages/1/content", False),
    ],
)
def test_a_file_is_known_however_its_path_is_written(path: str, resource: bool) -> None:
    """R-16: what comes from there is never shown but as a picture."""
    assert is_resource(path) is resource
