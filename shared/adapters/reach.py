"""Owns asking other hosts the simplest of questions, and why one does not answer, in an operator's words."""

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from aiohttp import ClientConnectorDNSError, ClientError, ClientSession, ClientSSLError, ClientTimeout

from shared.adapters.http import read_most
from shared.findings import Finding, State, clock

_BODY_MOST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer, redirects not followed. `ahead`: the host's clock against ours, None where it does not say."""

    status: int
    location: str
    body: bytes
    ahead: timedelta | None

    @property
    def busy(self) -> bool:
        return self.status == 429 or self.status >= 500


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a host can't be reached: `code` for programs, `cause` for people."""

    code: str
    cause: str


async def get(http: ClientSession, url: str, *, within_s: float = 6) -> Page:
    """Raises what aiohttp raises; `why_not` puts it in words."""
    asked = time.time()
    async with http.get(url, allow_redirects=False, timeout=ClientTimeout(total=within_s, connect=5)) as answer:
        body = await read_most(answer, _BODY_MOST)
        ahead = clock_ahead(answer.headers.get("Date"), asked, time.time())
        return Page(status=answer.status, location=answer.headers.get("Location", ""), body=body, ahead=ahead)


NO_ANSWER = (ClientError, TimeoutError, OSError)
"""What `get` raises where there is none."""


def why_not(error: BaseException, host: str) -> Reason:
    """Of the connection's error, or of one that has it as a cause."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientConnectorDNSError):
            return Reason("unknown_host", f"There is no host {host}: DNS does not know the name.")
        if isinstance(seen, (ClientSSLError, ssl.SSLError)):
            return Reason("certificate_refused", f"The certificate of {host} is not one that this machine trusts.")
        if isinstance(seen, TimeoutError):
            return Reason(
                "no_answer", f"{host} does not answer; a firewall on the way lets nothing through, or it is down."
            )
        seen = seen.__cause__
    return Reason("unreachable", f"{host} refuses the connection or breaks it off.")


MENDS = {
    "unknown_host": "Check {setting} for a typing error, and this network's DNS.",
    "certificate_refused": "Name the private authority's certificates in CA_BUNDLE; in public Azure: who sits in between?",
    "no_answer": "Check the network's firewall and routes, and the service's status page.",
    "unreachable": "Check {setting}, the network's firewall, and the service's status page.",
}
"""By a Reason's code; `setting` is the one that names the host."""


def clock_ahead(date: str | None, asked: float, answered: float) -> timedelta | None:
    """From a Date header (RFC 9110 §6.6.1, whole seconds) and our time before and after the call."""
    try:
        theirs = parsedate_to_datetime(date) if date else None
    except ValueError:
        return None
    if theirs is None:
        return None
    return (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)) - datetime.fromtimestamp(
        (asked + answered) / 2, UTC
    )


def with_clock(finding: Finding, host: str, ahead: timedelta | None) -> Iterable[Finding]:
    return (finding,) if ahead is None else (finding, clock(host, ahead))


def unreachable(check: str, of: str, error: BaseException, *, host: str, setting: str, what: str) -> Finding:
    reason = why_not(error, host)
    mend = MENDS[reason.code].format(setting=setting)
    return Finding(check=check, of=of, state=State.BROKEN, code=reason.code, what=what, cause=reason.cause, mend=mend)
