"""Owns the sockets of the stack: loopback only, IPv4 and where there is one IPv6, with or without TLS.

Knows nothing of what is served.
"""

import errno
import os
import socket
import ssl
from collections.abc import Callable

from aiohttp import web

MakeRunner = Callable[[web.Application], web.AppRunner]

_ATTEMPTS = 20


class PortUnavailable(Exception):
    """Somebody else listens there, or the port is not open to this user. The text is for people."""

    def __init__(self, port: int, code: int) -> None:
        mend = "choose another one with --port N (0 picks a free one)"
        if code == errno.EADDRINUSE:
            super().__init__(f"Port {port} is in use: end what listens there, or {mend}.")
        else:
            super().__init__(f"Port {port} is not open to this user: {mend}.")


class Listener:
    """One port on loopback. The port is taken at once; `serve` may be called again to exchange the
    application.

    Connections that come while applications are exchanged wait in the socket's backlog: none is refused.
    """

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None, runner: MakeRunner | None = None) -> None:
        self._sockets = _bind(port)
        self._tls = tls
        self._make_runner = runner or _plain_runner
        self._runner: web.AppRunner | None = None
        self.port: int = self._sockets[0].getsockname()[1]

    def url(self, host: str = "localhost") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def serve(self, app: web.Application) -> None:
        """Answer with `app` from now on; connections of the one before are closed."""
        await self._stop()
        self._runner = self._make_runner(app)
        await self._runner.setup()
        for sock in self._sockets:
            await web.SockSite(self._runner, sock.dup(), ssl_context=self._tls).start()

    async def refuse(self) -> None:
        """Take no new connection; requests under way go on, as the platform's host does at its end."""
        for sock in self._sockets:
            sock.close()
        if self._runner is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        if self._runner.server is not None:
            self._runner.server.pre_shutdown()  # closes idle connections

    async def close(self) -> None:
        """Refuse new connections and end the ones that are there."""
        await self.refuse()
        await self._stop()

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None


def _plain_runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, access_log=None, shutdown_timeout=1)


def _bind(port: int) -> list[socket.socket]:
    """Sockets for 127.0.0.1 and, where the machine has IPv6, ::1 on the same port. Raises PortUnavailable.

    Browsers try ::1 first for `localhost`: with somebody else there, they would show the wrong page.
    """
    for _ in range(_ATTEMPTS):
        first = _bind_one(socket.AF_INET, "127.0.0.1", port)
        taken: int = first.getsockname()[1]
        try:
            return [first, _bind_one(socket.AF_INET6, "::1", taken)]
        except PortUnavailable:
            first.close()
            if port != 0:
                raise
        except OSError:
            return [first]  # no IPv6 here
    raise PortUnavailable(port, errno.EADDRINUSE)


def _bind_one(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # start again right after an end
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(128)  # a port that only another program's listen() takes would else be noticed too late
    except OSError as error:
        sock.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortUnavailable(port, error.errno) from error
        raise
    return sock
