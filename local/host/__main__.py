"""Owns the command `python -m local.host`: an app on a port, on whatever settings the environment gives.

`Values` of the app's local.settings.json stand in for what the environment lacks, as with Core Tools. The keys
are FUNCTIONS_MASTER_KEY and FUNCTIONS_KEY, made at random where they are not set; `--show-keys` prints them.
Exit code 0 after SIGINT or SIGTERM, 1 for an app that does not load, 2 for a port in use or settings that the
app itself calls wrong.
"""

import argparse
import asyncio
import errno
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from local.host.app_files import read_local_settings
from local.host.errors import HostError
from local.host.host import END_S, FunctionsHost
from local.host.runner import HostRunner

_LOCAL_NAMES = ("127.0.0.1", "0.0.0.0", "::1", "::", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line."""

    port: int
    host: str
    app: Path
    tls_cert: Path | None
    tls_key: Path | None
    state_dir: Path | None
    end_s: float
    show_keys: bool
    log_level: str


class WrongStart(Exception):
    """The port or the settings don't allow a start; the text is for people."""


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m local.host", description="Serve an Azure Functions app.")
    parser.add_argument("--port", type=_port, default=7071, help="0 = any free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--app", type=Path, default=Path(), metavar="DIR", help="folder of function_app.py")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="serve https with this PEM certificate")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, if not in the same file")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="keep the timers' state over restarts")
    parser.add_argument(
        "--end-s", type=float, default=END_S, metavar="SECONDS", help="what running functions get at the end"
    )
    parser.add_argument("--show-keys", action="store_true", help="print the master and the function key")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    given = parser.parse_args(arguments)
    if given.tls_key and not given.tls_cert:
        parser.error("--tls-key needs --tls-cert")
    return Options(**vars(given))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise WrongStart(
                f"Port {port} is in use: end what listens there, or choose another one with --port N."
            ) from error
        raise WrongStart(f"Port {port} on {host} is not open to this program: {error}.") from error


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as error:
        raise WrongStart(f"The certificate {options.tls_cert} cannot be used: {error}.") from error
    return context


def _take_local_settings(app_dir: Path) -> None:
    for name, value in read_local_settings(app_dir).items():
        os.environ.setdefault(name, value)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


async def _serve(options: Options) -> bool:
    """Serve until a signal comes. Whether all functions ended then."""
    stop = _stop_on_signals()
    with _listen(options.host, options.port) as listener:
        tls = _tls(options)
        _take_local_settings(options.app)
        host = FunctionsHost(options.app, state_dir=options.state_dir)
        await host.load()
        if problems := host.startup_problems():
            raise WrongStart("\n".join(problems))
        app = web.Application()
        host.add_to(app)
        runner = HostRunner(app, shutdown_timeout=1)
        await runner.setup()
        await host.start()
        await web.SockSite(runner, listener, ssl_context=tls).start()
        name = "localhost" if options.host in _LOCAL_NAMES else options.host
        url = f"{'https' if tls else 'http'}://{name}:{listener.getsockname()[1]}"
        print(host.routes_text(url))
        if options.show_keys:
            print(f"master key    {host.keys.master}\nfunction key  {host.keys.function}")
        print(f"ready {url}", flush=True)
        await stop.wait()
        return await _end(runner, host, options.end_s)


async def _end(runner: HostRunner, host: FunctionsHost, wait_s: float) -> bool:
    """Refuse new connections at once, close the idle ones, and let finish what runs."""
    for site in runner.sites:
        await site.stop()
    if runner.server is not None:
        runner.server.pre_shutdown()
    ended = await host.close(wait_s=wait_s)
    await runner.cleanup()
    # What the app leaves open ends with the process: asyncio would call each connection an error.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    return ended


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    options = _parse(arguments)
    logging.basicConfig(
        level=options.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        ended = asyncio.run(_serve(options))
    except WrongStart as error:
        print(error, file=sys.stderr)
        return 2
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    if not ended:  # a thread that works on would keep the process: the platform kills it too
        sys.stdout.flush()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
