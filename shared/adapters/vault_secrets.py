"""Owns the calls to one Key Vault: secrets read, written, marked, listed, deleted, purged, as plain JSON.

They go through the SDK's client and its pipeline (authentication, retries), past its models: building and checking
those takes longer than all the rest of a call. Shapes: "Azure Key Vault REST API reference" (SecretBundle, SecretItem,
DeletedSecretItem). Every call raises what `sdk_errors` says.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.keyvault.secrets.aio import SecretClient

from shared.adapters.vault_client import sdk_errors
from shared.errors import BadRequest, StoreUnavailable
from shared.origins import same_origin

_LIVING, _DELETED = "/secrets", "/deletedsecrets"
_PAGE_AGAIN_S = (1.0, 5.0, 20.0)
_PAGE_WAIT_MOST_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret as the vault shows it; times in seconds since 1970. A listing shows neither value nor version."""

    name: str
    version: str
    value: str = field(repr=False)
    tags: Mapping[str, str]
    created: int | None
    updated: int | None
    deleted: int | None


class VaultSecrets:
    """`doing` names the call in errors and in the log."""

    def __init__(self, client: SecretClient) -> None:
        self._client = client

    async def get(self, name: str, doing: str, version: str = "") -> Secret:
        """The newest version where none is named."""
        async with sdk_errors(doing):
            return _whole(await self._json("GET", f"{_LIVING}/{name}/{version}"))

    async def set(self, name: str, value: str, content_type: str, tags: Mapping[str, str], doing: str) -> Secret:
        """A new version."""
        async with sdk_errors(doing):
            body = {"value": value, "contentType": content_type, "tags": tags}
            return _whole(await self._json("PUT", f"{_LIVING}/{name}", body))

    async def tag(self, name: str, version: str, tags: Mapping[str, str], doing: str) -> None:
        """Other tags, all of them, for that version, or for the newest where `version` is empty."""
        async with sdk_errors(doing):
            _shown(await self._json("PATCH", f"{_LIVING}/{name}/{version}", {"tags": tags}))

    async def page(self, link: str | None, doing: str, *, collection: str = _LIVING) -> tuple[list[Secret], str | None]:
        """One page of a listing, and the link to the next. Raises BadRequest for a link that is none of this vault's."""
        path = collection
        if link is not None:
            # The caller's word, or the vault's: a token goes nowhere else for it. Its own links name the port, which its
            # address leaves out.
            if not same_origin(link, self._client.vault_url) or urlsplit(link).path != collection:
                raise _no_such_page()
            path = f"{collection}?{urlsplit(link).query}"
        async with sdk_errors(doing):
            try:
                answer = await self._json("GET", path)
            except HttpResponseError as error:
                if link is not None and error.status_code == 400:
                    raise _no_such_page() from error
                raise
            following = answer.get("nextLink")
            if following is not None and not isinstance(following, str):
                raise TypeError("nextLink")
            return [_shown(item) for item in answer["value"] or ()], following or None

    async def pages(self, doing: str, *, collection: str = _LIVING) -> AsyncGenerator[list[Secret]]:
        """A listing page by page, each within its own time limit: many pages take longer than one call may."""
        link: str | None = None
        while True:
            page, following = await self._patient_page(link, doing, collection)
            if following is not None and following == link:
                raise StoreUnavailable(f"{doing}: the pages have no end")
            yield page
            if following is None:
                return
            link = following

    async def _patient_page(self, link: str | None, doing: str, collection: str) -> tuple[list[Secret], str | None]:
        """A page that a busy vault refuses is asked for again: thousands of others would have been read for nothing."""
        waits_s = iter(_PAGE_AGAIN_S if link else ())
        while True:
            try:
                return await self.page(link, doing, collection=collection)
            except BadRequest as error:
                raise StoreUnavailable(f"{doing}: the next page is not the vault's") from error
            except StoreUnavailable as error:
                wait_s = next(waits_s, None)
                if wait_s is None:
                    raise
                await asyncio.sleep(max(wait_s, min(error.retry_after_s or 0.0, _PAGE_WAIT_MOST_S)))

    def deleted_pages(self, doing: str) -> AsyncGenerator[list[Secret]]:
        return self.pages(doing, collection=_DELETED)

    async def delete(self, name: str, doing: str) -> None:
        """Deleting what is not there, or is deleted already, is a success."""
        # The SDK's delete_secret waits until the deletion shows, which takes seconds.
        async with sdk_errors(doing):
            answer = await self._client.send_request(HttpRequest("DELETE", f"{_LIVING}/{name}"))
            gone = answer.status_code in (404, 409)
            if not gone and answer.status_code != 200:
                raise HttpResponseError(response=answer)
            # A proxy's page says nothing about the secret: only the vault's own words count.
            said = json.loads(answer.content)
            if not isinstance(said, dict) or ("error" if gone else "recoveryId") not in said:
                raise StoreUnavailable(f"{doing}: the answer is not a vault's")

    async def purge(self, name: str, doing: str) -> None:
        async with sdk_errors(doing):
            answer = await self._client.send_request(HttpRequest("DELETE", f"{_DELETED}/{name}"))
            if answer.status_code != 204:
                raise HttpResponseError(response=answer)

    async def _json(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        answer = await self._client.send_request(HttpRequest(method, path, json=body))
        if answer.status_code != 200:
            raise HttpResponseError(response=answer)
        said = json.loads(answer.content)
        if not isinstance(said, dict):
            raise TypeError("no object")
        return said


def _whole(answer: Mapping[str, Any]) -> Secret:
    secret = _shown(answer)
    if not secret.version:
        raise ValueError("no version")
    return secret


def _shown(answer: Mapping[str, Any]) -> Secret:
    # https://VAULT/secrets/NAME[/VERSION]
    _, _, _, _, name, *version = answer["id"].split("/")
    attributes, tags, value = answer.get("attributes") or {}, answer.get("tags") or {}, answer.get("value") or ""
    if not isinstance(tags, dict) or not isinstance(value, str):
        raise TypeError("not a secret's shape")
    return Secret(
        name=name,
        version=version[0] if version else "",
        value=value,
        tags=tags,
        created=_time(attributes.get("created")),
        updated=_time(attributes.get("updated")),
        deleted=_time(answer.get("deletedDate")),
    )


def _time(value: object) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError("not a time")
    return value


def _no_such_page() -> BadRequest:
    return BadRequest("invalid_request", "There is no such page.")
