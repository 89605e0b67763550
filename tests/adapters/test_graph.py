"""Calls to Microsoft Graph: passed on byte for byte, whatever is answered is an answer (R-09)."""

import gzip
import tracemalloc
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, web
from multidict import CIMultiDict

from local.faults import Action, Fault, Faults
from local.listen import Listener
from shared.adapters.graph import GraphNotes
from shared.errors import AnswerTooLarge, NotesTimedOut, NotesUnavailable
from shared.model import NotesCall

MOST = 4 << 20


@dataclass
class Graph:
    """A peer that keeps what it got and answers as a test says."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b"{}"
    requests: list[tuple[str, str, CIMultiDict[str], bytes]] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.raw_path, CIMultiDict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=CIMultiDict(self.headers), body=self.body)


@pytest.fixture
async def graph(listener: Listener) -> Graph:
    graph = Graph()
    app = web.Application(middlewares=[graph.faults.middleware])
    app.router.add_route("*", "/{anything:.*}", graph.handle)
    await listener.serve(app)
    return graph


@pytest.fixture
def notes(graph: Graph, listener: Listener, http: ClientSession) -> GraphNotes:
    return GraphNotes(http, listener.url(), MOST)


@pytest.mark.parametrize(
    "target",
    [
        "v1.0/me/onenote/notebooks",
        "v1.0/me/onenote/pages/0-abc!1-def/content?includeIDs=true",
        "v1.0/me/onenote/pages?$filter=title%20eq%20'a%2Fb'&$top=5",
        "v1.0/me/onenote/pages?search=%C3%A9+x",
        "v1.0/me/onenote/resources/a%2Fb/$value",
    ],
)
async def test_a_target_arrives_exactly_as_it_was_checked(graph: Graph, notes: GraphNotes, target: str) -> None:
    """Another round of encoding would send something else than what was checked."""
    await notes.send(NotesCall(method="GET", target=target), "the-access-token")
    assert graph.requests[0][1] == f"/{target}"


async def test_method_headers_and_body_are_passed_on_with_the_token(graph: Graph, notes: GraphNotes) -> None:
    call = NotesCall(
        method="POST",
        target="v1.0/me/onenote/pages",
        headers=(("Content-Type", "text/html"), ("Prefer", "x")),
        body=b"<html>\xe2\x9c\x93</html>",
    )
    await notes.send(call, "the-access-token")
    method, _, headers, body = graph.requests[0]
    assert (method, body) == ("POST", call.body)
    assert headers["Authorization"] == "Bearer the-access-token"
    assert (headers["Content-Type"], headers["Prefer"]) == ("text/html", "x")
    assert "Cookie" not in headers


async def test_a_caller_can_not_bring_another_token(graph: Graph, notes: GraphNotes) -> None:
    call = NotesCall(method="GET", target="v1.0/me", headers=(("Authorization", "Bearer another"),))
    await notes.send(call, "the-access-token")
    assert graph.requests[0][2].getall("Authorization") == ["Bearer the-access-token"]


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 400, 401, 403, 404, 409, 429, 500, 503, 504, 507])
async def test_every_status_is_an_answer(graph: Graph, notes: GraphNotes, status: int) -> None:
    """A redirect is not followed: the token must not travel to another host."""
    graph.status = status
    graph.headers = [("Location", "https://elsewhere.example/"), ("Retry-After", "7")]
    graph.body = b"" if status == 204 else b'{"error":{"code":"10007"}}'
    answer = await notes.send(NotesCall(method="GET", target="v1.0/me"), "t")
    assert answer.status == status
    assert answer.body == graph.body
    assert answer.headers["retry-after"] == "7"
    assert len(graph.requests) == 1


async def test_header_names_are_lower_case_and_repeated_values_joined(graph: Graph, notes: GraphNotes) -> None:
    graph.headers = [("Link", "<a>"), ("link", "<b>"), ("X-Odd", "1")]
    answer = await notes.send(NotesCall(method="GET", target="v1.0/me"), "t")
    assert answer.headers["link"] == "<a>, <b>"
    assert answer.headers["x-odd"] == "1"
    assert all(name == name.lower() for name in answer.headers)


async def test_a_compressed_answer_is_readable(graph: Graph, notes: GraphNotes) -> None:
    graph.headers, graph.body = [("Content-Encoding", "gzip")], gzip.compress(b'{"value":[]}')
    assert (await notes.send(NotesCall(method="GET", target="v1.0/me"), "t")).body == b'{"value":[]}'


async def test_a_picture_is_passed_byte_for_byte(graph: Graph, notes: GraphNotes) -> None:
    graph.body = bytes(range(256)) * 4096
    answer = await notes.send(NotesCall(method="GET", target="v1.0/me/onenote/resources/1/$value"), "t")
    assert answer.body == graph.body


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="reset_before", times=None),
        Fault(action="reset_after", times=None),
        Fault(action="truncate", times=None),
        Fault(action="hang", times=None),
        Fault(action="status", headers={"Content-Encoding": "gzip"}, body="no gzip", times=None),
    ],
    ids=lambda fault: fault.action,
)
async def test_no_answer_is_an_outage_that_names_no_token(graph: Graph, notes: GraphNotes, fault: Fault) -> None:
    graph.faults.add(fault)
    with pytest.raises(NotesUnavailable) as refused:
        await notes.send(NotesCall(method="GET", target="v1.0/me?secret=1"), "the-access-token")
    assert "the-access-token" not in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_a_peer_that_is_not_there_is_an_outage(http: ClientSession, listener: Listener) -> None:
    url = listener.url()
    await listener.close()
    for method in ("GET", "POST"):
        with pytest.raises(NotesUnavailable) as refused:
            await GraphNotes(http, url, MOST).send(NotesCall(method=method, target="v1.0/me"), "t")
        assert refused.value.code == "graph_unavailable"


@pytest.mark.parametrize("action", ["reset_after", "truncate"])
async def test_a_write_whose_answer_was_lost_is_not_sent_again(graph: Graph, notes: GraphNotes, action: Action) -> None:
    """A page would be made twice; nor is whoever sent it told to try again."""
    graph.faults.add(Fault(action=action, times=None))
    with pytest.raises(NotesTimedOut):
        await notes.send(NotesCall(method="POST", target="v1.0/me/onenote/pages", body=b"<html/>"), "t")
    assert len(graph.requests) == 1
    with pytest.raises(NotesUnavailable) as read:
        await notes.send(NotesCall(method="GET", target="v1.0/me/onenote/pages"), "t")
    assert read.value.code == "graph_unavailable"


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_over_the_limit_is_refused_and_no_more_of_it_is_read(
    graph: Graph, notes: GraphNotes, chunked: bool
) -> None:
    """Packed small, as well: what counts is what it takes in memory."""
    body = bytes(MOST + 1)
    graph.body = gzip.compress(body) if chunked else body
    graph.headers = [("Content-Encoding", "gzip")] if chunked else []
    with pytest.raises(AnswerTooLarge):
        await notes.send(NotesCall(method="GET", target="v1.0/me"), "t")
    graph.headers, graph.body = [], bytes(MOST)
    assert len((await notes.send(NotesCall(method="GET", target="v1.0/me"), "t")).body) == MOST


async def test_a_large_body_is_sent_from_where_it_lies(listener: Listener, http: ClientSession) -> None:
    """Never twice in memory, and with its length, not in chunks."""
    got, length = 0, None

    async def count(request: web.Request) -> web.Response:
        nonlocal got, length
        length = request.content_length
        async for chunk in request.content.iter_any():
            got += len(chunk)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", count)
    await listener.serve(app)
    body = bytes(24 << 20)
    tracemalloc.start()
    try:
        call = NotesCall(method="POST", target="v1.0/me/onenote/pages", body=body)
        await GraphNotes(http, listener.url(), MOST).send(call, "t")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == length == len(body)
    assert peak < len(body) / 2


async def test_a_range_is_asked_of_what_is_not_packed(graph: Graph, notes: GraphNotes) -> None:
    """RFC 9110 §14: a range of a packed answer would be one of packed bytes."""
    call = NotesCall(method="GET", target="v1.0/me/onenote/resources/1/$value", headers=(("range", "bytes=0-1"),))
    graph.status, graph.headers = 206, [("Content-Range", "bytes 0-1/9")]
    answer = await notes.send(call, "t")
    assert graph.requests[0][2]["Accept-Encoding"] == "identity"
    assert (answer.status, answer.headers["content-range"]) == (206, "bytes 0-1/9")


async def test_no_content_type_is_made_up(graph: Graph, notes: GraphNotes) -> None:
    await notes.send(NotesCall(method="POST", target="v1.0/me/onenote/pages", body=b"x"), "t")
    assert "Content-Type" not in graph.requests[0][2]
