"""A host in a process of its own, and a client that sends bytes as they are given."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROJECT = Path(__file__).resolve().parents[2]
APP = Path(__file__).resolve().parent / "app"
MASTER_KEY = "master-key-of-the-tests"
FUNCTION_KEY = "function-key-of-the-tests"
ONCE_A_YEAR = "0 0 0 1 1 *"
_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer with its header lines in order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """`python -m local.host` on a free port, as a context manager. `lines` is what it printed, log included."""

    def __init__(self, *arguments: str, app: Path = APP, environment: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "local.host", "--app", str(app), "--port", "0", *arguments]
        inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
        self._environment = {
            **inherited,
            "FUNCTIONS_MASTER_KEY": MASTER_KEY,
            "FUNCTIONS_KEY": FUNCTION_KEY,
            "TICK_SCHEDULE": ONCE_A_YEAR,
            **(environment or {}),
        }
        self._ready = threading.Event()
        self.lines: list[str] = []
        self.url = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            env={name: value for name, value in self._environment.items() if value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(_LIMIT_S), self.lines
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.wait()

    def wait(self) -> int:
        """Its exit code."""
        try:
            return self.process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join(_LIMIT_S)
            assert self.process.stdout is not None
            self.process.stdout.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=_LIMIT_S)

    def send(self, request: bytes) -> RawAnswer:
        """Send bytes on a connection of their own and read one answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_answer(connection, request.partition(b" ")[0].decode("latin-1"))

    def get(self, target: str, *header_lines: str, method: str = "GET") -> RawAnswer:
        return self.send(_head(method, target, *header_lines).encode("latin-1"))

    def post(self, target: str, body: bytes, *header_lines: str) -> RawAnswer:
        head = _head("POST", target, *header_lines, f"Content-Length: {len(body)}")
        return self.send(head.encode("latin-1") + body)

    def answer(self, **wanted: Any) -> RawAnswer:
        """What becomes of an answer of this status, these headers and this body."""
        return self.post("/api/answer", json.dumps(wanted).encode())

    def memory(self) -> Any:
        return self.get("/api/memory").json

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        """Whether it comes true soon: for what happens in the other process after its answer."""
        deadline = time.monotonic() + _LIMIT_S
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready "):
                self.url = line.removeprefix("ready ").strip()
                self._ready.set()
        self._ready.set()  # it has ended


def read_answer(connection: socket.socket, method: str = "GET") -> RawAnswer:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return RawAnswer(response.status, response.getheaders(), response.read())
    finally:
        response.close()


def _head(method: str, target: str, *lines: str) -> str:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: host.example", *lines, "", ""])
