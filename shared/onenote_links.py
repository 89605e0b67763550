"""Owns how Graph's links come to lead back through us, in JSON, in a page's HTML and in headers (R-09). Pure.

Only links that would pass here are touched: what leads elsewhere stays as Graph wrote it.
"""

import re
from collections.abc import Iterable

_BEFORE_IN_HTML = (b'"', b"'", b"=", b"(", b",", b"&quot;", b"&#34;", b"&#39;")
"""A value begins after one of these: attributes quoted or not, `url(…)` in a style, the candidates of a srcset."""

_LOOK_BACK = 12


class Links:
    """`theirs` are Graph's addresses, `ours` where the pass-through is; both without a slash at the end."""

    def __init__(self, theirs: Iterable[str], ours: str) -> None:
        hosts = "|".join(re.escape(address.removeprefix("https://")) for address in sorted(set(theirs)))
        # Looks ahead segment by segment and never back: a page made of beginnings of links takes no longer than another.
        # Some writers of JSON escape slashes and apostrophes, some of HTML apostrophes; each means the same to a reader.
        slash = r"\\?/"
        plain = r"[^\s\"<>?#\\/]"
        segment = rf"{plain}++(?:(?:(?<=&)#(?:39|x27);|\\u0027){plain}*+)*+"
        owner = rf"(?:(?!onenote){segment}{slash}){{1,12}}+"
        rest = rf"(?:{hosts})(?={slash}(?:v1\.0|beta){slash}{owner}onenote(?![\w-]))"
        # Both begin with text that is fixed, so that the search is fast; hence the look back stands behind it.
        self._link = re.compile(rf"https://{rest}".encode())
        self._in_json = re.compile(rf'"https:(?<!\\"https:){slash}{slash}{rest}'.encode())
        self._ours = ours.encode()
        self._ours_in_json = b'"' + self._ours.replace(b"\\", rb"\\")

    def in_json(self, body: bytes) -> bytes:
        """Where a string begins with a link: `@odata.nextLink`, `self`, `contentUrl` and whatever may be added."""
        return self._in_json.sub(self._ours_in_json, body)

    def in_html(self, body: bytes) -> bytes:
        """Where an attribute's value begins with a link: `src`, `data-fullres-src`, `data`, each of a `srcset`."""

        def led_back(found: re.Match[bytes]) -> bytes:
            before = body[max(0, found.start() - _LOOK_BACK) : found.start()].rstrip()
            return self._ours if before.endswith(_BEFORE_IN_HTML) else found[0]

        return self._link.sub(led_back, body)

    def one(self, address: str) -> str | None:
        """The address as it leads back; None for one that doesn't."""
        found = self._link.match(address.encode("utf-8", "replace"))
        return self._ours.decode() + address[found.end() :] if found else None
