"""Owns the embedded stack: the services, the bundle in its functions host and the demo page, in one process.

`python -m local.stack [--port 7071] [--https] [--vaults N] [--set NAME=VALUE …]`. The bundle learns of its
surroundings through app settings only, as in Azure. Ctrl-C or SIGTERM ends everything.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from local.clock import MovableClock
from local.control import SWEEP, Control, Handler
from local.host import FunctionsHost, HostError, HostRunner
from local.listen import Listener, PortUnavailable
from local.services import Services

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 7071
_ENDS = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last on Windows: what one program can send another there
_PAGES = PROJECT / "web"
_OTHER_SETTINGS = (
    "GRAPH_",
    "TOKEN_",
    "PUBLIC_",
    "FRONTEND_",
    "DEFAULT_RETURN_",
    "REFRESH_",
    "SESSION_",
    "KEEP_",
)
_SETTINGS_OF_AZURE = ("AUTH_", "AZURE_", "IDENTITY_", "MSI_", "CA_BUNDLE", *_OTHER_SETTINGS)


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What the command line can choose. `settings` override whatever the stack sets."""

    port: int = DEFAULT_PORT
    https: bool = False
    vaults: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)


class WrongSettings(Exception):
    """The bundle does not take its settings; the text lists each fault with its mend."""


class Stack:
    """The whole stack; one a process, for a process imports the bundle once. An async context manager."""

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._exits = contextlib.AsyncExitStack()
        self.public_url = ""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._exits.aclose()

    async def _start(self) -> None:
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="onenote-auth-")))
        certificate = self._options.settings.get("AUTH_CLIENT_CERTIFICATE")
        services = Services(folder=folder, vaults=self._options.vaults, app_certificate=certificate)
        self._exits.push_async_callback(services.close)
        tls = services.authority.context if self._options.https else None
        front = Listener(self._options.port, tls=tls, runner=lambda app: HostRunner(app, shutdown_timeout=1))
        self._exits.push_async_callback(front.close)
        _say("certificates", f"throw-away authority in {services.authority.bundle}")
        self.public_url = front.url()
        # What the app registration knows: with a proxy of somebody's in front, that one's address.
        await services.start(self._options.settings.get("PUBLIC_BASE_URL", self.public_url))
        for name, url in services.urls().items():
            _say(name.replace("_", " "), url)
        clock = MovableClock()
        self._exits.callback(clock.reset)
        settings = self._settings(services)
        self._set_environment(settings)
        _say("functions host", f"loading the bundle from {PROJECT}")
        host = FunctionsHost(PROJECT)
        self._exits.push_async_callback(host.close)
        await host.load()
        if problems := host.startup_problems():
            raise WrongSettings("\n".join(problems))
        await host.start()
        print(host.routes_text(self.public_url), flush=True)
        self._exits.push_async_callback(front.refuse)
        control = Control(public_url=self.public_url, services=services, host=host, clock=clock, settings=settings)
        await front.serve(_front_app(services, control, host))
        for timer in host.timers():
            if timer.name == SWEEP and timer.next is not None:
                _say("timer", f"{timer.name} runs next at {timer.next:%H:%M:%S} UTC")
        await _wait_until_answering(self.public_url, services.authority.bundle if self._options.https else None)

    def _settings(self, services: Services) -> Mapping[str, str]:
        own = {"PUBLIC_BASE_URL": self.public_url, "REFRESH_SCHEDULE": "0 */5 * * * *"}
        return {**own, **services.settings(), **self._options.settings}

    def _set_environment(self, settings: Mapping[str, str]) -> None:
        """The app settings, and none that this shell happens to have for some other vault or tenant."""
        for name in [name for name in os.environ if name.startswith(_SETTINGS_OF_AZURE)]:
            del os.environ[name]
        os.environ |= settings
        # Clients that honour proxies would send loopback calls to one.
        os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), "localhost,127.0.0.1,::1")))


def _front_app(services: Services, control: Control, host: FunctionsHost) -> web.Application:
    """Demo page and control API; whatever they don't know goes to the functions host, as it came."""
    policy = (
        f"default-src 'self'; form-action 'self' {services.identity_url}; "
        "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        # not no-referrer: forms would then post with Origin: null, as from nobody knows where
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
    app = web.Application()
    for file in sorted(_PAGES.iterdir()):
        if file.is_file():
            app.router.add_get("/" if file.name == "index.html" else f"/{file.name}", _page(file, headers))
    app.add_subapp("/_local", control.make_app())
    host.add_to(app)
    return app


def _page(file: Path, headers: Mapping[str, str]) -> Handler:
    async def answer(request: web.Request) -> web.FileResponse:
        return web.FileResponse(file, headers=headers)

    return answer


async def _wait_until_answering(url: str, bundle: Path | None) -> None:
    tls: ssl.SSLContext | bool = ssl.create_default_context(cafile=bundle) if bundle else True
    limit = aiohttp.ClientTimeout(total=10)
    async with aiohttp.request("GET", url + "/", timeout=limit, ssl=tls) as answer:
        answer.raise_for_status()


def _say(what: str, detail: str) -> None:
    print(f"{what:<18} {detail}", flush=True)


def _parse(arguments: Sequence[str] | None) -> StackOptions:
    parser = argparse.ArgumentParser(
        prog="python -m local.stack", description="The bundle and all it talks to, on loopback."
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="of the demo page and the bundle; 0 = any free one"
    )
    parser.add_argument("--https", action="store_true", help="serve the front with a throw-away certificate")
    parser.add_argument(
        "--vaults", type=int, choices=range(1, 10), default=1, metavar="N", help="number of token vaults"
    )
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an app setting of the bundle",
    )
    given = parser.parse_args(arguments)
    return StackOptions(port=given.port, https=given.https, vaults=given.vaults, settings=dict(given.set))


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


async def _run(options: StackOptions) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.Signals[name] for name in _ENDS if name in signal.Signals.__members__):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        async with Stack(options) as stack:
            print(f"ready {stack.public_url}", flush=True)
            await stop.wait()
            _say("ending", "waiting for what is still running")
    except (PortUnavailable, WrongSettings) as error:
        print(error, file=sys.stderr)
        return 2
    except HostError as error:
        print(f"The bundle does not start: {error}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Exit code 0 after a clean end, 2 for a port in use, 1 for a bundle that does not load."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return asyncio.run(_run(options))


if __name__ == "__main__":
    sys.exit(main())
