"""Owns cookies as browsers keep them: host-only, Secure, SameSite (RFC 6265bis §5.5 to 5.8). No network.

aiohttp's own jar knows no sites: a Lax cookie would travel with the provider's cross-site form post, and a
mistake that breaks every real browser would pass here.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Cookie:
    """One stored cookie. `host` is where it came from: host-only, as an empty Domain means."""

    name: str
    value: str
    host: str
    path: str
    secure: bool
    http_only: bool
    same_site: str  # "lax", "strict" or "none"
    expires_at: float | None  # seconds since 1970; None ends with the browser


class CookieJar:
    """Cookies by host, path and name; expiry by the browser's own clock, which the stack never moves."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def __iter__(self) -> Iterator[Cookie]:
        return iter(list(self._cookies.values()))

    def replace_value(self, cookie: Cookie, value: str) -> None:
        """For tests that forge: the same cookie with another value."""
        self.put(replace(cookie, value=value))

    def put(self, cookie: Cookie) -> None:
        """For tests that bring an old cookie back."""
        self._cookies[cookie.host, cookie.path, cookie.name] = cookie

    def store(self, url: str, header: str) -> None:
        """One Set-Cookie header of an answer from `url` (RFC 6265bis §5.6, §5.7)."""
        pair, *attributes = header.split(";")
        name, _, value = pair.partition("=")
        given = {key.strip().lower(): text.strip() for key, _, text in (a.partition("=") for a in attributes)}
        parts = urlsplit(url)
        host, secure = parts.hostname or "", "secure" in given
        same_site = given.get("samesite", "lax").lower()
        trusted = parts.scheme == "https" or host in ("localhost", "127.0.0.1")
        if (secure and not trusted) or (same_site == "none" and not secure):
            return
        if name.strip().lower().startswith(("__secure-", "__host-")) and not secure:
            return
        if given.get("domain", "").lstrip(".") not in ("", host):
            return
        path = given.get("path", "/") or "/"
        max_age = given.get("max-age")
        expires_at = time.time() + float(max_age) if max_age else None
        key = (host, path, name.strip())
        self._cookies.pop(key, None)
        if expires_at is None or expires_at > time.time():
            http_only = "httponly" in given
            self._cookies[key] = Cookie(
                name.strip(), value.strip(), host, path, secure, http_only, same_site, expires_at
            )

    def header(self, url: str, *, cross_site: bool, safe_navigation: bool) -> str:
        """The Cookie header for a request: cross-site ones carry Lax cookies in top-level GETs only."""
        parts = urlsplit(url)
        sent = []
        for cookie in self:
            if cookie.host != parts.hostname or not _path_matches(parts.path or "/", cookie.path):
                continue
            if cookie.expires_at is not None and cookie.expires_at <= time.time():
                continue
            if cross_site and not (cookie.same_site == "none" or (cookie.same_site == "lax" and safe_navigation)):
                continue
            sent.append(f"{cookie.name}={cookie.value}")
        return "; ".join(sent)


def _path_matches(path: str, cookie_path: str) -> bool:
    return path == cookie_path or path.startswith(cookie_path.rstrip("/") + "/")
