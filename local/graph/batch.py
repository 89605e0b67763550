"""Owns batches at the embedded Microsoft Graph: each call in one is a call of its own, in its turn.

Source: "Combine multiple HTTP requests using JSON batching" (20 calls, `dependsOn`, 424, bodies in base64).
"""

import base64
import json
from typing import Any

from aiohttp import ClientSession, hdrs, web

from local.graph.rules import OneNoteError

Json = dict[str, Any]

_MOST = 20


async def batch_answer(request: web.Request, service: str) -> web.Response:
    """`service` is this Graph's own address, with the version."""
    try:
        calls: list[Json] = (await request.json())["requests"]
        if not 1 <= len(calls) <= _MOST:
            raise OneNoteError(
                400, "BadRequest", f"Number of batch request steps exceeds the maximum value of {_MOST}."
            )
        answers: list[Json] = []
        async with ClientSession() as http:
            for call in calls:
                failed = {one["id"] for one in answers if one["status"] >= 400}
                if failed.isdisjoint(call.get("dependsOn") or ()):
                    answers.append(await _one(http, service, call, request.headers[hdrs.AUTHORIZATION]))
                else:
                    answers.append({"id": call["id"], "status": 424, "headers": {}, "body": _failed_dependency()})
    except (ValueError, KeyError, TypeError) as error:
        raise OneNoteError(400, "BadRequest", "Invalid batch payload format.") from error
    return web.json_response({"responses": answers})


async def _one(http: ClientSession, service: str, call: Json, authorization: str) -> Json:
    headers = {**(call.get("headers") or {}), hdrs.AUTHORIZATION: authorization}
    body = call.get("body")
    data = base64.b64decode(body) if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    # Over the wire to ourselves: what holds for a call holds for one in a batch, faults of tests included.
    async with http.request(
        call["method"], service + call["url"], headers=headers, data=data, ssl=False, allow_redirects=False
    ) as answer:
        shown = {name: value for name, value in answer.headers.items() if name not in (hdrs.DATE, hdrs.SERVER)}
        content = await answer.read()
        plain: Any = base64.b64encode(content).decode() if content else None
        if answer.content_type == "application/json":
            plain = json.loads(content)
        return {"id": call["id"], "status": answer.status, "headers": shown, "body": plain}


def _failed_dependency() -> Json:
    return {"error": {"code": "FailedDependency", "message": "A call that this one depends on has failed."}}
