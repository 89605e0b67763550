"""Owns the checks of what is asked without credentials: the public address, and Microsoft Graph."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import ClientSession

from shared.adapters.http import json_object
from shared.adapters.reach import NO_ANSWER, get, unreachable, why_not
from shared.findings import SERVICE, Finding, State


class WebProbe:
    def __init__(self, http: ClientSession, *, public_base_url: str, graph_base_url: str) -> None:
        self._http = http
        self._public = public_base_url
        self._graph = graph_base_url

    async def public_address(self) -> Iterable[Finding]:
        """Whether browsers that come back from the provider find this bundle."""
        check, host = "public_address", urlsplit(self._public).netloc
        try:
            page = await get(self._http, f"{self._public}/api/health")
        except NO_ANSWER as error:
            reason = why_not(error, host)
            # A private network often hides an app's public address from the app itself.
            hidden = reason.code == "no_answer"
            look = f"Open {self._public}/api/health in a browser: it must name this service."
            return (
                Finding(
                    check=check,
                    state=State.NOTE if hidden else State.BROKEN,
                    code=reason.code,
                    what=f"{self._public} can't be reached from here.",
                    cause=reason.cause,
                    mend=look if hidden else f"Start the app, or check PUBLIC_BASE_URL, DNS and certificate. {look}",
                ),
            )
        if page.status == 200 and json_object(page.body).get("service") == SERVICE:
            return (Finding(check=check, what=f"{self._public} leads to this service."),)
        return (
            Finding(
                check=check,
                state=State.BROKEN,
                code="public_address_foreign",
                what=f"{self._public} does not lead to this service.",
                cause=f"{host} answers HTTP {page.status} at /api/health, and not as this service does.",
                mend="Set PUBLIC_BASE_URL to the address that browsers see, or mend the proxy, or deploy the functions.",
            ),
        )

    async def graph(self) -> Iterable[Finding]:
        """Graph's answer to nobody is 401: then it is there and speaks."""
        check, host = "graph", urlsplit(self._graph).netloc
        try:
            page = await get(self._http, f"{self._graph}/v1.0/me/onenote/notebooks")
        except NO_ANSWER as error:
            what = "Microsoft Graph can't be reached."
            return (unreachable(check, "", error, host=host, setting="GRAPH_BASE_URL", what=what),)
        if page.status == 401:
            return (Finding(check=check, what=f"{host} answers."),)
        busy = page.busy
        return (
            Finding(
                check=check,
                state=State.BROKEN,
                code="graph_down" if busy else "not_graph",
                what="Microsoft Graph is out of order." if busy else f"What answers at {host} is not Microsoft Graph.",
                cause=f"It answers HTTP {page.status} where Graph says 401.",
                mend="See Microsoft's service health, and wait."
                if busy
                else "Check GRAPH_BASE_URL, and proxies on the way.",
            ),
        )
