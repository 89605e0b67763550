"""Owns requests as no browser would send them, and what must be true of every answer of ours."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.browser import Browser
from shared.functions.texts import EN

MARK = "zq7x"
"""Stands in every value that an attack sends, so that it is found again wherever it shows up."""

FORM = {"content-type": "application/x-www-form-urlencoded"}
PAGE = {"accept": "text/html,*/*;q=0.8"}

SANDBOX = "sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
"""What is passed on from Graph carries this policy (design of the pass-through), and never `allow-scripts`."""

CODES = frozenset(EN) | {
    "account_unknown",
    "body_too_large",
    "invalid_batch",
    "length_required",
    "not_signed_in",
    "operator_tokens_off",
    "path_not_allowed",
    "reauth_required",
    "token_not_exposed",
}
"""Every code that a caller may depend on."""

_EMPTY = frozenset({204, 302, 303})
_OURS = re.compile(r"__Secure-onenote-auth(-back|-attempt-[0-9a-f]+-[0-9a-f]{16})?=[A-Za-z0-9._-]*;")
_TRACE = ("Traceback", 'File "', "site-packages", "Exception:")


@dataclass(frozen=True)
class Reply:
    """An answer as it came: header names in lower case, a repeated one joined by a line break."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def is_page(self) -> bool:
        return "html" in self.headers.get("content-type", "")

    @property
    def from_us(self) -> bool:
        """From a function, not from the host before it, whose own answers are bare."""
        return "content-type" in self.headers

    @property
    def code(self) -> str | None:
        """Of a problem, or of a redirect to the error page."""
        if "/api/auth/error?" in self.location:
            return parse_qs(urlsplit(self.location).query)["code"][0]
        if self.headers.get("content-type", "").startswith("application/problem+json"):
            return str(json.loads(self.body)["code"])
        return None


class Wire:
    """Sends requests byte by byte as they are given, one a connection. Follows nothing, keeps no cookie."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.base_url = base_url
        self._host, self._port = parts.hostname or "localhost", parts.port or 80

    async def send(
        self,
        method: str,
        target: str,
        *,
        browser: Browser | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Reply:
        """`browser` lends its cookies."""
        sent = {"host": f"{self._host}:{self._port}", "connection": "close", **(headers or {})}
        if browser is not None and "cookie" not in sent:
            sent["cookie"] = browser.cookies.header(self.base_url + target, cross_site=False, safe_navigation=True)
        content = (body or "").encode("ascii")
        if (body is not None or method in ("POST", "PATCH", "PUT")) and "transfer-encoding" not in sent:
            sent["content-length"] = str(len(content))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(head.encode("ascii") + b"\r\n" + content)
            await writer.drain()
            return await asyncio.wait_for(_read(reader), 30)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Reply:
    """One answer (RFC 9112 §6.3)."""
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]}\n{value.strip()}" if name in headers else value.strip()
    status = int(status_line.split(" ")[1])
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while length := int(await reader.readline(), 16):
            body += await reader.readexactly(length)
            await reader.readline()
    elif status == 204:
        body = b""
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(status, headers, body)


def assert_sound(reply: Reply, *, told: str, forbidden: tuple[str, ...] = (), leads_to: tuple[str, ...] = ()) -> None:
    """What holds for every answer to anything. `told` names the attack; `leads_to` are the addresses that may follow.

    `forbidden` are tokens, keys and cookies: none of them is ever in an answer.
    """
    shown = f"{told}: {reply.status} {dict(reply.headers)} {reply.text[:300]}"
    assert reply.status < 500, shown
    everything = reply.text + "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
    assert not [trace for trace in _TRACE if trace in everything], shown
    assert not [secret for secret in forbidden if secret in everything], f"{told}: a secret in the answer"
    assert f"<{MARK}" not in everything, f"{told}: comes back as HTML. {shown}"
    if reply.headers.get("set-cookie"):
        assert all(_OURS.match(line) for line in reply.headers["set-cookie"].split("\n")), shown
    if not reply.from_us:
        assert reply.status in (400, 401, 404, 414, 431), shown  # the host's own, before any function
        return
    _assert_headers(reply, shown)
    if reply.status in _EMPTY:
        assert reply.body == b"", shown
    else:
        assert reply.body, f"{told}: an empty body. {shown}"
    if reply.status >= 400 or "/api/auth/error?" in reply.location:
        assert reply.code in CODES, shown
    if reply.is_page:
        assert MARK not in reply.text or "return_to" in told, f"{told}: the text sent stands on the page. {shown}"
    if reply.location:
        assert reply.location.startswith(leads_to), shown


def _assert_headers(reply: Reply, shown: str) -> None:
    headers = reply.headers
    assert headers["x-content-type-options"] == "nosniff", shown
    assert headers["cache-control"] == "no-store", shown
    assert headers["referrer-policy"] == "same-origin", shown
    policy = headers["content-security-policy"]
    assert policy == SANDBOX or policy.startswith("default-src 'none'"), shown
    assert "script-src" not in policy, shown


def json_of(reply: Reply) -> Any:
    return json.loads(reply.body)
