"""Owns how two web addresses are compared: their origin, and whether they are of one site. Pure rules."""

import functools
import re
from urllib.parse import urlsplit


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as browsers write an Origin (RFC 6454 §6.1). ValueError if it has none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError("not an http(s) address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    default = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def same_origin(one: str, other: str) -> bool:
    """Whether both are addresses, and of one origin."""
    try:
        return origin_of(one) == origin_of(other)
    except ValueError:
        return False


@functools.lru_cache(maxsize=256)
def same_site(one: str, other: str) -> bool:
    """Whether two addresses are of one site: scheme and registrable domain (RFC 6265bis §5.2)."""
    a, b = urlsplit(one), urlsplit(other)
    if a.scheme != b.scheme or a.hostname is None or b.hostname is None:
        return False
    if a.hostname == b.hostname:
        return True
    if re.fullmatch(r"[0-9.]+|.*:.*", a.hostname + b.hostname) or "." not in a.hostname:
        return False
    # Only front ends on another host need the list of public suffixes, so only they pay for loading it: once, as
    # every request asks.
    from publicsuffixlist import PublicSuffixList

    suffixes = PublicSuffixList()
    return suffixes.privatesuffix(a.hostname) == suffixes.privatesuffix(b.hostname) is not None
