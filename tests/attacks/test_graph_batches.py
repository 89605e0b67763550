"""Batches as a way around the check of paths: whatever one holds, nothing but OneNote calls leave for Graph (R-09)."""

import json
from typing import Any

import pytest

from local.control_client import ControlClient
from tests.attacks.test_graph_paths import NOT_ONENOTE
from tests.attacks.victim import Victim
from tests.attacks.wire import Reply, Wire, assert_sound

GOOD = {"id": "good", "method": "GET", "url": "/me/onenote/notebooks"}


async def send(wire: Wire, victim: Victim, text: str) -> Reply:
    headers = {"origin": wire.base_url, "content-type": "application/json"}
    return await wire.send("POST", "/api/graph/v1.0/$batch", browser=victim.browser, headers=headers, body=text)


@pytest.mark.parametrize(
    "url",
    [
        *(path.removeprefix("v1.0") for path in NOT_ONENOTE if path.startswith("v1.0/")),
        *NOT_ONENOTE[-12:],
        "https://evil.example/v1.0/me/onenote",
        "https://graph.microsoft.com/v1.0/me/onenote/notebooks",
        "//evil.example/me/onenote",
        "/me/onenote/notebooks\r\nHost: evil.example",
        "/me/onenote/notebooks HTTP/1.1\r\n\r\nGET /me/messages",
        "/me/onenote#/../messages",
        "\\me\\onenote",
        "@evil.example/me/onenote",
        "/$batch",
    ],
)
async def test_a_call_that_would_not_pass_alone_stops_the_whole_batch(
    wire: Wire, victim: Victim, control: ControlClient, url: str
) -> None:
    before = len(await control.calls("graph"))
    reply = await send(wire, victim, json.dumps({"requests": [GOOD, {"id": "bad", "method": "GET", "url": url}]}))
    assert_sound(reply, told=url, forbidden=victim.secrets)
    assert (reply.status, reply.code) in ((400, "path_not_allowed"), (400, "invalid_batch"))
    assert len(await control.calls("graph")) == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"requests"',
        '{"requests": 1}',
        '{"requests": [1]}',
        '{"requests": [{"id": "1", "method": "GET", "url": {}}]}',
        '{"requests": [{"id": {}, "method": "GET", "url": "/me/onenote"}]}',
        '{"requests": [{"id": "1", "method": ["GET"], "url": "/me/onenote"}]}',
        "[" * 50_000,
        '{"requests":' * 50_000,
        "\x00",
    ],
)
async def test_what_is_no_batch_is_refused(wire: Wire, victim: Victim, control: ControlClient, text: str) -> None:
    before = len(await control.calls("graph"))
    reply = await send(wire, victim, text)
    assert_sound(reply, told=text[:50], forbidden=victim.secrets)
    assert (reply.status, reply.code) == (400, "invalid_batch")
    assert len(await control.calls("graph")) == before


async def test_of_two_words_for_one_thing_graph_gets_the_one_that_was_checked(
    wire: Wire, victim: Victim, control: ControlClient
) -> None:
    """Readers of JSON differ in which of a repeated name they take."""
    calls = '{"id": "1", "method": "GET", "url": "/me/messages", "url": "/me/onenote/sections", "Url": "/me/messages"}'
    reply = await send(wire, victim, f'{{"requests": [{calls}]}}')
    assert reply.status == 200
    paths = [call["path"] for call in await control.calls("graph")]
    assert not [path for path in paths if "messages" in path]


@pytest.mark.parametrize("header", ["Authorization", "Cookie", "Host", "X-HTTP-Method-Override", "Prefer\r\nHost"])
async def test_a_call_in_a_batch_brings_no_credentials_of_its_own(wire: Wire, victim: Victim, header: str) -> None:
    """R-16: Graph gets the session's token."""
    call: dict[str, Any] = {**GOOD, "headers": {header: "Bearer of.somebody-else"}}
    reply = await send(wire, victim, json.dumps({"requests": [call]}))
    assert (reply.status, json.loads(reply.body)["responses"][0]["status"]) == (200, 200)


async def test_another_site_sends_no_batch(wire: Wire, victim: Victim, control: ControlClient) -> None:
    before = len(await control.calls("graph"))
    for content_type in ("application/json", "text/plain"):
        headers = {"origin": "https://evil.example", "content-type": content_type}
        body = json.dumps({"requests": [GOOD]})
        reply = await wire.send("POST", "/api/graph/v1.0/$batch", browser=victim.browser, headers=headers, body=body)
        assert (reply.status, reply.code) == (403, "forbidden_origin")
    assert len(await control.calls("graph")) == before
