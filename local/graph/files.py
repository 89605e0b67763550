"""Owns how a picture or a file inside a page is sent: whole, in part, or not again (RFC 9110 §13, §14)."""

import hashlib

from aiohttp import hdrs, web

from local.graph.notebooks import Resource


def file_answer(request: web.Request, resource: Resource) -> web.Response:
    tag = f'"{hashlib.sha256(resource.data).hexdigest()[:16]}"'
    known = {hdrs.ETAG: tag, hdrs.ACCEPT_RANGES: "bytes"}
    if request.headers.get(hdrs.IF_NONE_MATCH) == tag:
        return web.Response(status=304, headers=known)
    whole = web.Response(body=resource.data, content_type=resource.content_type, headers=known)
    if hdrs.RANGE not in request.headers or request.headers.get(hdrs.IF_RANGE, tag) != tag:
        return whole
    size = len(resource.data)
    try:
        first, last, _ = request.http_range.indices(size)
    except ValueError:
        return whole
    if first >= last:
        return web.Response(status=416, headers={**known, hdrs.CONTENT_RANGE: f"bytes */{size}"})
    shown = {**known, hdrs.CONTENT_RANGE: f"bytes {first}-{last - 1}/{size}"}
    return web.Response(status=206, body=resource.data[first:last], content_type=resource.content_type, headers=shown)
