"""Links of Graph's that come back through us, wherever they stand; and those that don't (R-09)."""

import json
import time

import pytest

from shared.onenote_links import Links

GRAPH, OTHER, OURS = "https://graph.microsoft.com", "https://graph.local:8443", "https://notes.example/api/graph"
LINKS = Links((OTHER, GRAPH), OURS)
PICTURE = "/v1.0/me/onenote/resources/1-a!2/$value"


@pytest.mark.parametrize("theirs", [GRAPH, OTHER])
@pytest.mark.parametrize(
    "path",
    [
        PICTURE,
        "/beta/me/onenote/notebooks?$skip=20&$top=20",
        "/v1.0/users('alex%40contoso.example')/onenote/notebooks?$skiptoken=a%2Fb",
        "/v1.0/groups/1/onenote/pages",
        "/v1.0/sites/contoso.sharepoint.com,1,2/onenote/operations/copy-1",
        "/v1.0/siteCollections/1/sites/2/onenote/resources/3/$value",
        "/v1.0/me/onenote",
    ],
)
def test_links_to_onenote_lead_back(theirs: str, path: str) -> None:
    ours = OURS + path
    assert LINKS.in_json(f'{{"a": "{theirs}{path}"}}'.encode()) == f'{{"a": "{ours}"}}'.encode()
    assert LINKS.in_html(f'<img src="{theirs}{path}">'.encode()) == f'<img src="{ours}">'.encode()
    assert LINKS.one(theirs + path) == ours


@pytest.mark.parametrize(
    "path",
    [
        r"\/v1.0\/me\/onenote\/pages?$skip=20\u0026$top=20",
        r"/v1.0/users(\u0027alex%40contoso.example\u0027)/onenote/pages",
        r"\/v1.0\/users(\u0027a\u0027)\/onenote\/pages\/1",
    ],
)
def test_a_link_leads_back_however_json_writes_it(path: str) -> None:
    """Escaped slashes and apostrophes are the same text to a reader (RFC 8259 §7)."""
    slashes = path[: path.index("/") + 1]
    written = f'{{"a": "https:{slashes}{slashes}graph.microsoft.com{path}"}}'
    assert json.loads(LINKS.in_json(written.encode())) == {"a": OURS + json.loads(f'"{path}"')}


def test_escaped_text_that_speaks_of_graph_stays() -> None:
    written = rb'{"a": "\"https:\/\/graph.microsoft.com\/v1.0\/me\/onenote\/pages\""}'
    assert LINKS.in_json(written) == written


@pytest.mark.parametrize(
    ("html", "led_back"),
    [
        ('<img src="G{p}" data-fullres-src="G{p}"/>', 2),
        ("<img src='G{p}'>", 1),
        ('<img src="G/v1.0/users(&#39;a&#x27;)/onenote/resources/1/$value">', 1),
        ("<img src=G{p}>", 1),
        ('<img src=" G{p}">', 1),
        ('<object data="G{p}" data-attachment="a.pdf"></object>', 1),
        ('<img srcset="G{p} 1x, G{p} 2x">', 2),
        ('<p style="background:url(G{p})">', 1),
        ('<p style="background:url(&quot;G{p}&quot;)">', 1),
        ('<a href="G/v1.0/me/onenote/pages/1/content?a=1&amp;b=2">', 1),
        ("<p>see G{p} there</p>", 0),
        ('<a href="G/v1.0/me/messages">', 0),
        ('<a href="G.evil.example{p}">', 0),
        ('<a href="https://evil.example/?to=G{p}">', 1),
    ],
)
def test_links_in_a_page_lead_back_where_a_value_begins_with_one(html: str, led_back: int) -> None:
    """Text that speaks of Graph is the writer's. (After a `=` is inside an address, too: that does no harm.)"""
    got = LINKS.in_html(html.replace("{p}", PICTURE).replace("G", GRAPH).encode()).decode()
    assert got.count(OURS) == led_back
    assert got.replace(OURS, GRAPH) == html.replace("{p}", PICTURE).replace("G", GRAPH)


@pytest.mark.parametrize(
    "written",
    [
        f'{{"title": "see {GRAPH}{PICTURE}"}}',
        f'{{"title": "\\"{GRAPH}{PICTURE}\\""}}',
        f'{{"title": "\'{GRAPH}{PICTURE}\'"}}',
        f'{{"@odata.context": "{GRAPH}/v1.0/$metadata#users(\'a\')/onenote/notebooks"}}',
        f'{{"a": "{GRAPH}.evil.example{PICTURE}"}}',
        f'{{"a": "{GRAPH}/v1.0/me/messages"}}',
        f'{{"a": "{GRAPH}/v2.0/me/onenote/pages"}}',
        f'{{"a": "{GRAPH}/v1.0/me/onenotes"}}',
        '{"a": "https://contoso.sharepoint.com/onenote/x"}',
    ],
)
def test_what_is_no_link_to_onenote_stays_as_it_is(written: str) -> None:
    assert LINKS.in_json(written.encode()) == written.encode()


@pytest.mark.parametrize(
    "address", ["", "https://evil.example/", f"//graph.microsoft.com{PICTURE}", f"{GRAPH}.evil.example{PICTURE}", "é"]
)
def test_an_address_elsewhere_does_not_lead_back(address: str) -> None:
    assert LINKS.one(address) is None


def test_a_hostile_page_costs_no_more_time_than_it_has_bytes() -> None:
    """Ten megabytes of beginnings of links: seconds would be too long for one event loop. (0.05 s each when written.)"""
    for beginning in (
        f"{GRAPH}/v1.0/",
        f'"{GRAPH}/v1.0/' + "a/" * 20,
        f'"{GRAPH}/v1.0/' + "a" * 10_000,
        f'"{GRAPH}/v1.0/' + "&#39;&" * 2_000,
        '"https:',
    ):
        body = beginning.encode() * (10_000_000 // len(beginning))
        began = time.process_time()
        assert LINKS.in_html(body) == LINKS.in_json(body) == body
        assert time.process_time() - began < 2
