"""Owns what the official clients get of us: an address, the session's cookie, and whom to trust."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
"""Every byte there is: whoever decodes it as text on the way breaks it."""

PAGES = 250
PAGE = '<html><head><title>Made by a client</title></head><body><p>Hello</p><img src="name:picture" alt="A picture"/></body></html>'


@dataclass(frozen=True, kw_only=True)
class Session:
    """`section` holds `PAGES` pages, `Page 000` and so on, and `spare` none."""

    origin: str
    cookie: str = field(repr=False)
    authority: Path
    notebooks: tuple[str, ...]
    section: str
    spare: str

    @property
    def graph(self) -> str:
        """What stands for `https://graph.microsoft.com`."""
        return f"{self.origin}/api/graph"

    def environment(self) -> Mapping[str, str]:
        """For another program, in place of arguments: those can be seen by anybody on the machine."""
        return {
            "GRAPH": self.graph,
            "SESSION_COOKIE": self.cookie,
            "NODE_EXTRA_CA_CERTS": str(self.authority),
            "SECTION": self.section,
            "SPARE": self.spare,
        }
