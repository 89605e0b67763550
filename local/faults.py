"""Owns what goes wrong on purpose: a middleware that records the calls a service got and misbehaves on request.

Knows nothing of the service behind it: a fault picks its calls by method, path and form fields alone.
"""

import asyncio
import os
import re
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import parse_qs

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict

Action = Literal["reset_before", "reset_after", "hang", "slow", "status", "truncate", "garbage", "wrong_type"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CALLS_KEPT = 10_000
NO_ANSWER = 0  # the status of a call that was reset or hung

_WATCH_S = 0.02
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json; charset=utf-8"
_GARBAGE = b'{"value": \x00\xff\xfe not json'
_WRONG_PAGE = b"<!doctype html><title>Welcome</title><h1>Please accept the terms of this network</h1>"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to misbehave, for the next `times` calls that match (None: until cleared).

    A call matches when its method is `method`, the regular expression `path` is found in its path and query,
    and every field of `form` stands in its form body with that value. `delay_s` is waited for first. Actions:

    - `reset_before`, `reset_after`: the connection is reset before or after the service does its work;
    - `hang`: no answer and no work until the caller gives up or the faults are cleared;
    - `slow`: the service's own answer, late;
    - `status`: `status`, `headers` and `body` instead of the service's work (JSON unless `headers` say else);
    - `truncate`: the service does its work, but its answer breaks off half way;
    - `garbage`: 200 and bytes that are no JSON but said to be, instead of the service's work;
    - `wrong_type`: 200 and an HTML page, as a captive portal sends it, instead of the service's work.

    Raises ValueError or re.error for what makes no sense.
    """

    method: str | None = None
    path: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    action: Action
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    delay_s: float = 0
    times: int | None = 1

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"{self.action!r} is no action; there are {', '.join(get_args(Action))}")
        if self.times is not None and self.times < 1:
            raise ValueError("times is 1 or more, or None for until cleared")
        re.compile(self.path)


@dataclass(frozen=True)
class Call:
    """One request that came in; `path` without the query, which can hold secrets. Status 0: no answer."""

    at: float  # seconds since the epoch
    method: str
    path: str
    status: int


@dataclass
class _Armed:
    fault: Fault
    left: int | None


class Faults:
    """The faults of one service, first added first served, and the last calls it got."""

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._armed: list[_Armed] = []
        self._clearings = 0

    def add(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault, fault.times))

    def clear(self) -> None:
        """Behave well from now on; calls that hang lose their connection."""
        self._armed.clear()
        self._clearings += 1

    def waiting(self) -> list[Fault]:
        """The faults that have not run out."""
        return [armed.fault for armed in self._armed]

    @property
    def middleware(self) -> Middleware:
        return self._handle

    @web.middleware
    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.time()
        fault = await self._take(request)
        if fault is not None and fault.delay_s > 0:
            await asyncio.sleep(fault.delay_s)
        if fault is not None and fault.action in ("hang", "reset_before"):
            # recorded at once: a test that waits for a call to hang looks for it here
            self.calls.append(Call(started, request.method, request.path, NO_ANSWER))
            if fault.action == "hang":
                await self._hang(request)
            return _reset(request)
        gone = fault is not None and fault.action == "reset_after"
        try:
            answer = await _answer(request, handler, fault)
        except Exception as error:
            status = error.status if isinstance(error, web.HTTPException) else 500
            self.calls.append(Call(started, request.method, request.path, NO_ANSWER if gone else status))
            if gone:
                return _reset(request)
            raise
        self.calls.append(Call(started, request.method, request.path, NO_ANSWER if gone else answer.status))
        return _reset(request) if gone else answer

    async def _take(self, request: web.Request) -> Fault | None:
        """The first fault that matches, one use less left."""
        fields: Mapping[str, list[str]] = {}
        if any(armed.fault.form for armed in self._armed) and request.content_type == _FORM:
            # read() keeps what it read, so the handler finds its form; post() would stream other content types
            fields = parse_qs((await request.read()).decode("utf-8", "replace"), keep_blank_values=True)
        for armed in self._armed:
            if _matches(armed.fault, request, fields):
                if armed.left is not None:
                    armed.left -= 1
                    if armed.left == 0:
                        self._armed.remove(armed)
                return armed.fault
        return None

    async def _hang(self, request: web.Request) -> None:
        clearings = self._clearings
        # aiohttp tells a handler that the caller has gone by this attribute alone: there is nothing to await
        while request.transport is not None and clearings == self._clearings:  # noqa: ASYNC110
            await asyncio.sleep(_WATCH_S)


def _matches(fault: Fault, request: web.Request, fields: Mapping[str, list[str]]) -> bool:
    return (
        (fault.method is None or fault.method.upper() == request.method)
        and re.search(fault.path, request.path_qs) is not None
        and all(value in fields.get(name, ()) for name, value in fault.form.items())
    )


async def _answer(request: web.Request, handler: Handler, fault: Fault | None) -> web.StreamResponse:
    match fault.action if fault is not None else None:
        case "status":
            assert fault is not None
            headers = CIMultiDict({hdrs.CONTENT_TYPE: _JSON})
            headers.update(fault.headers)
            return web.Response(status=fault.status, headers=headers, body=fault.body.encode())
        case "garbage":
            return web.Response(headers={hdrs.CONTENT_TYPE: _JSON}, body=_GARBAGE)
        case "wrong_type":
            return web.Response(content_type="text/html", charset="utf-8", body=_WRONG_PAGE)
        case "truncate":
            try:
                answer = await handler(request)
            except web.HTTPException as raised:
                answer = raised
            return await _truncated(request, answer)
        case _:
            return await handler(request)


def _reset(request: web.Request) -> web.Response:
    """Drop the connection so that the caller sees a reset; the answer given back reaches nobody."""
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        # SO_LINGER with a zero time limit closes with RST; a plain close ends like a well-behaved server
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.transport.abort()
    return web.Response()


async def _truncated(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Half of the answer under the Content-Length of the whole one, then the end of the connection."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    cut = web.StreamResponse(status=answer.status, reason=answer.reason, headers=answer.headers)
    cut.content_length = max(len(body), 1)
    cut.force_close()
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    return cut
