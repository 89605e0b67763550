"""Owns HTTP on its way to a function and back: limits, route, key, body, answer. Knows no timer.

What a caller can notice is as measured on the platform's host. Two answers of that host are out of reach here;
`runner` names them.
"""

import logging
import re
from collections.abc import Mapping

from aiohttp import hdrs, web
from multidict import CIMultiDict

from local.host.admin import ADMIN_PREFIX, Admin
from local.host.answers import Answer, BadAnswer, read_answer
from local.host.errors import FunctionFailed
from local.host.functions import Function
from local.host.keys import HostKeys
from local.host.messages import HttpCall, TypedData
from local.host.routing import Router
from local.host.runner import bare, head_fault
from local.host.target import BadTarget, read_query, read_target
from local.host.worker import Worker

MAX_BODY = 104_857_600
_HOST_NAME = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]%]+")
_NO_PARAMS: Mapping[str, str] = {}

log = logging.getLogger("local.host")


class Front:
    """Answers every request that reaches the host. `custom_headers` go on each answer but those to heads that
    are out of bounds; a function's own header of such a name wins.
    """

    def __init__(
        self,
        *,
        worker: Worker,
        functions: Mapping[str, Function],
        router: Router,
        keys: HostKeys,
        custom_headers: Mapping[str, str],
        admin: Admin,
    ) -> None:
        self._worker = worker
        self._functions = functions
        self._router = router
        self._keys = keys
        self._custom_headers = CIMultiDict(custom_headers)
        self._admin = admin

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        headers: dict[str, str] = {}
        total = 0
        try:
            for raw_name, raw_value in request.raw_headers:
                total += len(raw_name) + len(raw_value) + 4
                name, value = raw_name.decode("ascii").lower(), raw_value.decode("ascii")
                headers[name] = f"{headers[name]},{value}" if name in headers else value
            target = read_target(request.raw_path)
        except (UnicodeDecodeError, BadTarget):
            return _refusal(400)
        fault = head_fault(request, total)
        host = headers.get("host", "localhost")  # HTTP/1.0 may have none
        if not fault and not _HOST_NAME.fullmatch(host):
            fault = 400
        if fault:
            return _refusal(fault)

        query = read_query(target.query) if target.query else _NO_PARAMS
        key = headers.get("x-functions-key", query.get("code"))
        if target.path[: len(ADMIN_PREFIX)].lower() == ADMIN_PREFIX:
            own = await self._admin.answer(request, target.path, key)
            own.headers.update(self._custom_headers)
            return own
        match = self._router.match(request.method, target.path)
        if match is None:
            return bare(404, self._custom_headers)
        function = self._functions[match.function]
        if not self._keys.opens(function.auth_level, key):
            return bare(401, self._custom_headers)
        try:
            body = await _body(request, headers)
        except (web.RequestPayloadError, ConnectionError):
            return _refusal(400)
        if body is None:
            return bare(500, self._custom_headers)
        question = f"?{target.query}" if target.query else ""
        call = HttpCall(
            method=request.method,
            url=f"{request.scheme}://{host}{target.url_path}{question}",
            headers=headers,
            query=query,
            params=match.values,
            body=TypedData(bytes=body),
        )
        answer = await self._run(function, call)
        if answer is None:
            return bare(500, self._custom_headers)
        return await self._send(request, function, answer)

    async def _run(self, function: Function, call: HttpCall) -> Answer | None:
        """The function's answer; None where the caller gets a bare 500, the reason being in the log."""
        try:
            returned = await self._worker.invoke(
                function, TypedData(http=call), trace_parent=call.headers.get("traceparent", "")
            )
            return read_answer(returned)
        except FunctionFailed:
            return None
        except BadAnswer:
            log.error("%s gave an answer that can't be sent", function.name)
            return None

    async def _send(self, request: web.Request, function: Function, answer: Answer) -> web.StreamResponse:
        headers = self._custom_headers.copy()
        headers.update(answer.headers)
        if hdrs.TRANSFER_ENCODING in headers:
            return await _send_unframed(request, answer, headers)
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        if "close" in headers.get(hdrs.CONNECTION, "").lower():
            response.force_close()
        length = headers.get(hdrs.CONTENT_LENGTH)
        if length is None:
            if request.version >= (1, 1):
                response.enable_chunked_encoding()
        elif length != str(len(answer.body)) and request.method != hdrs.METH_HEAD and answer.status != 304:
            log.error("%s gave a Content-Length that is not its body's: connection broken", function.name)
            if request.transport is not None:
                request.transport.abort()
        return response


class _Unframed(web.StreamResponse):
    """The function says how its body is framed, and the host believes it."""

    _length_check = False


async def _send_unframed(request: web.Request, answer: Answer, headers: CIMultiDict[str]) -> web.StreamResponse:
    response = _Unframed(status=answer.status, headers=headers)
    response.force_close()  # where such a body ends, nobody can tell
    await response.prepare(request)
    await response.write(answer.body)
    await response.write_eof()
    return response


async def _body(request: web.Request, headers: Mapping[str, str]) -> bytes | None:
    """The body as sent; None beyond the host's limit; empty when it comes chunked, as in Azure."""
    if "transfer-encoding" in headers or not request.body_exists:
        return b""
    if (request.content_length or 0) > MAX_BODY:
        return None
    return await request.content.read()


def _refusal(status: int) -> web.Response:
    """To a request that the server in front of the host refuses: no custom headers, connection closed."""
    response = bare(status)
    response.force_close()
    return response
