"""Owns what anybody may ask without a session and whatever the settings say: liveness, the OpenAPI document, its page,
the JavaScript client."""

import hashlib
import json
from functools import cache
from pathlib import Path

import azure.functions as func

from shared.findings import SERVICE
from shared.functions.http import Answer, json_answer


def blueprint() -> func.Blueprint:
    bp = func.Blueprint()

    @bp.route("health", methods=["GET", "OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
    async def liveness(req: func.HttpRequest) -> func.HttpResponse:
        return _fixed(req, json_answer({"status": "ok", "service": SERVICE}))

    @bp.route("openapi.json", methods=["GET", "OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
    async def openapi(req: func.HttpRequest) -> func.HttpResponse:
        return _fixed(req, Answer(200, _document(), "application/json"))

    @bp.route("docs", methods=["GET", "OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
    async def docs(req: func.HttpRequest) -> func.HttpResponse:
        return _fixed(req, _page())

    @bp.route("client.js", methods=["GET", "OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
    async def client(req: func.HttpRequest) -> func.HttpResponse:
        answer = _client()
        if req.headers.get("if-none-match") == answer.headers["ETag"]:
            answer = Answer(304, headers=answer.headers)
        return _fixed(req, answer)

    return bp


def _fixed(req: func.HttpRequest, answer: Answer) -> func.HttpResponse:
    """The same for anybody on any origin."""
    if req.method == "OPTIONS":
        answer = Answer(204, headers={"Allow": "GET, OPTIONS"})
    return Answer(
        answer.status, answer.body, answer.content_type, {**answer.headers, "Access-Control-Allow-Origin": "*"}
    ).to_response()


@cache
def _document() -> bytes:
    return Path(__file__).with_name("openapi.json").read_bytes()


@cache
def _page() -> Answer:
    # Off the cold-start path: few ask for it.
    from shared.functions.reference_page import reference_page

    return reference_page(json.loads(_document()))


@cache
def _client() -> Answer:
    # web/client.js lies in the package beside shared/, so that its version is always the bundle's.
    body = (Path(__file__).parents[2] / "web" / "client.js").read_bytes()
    # A few minutes without asking: short enough for a new version to arrive on the day that it is deployed.
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:20]}"', "Cache-Control": "public, max-age=300"}
    return Answer(200, body, "text/javascript; charset=utf-8", headers)
