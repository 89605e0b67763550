"""Owns a page that comes in parts: its HTML in `Presentation`, its pictures and files beside it.

Source: "Add images, videos, and files to OneNote pages" (Microsoft Graph): `src="name:PART"`, `data="name:PART"`.
"""

import re
from dataclasses import dataclass

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from local.graph.notebooks import Library, Resource
from local.graph.rules import OneNoteError


@dataclass(frozen=True, slots=True)
class Part:
    content_type: str
    data: bytes


async def document_of(request: web.Request, library: Library) -> str:
    """The page's HTML; its parts are kept as resources of `library`. Raises OneNoteError 20001."""
    try:
        parts = await _parts(request)
    except (ValueError, HttpProcessingError):
        raise OneNoteError(400, "20001", "The multipart request can't be read.") from None
    presentation = parts.pop("presentation", None)
    if presentation is None:
        raise OneNoteError(400, "20001", "The multipart request has no part named Presentation.")
    document = presentation.data.decode("utf-8", "replace")
    for name, part in parts.items():
        document = _with_resource(document, name, library.add_resource(part.content_type, part.data))
    return document


async def _parts(request: web.Request) -> dict[str, Part]:
    found: dict[str, Part] = {}
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name:
            content_type = part.headers.get("content-type", "application/octet-stream")
            found[part.name.lower()] = Part(content_type, bytes(await part.read()))
    return found


def _with_resource(document: str, name: str, resource: Resource) -> str:
    """A picture is shown in two sizes, a file in one."""
    source, kind = f"onenote-resource:{resource.id}", resource.content_type
    picture = f'src="{source}" data-src-type="{kind}" data-fullres-src="{source}" data-fullres-src-type="{kind}"'
    document = re.sub(rf"\bsrc=([\"'])name:{re.escape(name)}\1", picture, document, flags=re.IGNORECASE)
    return re.sub(rf"\bdata=([\"'])name:{re.escape(name)}\1", f'data="{source}"', document, flags=re.IGNORECASE)
