"""Outgoing connections: the operator's trust roots, a time limit, no cookie, no proxy of the environment."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientSSLError, ConnectionTimeoutError, web

from local.listen import Listener
from local.tls import LocalAuthority, make_authority
from shared.adapters.http import open_session, read_most


@pytest.fixture
async def peer(listener: Listener) -> str:
    async def cookie(request: web.Request) -> web.Response:
        answer = web.json_response({"cookies": dict(request.cookies)})
        answer.set_cookie("theirs", "1")
        return answer

    app = web.Application()
    app.router.add_get("/", cookie)
    await listener.serve(app)
    return listener.url()


async def test_a_peer_is_trusted_by_the_operators_bundle_only(peer: str, http: ClientSession, tmp_path: Path) -> None:
    async with http.get(peer) as answer:
        assert answer.status == 200
    async with open_session(None, total_s=1) as public:
        with pytest.raises(ClientSSLError):
            await public.get(peer)
    async with open_session(str(make_authority(tmp_path).bundle), total_s=1) as others:
        with pytest.raises(ClientSSLError):
            await others.get(peer)


async def test_no_cookie_of_a_peer_is_kept(peer: str, http: ClientSession) -> None:
    """One connection serves everybody: a kept cookie would mix people up."""
    for _ in range(2):
        async with http.get(peer) as answer:
            assert await answer.json() == {"cookies": {}}


async def test_an_answer_without_end_is_read_no_further_than_wanted(listener: Listener, http: ClientSession) -> None:
    """A broken peer must not fill the memory."""

    async def without_end(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(bytes(1_000))

    app = web.Application()
    app.router.add_get("/", without_end)
    await listener.serve(app)
    async with http.get(listener.url()) as answer:
        assert 10_000 <= len(await read_most(answer, 10_000)) < 20_000


async def test_connections_are_kept_alive(listener: Listener, http: ClientSession) -> None:
    ports: list[object] = []

    async def show(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.Response()

    app = web.Application()
    app.router.add_get("/", show)
    await listener.serve(app)
    for _ in range(3):
        async with http.get(listener.url()) as answer:
            await answer.read()
    assert len(set(ports)) == 1


async def test_a_proxy_of_the_environment_is_not_asked(
    peer: str, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    async with http.get(peer) as answer:
        assert answer.status == 200


async def test_a_call_ends_with_its_time_limit(authority: LocalAuthority, listener: Listener) -> None:
    """The listener takes the connection and never says a word."""
    async with open_session(str(authority.bundle), total_s=0.2) as http:
        began = time.monotonic()
        with pytest.raises((TimeoutError, ClientError)):
            await http.get(listener.url())
        assert time.monotonic() - began < 2


async def test_a_peer_that_takes_connections_and_says_nothing_is_given_up_where_a_call_has_no_limit(
    authority: LocalAuthority,
) -> None:
    """Its handshake counts too: nothing was sent by then, so the call may be made again."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closed.wait()
        writer.close()

    closed = asyncio.Event()
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_session(str(authority.bundle), total_s=None) as http, asyncio.timeout(8):
            with pytest.raises(ConnectionTimeoutError):
                await http.get(f"https://localhost:{port}/")
        closed.set()
