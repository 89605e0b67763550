"""Owns the server under the host: the limits on a request's head, and the bare answers to heads beyond them.

As Kestrel does by default: 8 KiB of request line → 414, 32 KiB or 100 lines of headers → 431, whatever else
does not parse → 400, each without a body, and the connection closed. aiohttp parses the head, so two things
differ: methods that its parser does not know, and a second line of a header that may stand once only (such as
User-Agent), get 400 here and reach the function in Azure.
"""

import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

MAX_REQUEST_LINE = 8192
MAX_HEADERS_TOTAL = 32768
MAX_HEADERS_COUNT = 100

# The parser only has to bound memory; what it lets through is counted by `head_fault`.
_MAX_PARSED_HEADERS = 8192

log = logging.getLogger("local.host")


def head_fault(request: web.Request, headers_total: int) -> int:
    """The status for a head beyond the limits, 0 for one within. `headers_total` in bytes, line ends
    included.
    """
    if len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n") > MAX_REQUEST_LINE:
        return 414
    if headers_total > MAX_HEADERS_TOTAL or len(request.raw_headers) > MAX_HEADERS_COUNT:
        return 431
    return 0


class HostRunner(web.AppRunner):
    """An AppRunner for an application that a FunctionsHost was added to. Bodies arrive as sent: not unzipped."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float = 10) -> None:
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=shutdown_timeout,
            max_line_size=MAX_REQUEST_LINE,
            max_field_size=MAX_HEADERS_TOTAL,
            max_headers=_MAX_PARSED_HEADERS,
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Bare answers where aiohttp would explain itself."""
        if isinstance(exc, LineTooLong):
            status = 414 if exc.args[1] == MAX_REQUEST_LINE else 431
        if status >= 500:
            log.error("the host failed to answer", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is already under way")
        response = web.Response(status=status)
        response.force_close()
        return response


def bare(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer of the host itself: no body."""
    return web.Response(status=status, headers=headers)
