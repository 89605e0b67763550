"""Owns the provider's metadata: fetched once for each authority that people sign in at, derived for tenants.

A thousand tenants cost no call of their own (OpenID Connect Discovery §4; "OpenID Connect on the Microsoft
identity platform").
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import ClientError, ClientSession

from shared.adapters.http import retry_after_s
from shared.errors import Misconfigured, ProviderUnavailable
from shared.model import PERSONAL_TENANT
from shared.ports import Clock

_KEEP = timedelta(hours=24)
SHARED = ("common", "organizations", "consumers")
"""Authorities that are no tenant's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where one authority's endpoints are. `issuer` may hold the template `{tenantid}`."""

    issuer: str
    authorization: str
    token: str
    end_session: str | None
    jwks: str | None

    def issuer_of(self, tenant_id: str) -> str:
        return self.issuer.replace("{tenantid}", tenant_id)


class Metadata:
    """`await endpoints(authority)`; one fetch at a time an authority, kept for a day, the old one as a reserve."""

    def __init__(self, http: ClientSession, host: str, sign_in_tenant: str, clock: Clock) -> None:
        self._http = http
        self._host = host
        self._own = sign_in_tenant
        self._clock = clock
        self._known: dict[str, tuple[datetime, Endpoints]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def endpoints(self, authority: str) -> Endpoints:
        """Raises ProviderUnavailable; Misconfigured when the provider doesn't know the tenant."""
        if authority == PERSONAL_TENANT:
            authority = "consumers"
        if authority in SHARED or authority == self._own:
            return await self._fetched(authority)
        base = self._own if self._own in ("common", "organizations") else "organizations"
        return _derive(await self._fetched(base), base, authority)

    async def _fetched(self, authority: str) -> Endpoints:
        async with self._locks.setdefault(authority, asyncio.Lock()):
            fetched_at, known = self._known.get(authority, (None, None))
            if known and fetched_at and abs(self._clock.now() - fetched_at) < _KEEP:
                return known
            try:
                known = await self._fetch(authority)
            except (ProviderUnavailable, Misconfigured):
                # Even "no such tenant" is not believed of one that there was: it may be a proxy's word.
                if known is None:
                    raise
            self._known[authority] = (self._clock.now(), known)
            return known

    async def _fetch(self, authority: str) -> Endpoints:
        try:
            async with self._http.get(url(self._host, authority), allow_redirects=False) as answer:
                document = await answer.json(content_type=None) if answer.status == 200 else None
                status, wait_s = answer.status, retry_after_s(answer.headers)
        except (ClientError, TimeoutError, ValueError, OSError) as error:
            raise ProviderUnavailable(f"identity provider metadata: {type(error).__name__}") from error
        if 400 <= status < 500 and status != 429:
            raise Misconfigured(
                [f"The identity provider knows no authority {authority}: check AUTH_TENANT and AUTH_AUTHORITY_HOST."]
            )
        if status != 200:
            raise ProviderUnavailable(f"identity provider metadata: HTTP {status}", retry_after_s=wait_s)
        return parse(document)


def url(host: str, authority: str) -> str:
    return f"{host}/{authority}/v2.0/.well-known/openid-configuration"


def parse(document: object) -> Endpoints:
    """Raises ProviderUnavailable for what is no provider's."""
    if not isinstance(document, Mapping):
        raise ProviderUnavailable("identity provider metadata: not usable")

    def text(name: str) -> str | None:
        value = document.get(name)
        return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None

    issuer, authorization, token = text("issuer"), text("authorization_endpoint"), text("token_endpoint")
    if not (issuer and authorization and token):
        raise ProviderUnavailable("identity provider metadata: endpoints missing")
    return Endpoints(
        issuer=issuer,
        authorization=authorization,
        token=token,
        end_session=text("end_session_endpoint"),
        jwks=text("jwks_uri"),
    )


def _derive(base: Endpoints, base_authority: str, tenant: str) -> Endpoints:
    def at_tenant(url: str) -> str:
        return url.replace(f"/{base_authority}/", f"/{tenant}/", 1)

    return Endpoints(
        issuer=base.issuer_of(tenant),
        authorization=at_tenant(base.authorization),
        token=at_tenant(base.token),
        end_session=at_tenant(base.end_session) if base.end_session else None,
        jwks=at_tenant(base.jwks) if base.jwks else None,
    )
