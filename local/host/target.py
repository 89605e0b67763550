"""Owns the request target: what the platform's host makes of path and query before a function sees them.

Pure rules, measured on the real host (Kestrel's path decoding, PathString, QueryCollection). An escaped slash
stays escaped and an escaped percent sign is decoded, so `a%2Fb` and `a%252Fb` look alike to a function.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

_PLAIN = re.compile(r"(?:/(?!\.)[A-Za-z0-9\-._~!$&'()*+,;=:@]*)+")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_TO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9/\-._~!$&'()*+,;=:@%]+")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_REFUSED = re.compile(r"[\0\r\n]")  # %00 and %0d were measured; a line feed can't fare better
_SLASH = 0x2F


class BadTarget(Exception):
    """The host answers 400 before any function."""


@dataclass(frozen=True, slots=True)
class Target:
    """`path` is decoded, for routing and route values; `url_path` is what `req.url` holds; `query` is raw."""

    path: str
    url_path: str
    query: str


def read_target(raw: str) -> Target:
    """A request target (RFC 9112 §3.2) as sent. Raises BadTarget."""
    if not raw.isascii():
        raise BadTarget
    path, _, query = raw.partition("?")
    if _PLAIN.fullmatch(path):
        return Target(path, path, query)
    if absolute := _ABSOLUTE.match(path):  # as proxies get it
        path = path[absolute.end() :] or "/"
    path = decode(path)
    if not path.startswith("/") or _REFUSED.search(path):
        raise BadTarget
    path = _without_dot_segments(path)
    return Target(path, _TO_ESCAPE.sub(lambda found: quote(found[0], safe=""), path), query)


def read_query(raw: str) -> dict[str, str]:
    """`req.params`: repeated names joined by a comma; names without a value, or with an empty one, missing."""
    params: dict[str, str] = {}
    for part in raw.split("&"):
        name, _, value = part.partition("=")
        if value:
            name, value = _form_decode(name), _form_decode(value)
            params[name] = f"{params[name]},{value}" if name in params else value
    return params


def decode(text: str, *, slash: bool = False) -> str:
    """Percent-decode once, UTF-8. What is no UTF-8 stays escaped as it was sent, `%2F` too unless `slash`."""

    def run(found: re.Match[str]) -> str:
        escapes = found[0].split("%")[1:]
        octets = bytes.fromhex("".join(escapes))
        parts: list[str] = []
        at = 0
        while at < len(octets):
            character = _first_character(octets[at : at + 4])
            if character is None or (octets[at] == _SLASH and not slash):
                parts.append(f"%{escapes[at]}")
                at += 1
            else:
                parts.append(character)
                at += len(character.encode())
        return "".join(parts)

    return _ESCAPES.sub(run, text) if "%" in text else text


def _first_character(octets: bytes) -> str | None:
    for length in range(1, len(octets) + 1):
        try:
            return octets[:length].decode()
        except UnicodeDecodeError:
            continue
    return None


def _form_decode(text: str) -> str:
    return decode(text.replace("+", " "), slash=True)


def _without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
