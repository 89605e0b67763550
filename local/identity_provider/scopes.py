"""Owns permission names as this provider knows them, and what they mean in words. Pure.

Names: "Microsoft Graph permissions reference" (Notes.*, User.Read) and OpenID Connect Core §5.4.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from local.identity_provider.errors import ProviderError, missing

_GRAPH = "https://graph.microsoft.com/"

OPENID = {
    "openid": "Sign you in",
    "profile": "View your basic profile: name and username",
    "email": "View your email address",
    "offline_access": "Keep access to data that you have given it access to, while you are away",
}
GRAPH = {
    "Notes.Read": "Read your OneNote notebooks",
    "Notes.Create": "Create OneNote pages, sections and notebooks, and list your notebooks",
    "Notes.ReadWrite": "Read and change your OneNote notebooks",
    "Notes.Read.All": "Read all OneNote notebooks that you can open, also those of others",
    "Notes.ReadWrite.All": "Read and change all OneNote notebooks that you can open, also those of others",
    "Notes.ReadWrite.CreatedByApp": "Nothing: this permission no longer has any effect",
    "User.Read": "Read your profile",
}
_CANONICAL = {name.lower(): name for name in (*OPENID, *GRAPH)}


@dataclass(frozen=True, slots=True)
class Scopes:
    """What was asked for: canonical short names, each with the spelling of the request."""

    asked: tuple[tuple[str, str], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.asked)

    @property
    def graph(self) -> frozenset[str]:
        return self.names & frozenset(GRAPH)

    def echo(self, *, as_asked: bool) -> str:
        """The `scope` of an answer: never offline_access; short names unless `as_asked`."""
        shown = ((name, text) for name, text in self.asked if name != "offline_access")
        return " ".join(text if as_asked else name for name, text in shown)


def parse(text: str | None) -> Scopes:
    """Raises ProviderError for none at all, for a foreign resource and for a name that Graph doesn't know."""
    words = (text or "").split()
    if not words:
        raise missing("scope")
    asked: dict[str, str] = {}
    for word in words:
        short = word[len(_GRAPH) :] if word.lower().startswith(_GRAPH) else word
        if "://" in short:
            text = f"The resource principal named '{short.rpartition('/')[0][:100]}' was not found in the tenant."
            raise ProviderError("invalid_resource", (500011,), text)
        name = _CANONICAL.get(short.lower())
        if name is None:
            text = (
                f"The application asked for scope '{short[:100]}' that doesn't exist on the resource "
                "'00000003-0000-0000-c000-000000000000'. Contact the app vendor."
            )
            raise ProviderError("invalid_client", (650053,), text)
        asked.setdefault(name, word)
    return Scopes(tuple(asked.items()))


def in_words(names: Iterable[str]) -> list[str]:
    """What a consent page lists, OneNote first."""
    wanted = set(names)
    return [words for name, words in (GRAPH | OPENID).items() if name in wanted]
