"""Owns where a front end lives in the browser's tests: its site, the functions' site, a stack behind, and strangers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.listen import Listener
from local.tls import make_authority
from tests.stacks import quiet_stack
from tests.web.sites import RESOLVER, Site

type MakeSite = Callable[[str, bool], Site]

__all__ = ["RESOLVER", "Place", "standing"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """`front` and `api` are origins; `functions` is where the stack itself listens."""

    front: str
    api: str
    functions: str
    sibling: str
    stranger: str


@asynccontextmanager
async def standing(folder: Path, kind: str) -> AsyncIterator[Place]:
    """A front end and the functions as `kind` says, and two more sites that nobody listed."""
    tls = make_authority(folder).context
    async with AsyncExitStack() as exits:

        def site(host: str, https: bool) -> Site:
            made = Site(Listener(tls=tls if https else None), host)
            exits.push_async_callback(made.close)
            return made

        sibling, stranger = site("evil.example.test", True), site("stranger.test", True)
        await sibling.serve()
        await stranger.serve()
        front, api = _two_sites(kind, site)
        settings = {}
        if api is not None:
            settings["PUBLIC_BASE_URL"] = api.origin
        if front is not None and front is not api:
            settings["FRONTEND_ORIGINS"] = front.origin
        stack = exits.enter_context(quiet_stack(**settings))
        if api is not None:
            await api.serve(stack.url, as_host=kind != "linked backend")
        if front is not None and front is not api:
            await front.serve()
        yield Place(
            front=front.origin if front else stack.url,
            api=api.origin if api else stack.url,
            functions=stack.url,
            sibling=sibling.origin,
            stranger=stranger.origin,
        )


def _two_sites(kind: str, site: MakeSite) -> tuple[Site | None, Site | None]:
    match kind:
        case "linked backend":
            both = site("site.example.test", True)
            return both, both
        case "sibling hosts":
            return site("app.example.test", True), site("api.example.test", True)
        case "another port":
            return site("localhost", False), None
        case "another site":
            return site("app.elsewhere.test", True), site("api.example.test", True)
        case _:
            return None, None
