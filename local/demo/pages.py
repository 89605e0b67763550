"""Owns reading the bundle's error page and the provider's pages as a person does: title, sentence, links."""

import re
from dataclasses import dataclass
from html import unescape

from local.browser import Answer

_FIRST = {
    "language": re.compile(r'<html lang="([^"]+)"'),
    "title": re.compile(r"<h1>(.*?)</h1>", re.DOTALL),
    "text": re.compile(r"<p[^>]*>(.*?)</p>", re.DOTALL),
}
_DETAIL = re.compile(r"<dd>(.*?)</dd>", re.DOTALL)
_LINK = re.compile(r'<a href="([^"]*)"')


@dataclass(frozen=True)
class Shown:
    """What stands on a page. `details` are folded away: code and reference on the error page."""

    language: str
    title: str
    text: str
    details: tuple[str, ...]
    links: tuple[str, ...]

    def __str__(self) -> str:
        return f"“{self.title}. {self.text}”"


def read(page: Answer) -> Shown:
    """What a person reads on `page`; empty where there is no such thing."""
    first = {
        name: unescape(match[1]).strip() if (match := pattern.search(page.text)) else ""
        for name, pattern in _FIRST.items()
    }
    return Shown(
        **first,
        details=tuple(unescape(text) for text in _DETAIL.findall(page.text)),
        links=tuple(unescape(url) for url in _LINK.findall(page.text)),
    )
