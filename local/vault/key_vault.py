"""Owns the embedded Key Vault's secrets data plane on HTTP: paths, challenge, quotas, pages, errors.

What is stored, and the life of a name, is `secret_store`'s; the shapes are `shapes`'s. Sources: "Azure Key Vault
REST API reference" (secrets), "Azure Key Vault service limits", "Authentication, requests and responses".
"""

import base64
import binascii
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from urllib.parse import quote

from aiohttp import hdrs, web

from local.faults import Faults
from local.vault import shapes
from local.vault.access import Access
from local.vault.secret_store import Secret, SecretStore, VaultError, Version
from local.vault.shapes import Json, bad_parameter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CREATE_SECRET_PER_10S = 300
OTHER_PER_10S = 4_000
"""The real quotas of a vault ("Azure Key Vault service limits"), for `set_quota_per_10s`, `other_quota_per_10s`."""

PAGE = 25

VERSIONS = ("7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")
"""Of the API, oldest first. A vault outside Azure's public cloud knows only the older ones."""

_WINDOW_S = 10.0
_PAGE_SIZE = re.compile(r"[0-9]{1,4}")
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")


@dataclass(frozen=True)
class SecretOverview:
    """One secret for people and tests: the tags of its current version, how many versions there are."""

    name: str
    tags: Mapping[str, str]
    versions: int
    deleted: bool


class KeyVault:
    """One vault at `url`. `accepts` judges bearer tokens.

    `writes` counts the requests that make a secret version, `reads` all others; refused by a quota, neither.
    Attributes that may be set at any time: those of `access`, the quotas (None: no limit), `retry_after_s` (the Retry-After of a 429,
    None: no such header, as far as is known the real service's way), `versions` of the API. `store` has delays of its own.
    """

    def __init__(self, *, url: str, accepts: Callable[[str], bool]) -> None:
        self.faults = Faults()
        self.store = SecretStore()
        self.access = Access()
        self.set_quota_per_10s: int | None = None
        self.other_quota_per_10s: int | None = None
        self.retry_after_s: int | None = None
        self.versions: tuple[str, ...] = VERSIONS
        self.writes = 0
        self.reads = 0
        self.throttled = 0
        self._url = url.rstrip("/")
        self._accepts = accepts
        self._recent_writes: deque[float] = deque()
        self._recent_reads: deque[float] = deque()

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware, self._guard], client_max_size=1 << 20)
        route = app.router
        route.add_get("/secrets", self._list)
        route.add_put("/secrets/{name}", self._set)
        route.add_delete("/secrets/{name}", self._delete)
        route.add_get("/secrets/{name}/versions", self._list_versions)
        # the SDK ends the path with a slash where no version is named
        for path in ("/secrets/{name}", "/secrets/{name}/", "/secrets/{name}/{version}"):
            route.add_get(path, self._get)
            route.add_patch(path, self._update)
        route.add_get("/deletedsecrets", self._list_deleted)
        route.add_get("/deletedsecrets/{name}", self._get_deleted)
        route.add_delete("/deletedsecrets/{name}", self._purge)
        route.add_post("/deletedsecrets/{name}/recover", self._recover)
        return app

    def names(self) -> list[str]:
        return [secret.name for secret in self.store.living]

    def deleted_names(self) -> list[str]:
        """Names that are deleted and not yet gone for good."""
        return [secret.name for secret in self.store.deleted()]

    def overview(self) -> list[SecretOverview]:
        """Every secret without its value, the deleted ones last."""
        gone = self.store.deleted()
        return [_overview(secret, deleted=False) for secret in self.store.living] + [
            _overview(secret, deleted=True) for secret in gone
        ]

    def values(self, name: str | None = None) -> list[str]:
        """Every value that is stored, of every version, deleted secrets included; of one name, oldest first."""
        everything = [*self.store.living, *self.store.deleted()]
        return [
            version.value
            for secret in everything
            if name is None or secret.name.lower() == name.lower()
            for version in secret.versions.values()
        ]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._authenticate(request)
            self.access.check(request.method, request.path)
            self._check_version(request.query.get("api-version"))
            self._count(request)
            name = request.match_info.get("name")
            if name is not None and not _NAME.fullmatch(name):
                raise bad_parameter(f"The request URI contains an invalid name: {name}")
            return await handler(request)
        except VaultError as error:
            return self._refusal(error)
        except web.HTTPException as error:  # aiohttp's own: no such path, method not allowed, body too large
            return self._refusal(VaultError(error.status, "BadParameter", error.reason))

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise VaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        if not self._accepts(token):
            raise VaultError(401, "Unauthorized", "AKV10032: Invalid issuer, audience or lifetime of the token.")

    def _check_version(self, version: str | None) -> None:
        if not version:
            raise bad_parameter("The request is missing the query parameter api-version.")
        if version not in self.versions:
            raise bad_parameter(
                f"The specified version ({version}) is not recognized. "
                f"Consider using the latest supported version ({self.versions[-1]})."
            )

    def _count(self, request: web.Request) -> None:
        write = request.method == hdrs.METH_PUT
        recent = self._recent_writes if write else self._recent_reads
        quota = self.set_quota_per_10s if write else self.other_quota_per_10s
        now = time.monotonic()
        while recent and recent[0] <= now - _WINDOW_S:
            recent.popleft()
        if quota is not None and len(recent) >= quota:
            self.throttled += 1
            raise VaultError(
                429,
                "Throttled",
                "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
            )
        recent.append(now)
        if write:
            self.writes += 1
        else:
            self.reads += 1

    def _refusal(self, error: VaultError) -> web.Response:
        shown: Json = {"code": error.code, "message": error.message}
        if error.inner is not None:
            shown["innererror"] = {"code": error.inner}
        answer = web.json_response({"error": shown}, status=error.status)
        if error.status == 401:
            # an authority without metadata behind it: clients take the tenant from its path and ask elsewhere
            answer.headers[hdrs.WWW_AUTHENTICATE] = (
                f'Bearer authorization="{self._url}/tenant", resource="https://vault.azure.net"'
            )
        if error.status == 429 and self.retry_after_s is not None:
            answer.headers[hdrs.RETRY_AFTER] = str(self.retry_after_s)
        return answer

    async def _set(self, request: web.Request) -> web.Response:
        body = await _body(request)
        value = shapes.value_of(body)
        tags, content_type = shapes.tags_of(body), shapes.content_type_of(body)
        attributes = shapes.attributes_of(body)

        def make(version_id: str, now: int) -> Version:
            return Version(
                id=version_id,
                value=value,
                content_type=content_type,
                tags=tags or {},
                enabled=attributes.get("enabled", True),
                exp=attributes.get("exp"),
                nbf=attributes.get("nbf"),
                created=now,
                updated=now,
            )

        secret, version = self.store.set(request.match_info["name"], make)
        return web.json_response({"value": version.value, **shapes.bundle(self._url, secret, version)})

    async def _get(self, request: web.Request) -> web.Response:
        secret, version = self._find(request)
        if not version.enabled:
            message = "Operation get is not allowed on a disabled secret."
            raise VaultError(403, "Forbidden", message, "SecretDisabled")
        return web.json_response({"value": version.value, **shapes.bundle(self._url, secret, version)})

    async def _update(self, request: web.Request) -> web.Response:
        body = await _body(request)
        tags, content_type = shapes.tags_of(body), shapes.content_type_of(body)
        attributes = shapes.attributes_of(body)
        secret, version = self._find(request)
        if tags is not None:
            version.tags = tags
        if content_type is not None:
            version.content_type = content_type
        for name, value in attributes.items():
            setattr(version, name, value)
        version.updated = int(time.time())
        return web.json_response(shapes.bundle(self._url, secret, version))

    async def _delete(self, request: web.Request) -> web.Response:
        return web.json_response(shapes.deleted_bundle(self._url, self.store.delete(request.match_info["name"])))

    async def _list(self, request: web.Request) -> web.Response:
        return self._page(request, self.store.living.after, partial(shapes.item, self._url))

    async def _list_versions(self, request: web.Request) -> web.Response:
        secret = self.store.living.get(request.match_info["name"])
        versions = list(secret.versions.values()) if secret is not None else []

        def after(version_id: str) -> Iterator[Version]:
            ids = [version.id for version in versions]
            return iter(versions[ids.index(version_id) + 1 if version_id in ids else 0 :])

        def shown(version: Version) -> Json:
            assert secret is not None
            return shapes.bundle(self._url, secret, version)

        return self._page(request, after, shown)

    async def _list_deleted(self, request: web.Request) -> web.Response:
        return self._page(request, self.store.deleted_after, partial(shapes.deleted_item, self._url))

    async def _get_deleted(self, request: web.Request) -> web.Response:
        return web.json_response(shapes.deleted_bundle(self._url, self.store.find_deleted(request.match_info["name"])))

    async def _purge(self, request: web.Request) -> web.Response:
        self.store.purge(request.match_info["name"])
        return web.Response(status=204)

    async def _recover(self, request: web.Request) -> web.Response:
        secret = self.store.recover(request.match_info["name"])
        return web.json_response(shapes.bundle(self._url, secret, secret.current))

    def _find(self, request: web.Request) -> tuple[Secret, Version]:
        return self.store.find(request.match_info["name"], request.match_info.get("version", ""))

    def _page[T: (Secret, Version)](
        self, request: web.Request, after: Callable[[str], Iterable[T]], show: Callable[[T], Json]
    ) -> web.Response:
        """At most `maxresults` items from after the `$skiptoken` on, and where to go on."""
        text = request.query.get("maxresults", str(PAGE))
        if not _PAGE_SIZE.fullmatch(text) or not 1 <= int(text) <= PAGE:
            raise bad_parameter(f"Parameter maxresults is not between 1 and {PAGE}.")
        try:
            last = base64.urlsafe_b64decode(request.query.get("$skiptoken", "")).decode()
        except (binascii.Error, ValueError):
            raise bad_parameter("Parameter $skiptoken is not one that was given out.") from None
        found = list(islice(after(last), int(text) + 1))
        shown, more = found[: int(text)], len(found) > int(text)
        following: str | None = None
        if more:
            end = shown[-1]
            token = base64.urlsafe_b64encode((end.name if isinstance(end, Secret) else end.id).encode()).decode()
            version = quote(request.query["api-version"])
            following = f"{self._url}{request.path}?api-version={version}&$skiptoken={quote(token)}&maxresults={text}"
        return web.json_response({"value": [show(one) for one in shown], "nextLink": following})


def _overview(secret: Secret, *, deleted: bool) -> SecretOverview:
    return SecretOverview(
        name=secret.name, tags=dict(secret.current.tags), versions=len(secret.versions), deleted=deleted
    )


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_parameter("The body of the request is not a JSON object.")
    return body
