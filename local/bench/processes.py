"""Owns the processes of a benchmark: peers and hosts, started with settings of their own, ended whatever happens."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from local.bench.provider import CLIENT_ID, CLIENT_SECRET

PROJECT = Path(__file__).resolve().parents[2]
BASELINE_APP = PROJECT / "local" / "bench" / "baseline_app"
SHOWN = "round "
_END_S = 5.0
_OF_THE_SYSTEM = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV", "USERPROFILE")


class PeerFailed(Exception):
    """A process of the benchmark did not start; the text says which."""


@dataclass(frozen=True, kw_only=True)
class Peers:
    """Provider (and Graph) and vault, and one file that trusts both. `control` is the vault's remote control."""

    provider: str
    vault: str
    control: str
    bundle: Path

    def settings(self, label: str, public_url: str = "http://localhost:7071") -> dict[str, str]:
        """App settings of a bundle that the vault counts as `label`."""
        return {
            "AUTH_CLIENT_ID": CLIENT_ID,
            "AUTH_CLIENT_SECRET": CLIENT_SECRET,
            "AUTH_AUTHORITY_HOST": self.provider,
            "AUTH_TENANT": "organizations",
            "GRAPH_BASE_URL": self.provider,
            "TOKEN_VAULT_URLS": f"main={self.vault}",
            "PUBLIC_BASE_URL": public_url,
            "CA_BUNDLE": str(self.bundle),
            "IDENTITY_ENDPOINT": f"{self.control}/msi/{label}/token",
            "IDENTITY_HEADER": "bench",
            # The one timer must not start by itself beside a measurement.
            "REFRESH_SCHEDULE": "0 0 3 1 1 *",
        }


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """What a process is given: these settings, and none that this shell happens to have for another vault."""
    kept = {name: os.environ[name] for name in _OF_THE_SYSTEM if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "NO_PROXY": "localhost,127.0.0.1"} | dict(settings)


class Process:
    """`python -m MODULE ARGUMENTS` in the project, its output piped; what it says on stderr is kept for a failure."""

    def __init__(self, module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._module = module
        self._popen = subprocess.Popen(  # noqa: S603 - our own modules, no shell
            [sys.executable, "-m", module, *arguments],
            cwd=PROJECT,
            env=environment(settings or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        self.pid = self._popen.pid

    def line(self, begins: str) -> str:
        """The next line of its output that begins so; the others are shown. Raises PeerFailed when it ends first."""
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            if line.startswith(begins):
                return line.strip()
            if line.startswith(SHOWN):
                print(f"    {line.rstrip()}", flush=True)
        code = self._popen.wait()
        self._errors.seek(0)
        tail = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-12:]
        raise PeerFailed("\n    ".join([f"{self._module} ended (exit code {code}); it printed", *tail]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Ended whatever happens; most end by themselves when their input does."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.close()
        self._popen.terminate()
        try:
            self._popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()
        self._errors.close()


@contextmanager
def peers(folder: Path) -> Iterator[Peers]:
    """A provider and an empty vault without quota. `folder` is for the trust roots."""
    with ExitStack() as exits:
        found: list[dict[str, str]] = []
        for peer in ("provider", "vault"):
            process = exits.enter_context(Process("local.bench.servers", peer))
            found.append(json.loads(process.line("{")))
        bundle = folder / f"bundle-{found[1]['url'].rpartition(':')[2]}.pem"
        bundle.write_text("".join(Path(one["bundle"]).read_text(encoding="ascii") for one in found), encoding="ascii")
        provider, vault = found
        yield Peers(provider=provider["url"], vault=vault["url"], control=vault["control"], bundle=bundle)


@contextmanager
def proxy(to: Peers) -> Iterator[tuple[str, int]]:
    """A bare reverse proxy before Graph: its address and process id."""
    with Process("local.bench.servers", "proxy", "--graph", to.provider, "--bundle", str(to.bundle)) as process:
        yield json.loads(process.line("{"))["url"], process.pid


@contextmanager
def host(app: Path, settings: Mapping[str, str], port: int) -> Iterator[int]:
    """An app in the functions host on `port`: its process id, once it serves."""
    arguments: Sequence[str] = ("--app", str(app), "--port", str(port), "--log-level", "warning")
    with Process("local.host", *arguments, settings=settings) as process:
        process.line("ready ")
        yield process.pid


def run(module: str, settings: Mapping[str, str], **wanted: object) -> dict[str, Any]:
    """A measurement in a process of its own: what it printed as its last line. Its rounds are shown as progress."""
    with Process(module, json.dumps(wanted), settings=settings) as process:
        return dict(json.loads(process.line("{")))


@contextmanager
def processor_apart() -> Iterator[Callable[[int], None]]:
    """Keeps one processor free of this process and of what it starts; gives it to the processes that are named.

    Contenders so have the same one, whoever else works: which processor a process happens to be on makes more
    difference than what is measured. Only where the system can do that, and there is more than one.
    """
    if sys.platform != "linux" or len(usual := os.sched_getaffinity(0)) < 2:
        yield lambda pid: None
        return
    apart = {max(usual)}
    os.sched_setaffinity(0, usual - apart)
    try:
        yield lambda pid: os.sched_setaffinity(pid, apart)
    finally:
        os.sched_setaffinity(0, usual)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
