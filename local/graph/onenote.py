"""Owns the embedded Microsoft Graph as far as OneNote needs it: who is calling, whether they may, whose notebooks.

What a path then does is `routes`', what is stored `notebooks`', limits and switches are `limits`'.
Sources: "Use the Microsoft Graph API" (errors, request ids), "Microsoft identity platform access tokens".
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from local.faults import Faults
from local.graph import rules
from local.graph.batch import batch_answer
from local.graph.limits import Switches
from local.graph.notebooks import Library
from local.graph.routes import Visit, answer
from local.graph.rules import OneNoteError
from local.identity_provider import USERS, AccessToken

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

GROUP_ID = "7d1b5b0e-6a3c-4f0e-9a53-0c8f3a1f2b64"
"""The one group that every tenant has. Its site is the tenant's own: `sites/{domain}`."""

_PATH = re.compile(
    r"/(?P<version>v1\.0|beta)/(?P<owner>me|(?P<kind>users|groups|sites)(?:/(?P<id>[^/]+)|\('(?P<key>[^'/]+)'\)))"
    r"/onenote/(?P<rest>[^/].*?)/?",
    re.IGNORECASE,
)
_BATCH = re.compile(r"/(v1\.0|beta)/\$batch", re.IGNORECASE)
_ID = re.compile(r"[0-9A-Za-z!-]{1,128}")
_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_SAFE = "/@'(),!:$"
_BEARER = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)
_MESSAGE_BYTES_MAX = 75 << 20


class OneNote:
    """OneNote at `url`. `tokens` tells what an access token is good for, None for one that is not (any more)."""

    def __init__(self, *, url: str, tokens: Callable[[str], AccessToken | None]) -> None:
        self.faults = Faults()
        self._url = url.rstrip("/")
        self._tokens = tokens
        self._switches: dict[str, Switches] = {}
        self._libraries: dict[str, Library] = {}

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware, self._guard], client_max_size=_MESSAGE_BYTES_MAX)
        app.router.add_route("*", "/{anywhere:.*}", self._serve)
        return app

    def switches(self, username: str) -> Switches:
        return self._switches.setdefault(username.lower(), Switches())

    def library(self, username: str) -> Library:
        """What that person has, seeded when it is first asked for."""
        personal = any(user.personal for user in USERS if user.username.lower() == username.lower())
        return self._library(username.lower(), username.partition("@")[0].capitalize(), personal=personal)

    def _library(self, owner: str, name: str, *, personal: bool = False) -> Library:
        if owner not in self._libraries:
            self._libraries[owner] = Library(owner, name=name, personal=personal)
        return self._libraries[owner]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        given = request.headers.get("client-request-id", "")
        ids = {
            "request-id": request_id,
            "client-request-id": given if _REQUEST_ID.fullmatch(given) else request_id,
        }
        try:
            reply = await handler(request)
        except OneNoteError as error:
            reply = _refusal(error.status, error.code, error.message, ids)
            reply.headers.update(error.headers)
        except web.HTTPException as error:  # aiohttp's own: the body is too large
            reply = _refusal(error.status, "20008", error.reason, ids)
        reply.headers.update(ids)
        return reply

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        token = self._token(request)
        if request.method == "POST" and (batch := _BATCH.fullmatch(request.path)):
            return await batch_answer(request, f"{self._url}/{batch[1].lower()}")
        switches = self.switches(token.username)
        with switches.call():
            match = _PATH.fullmatch(request.path)
            if match is None:
                segment = request.path.strip("/").rpartition("/")[2][:100]
                raise OneNoteError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
            kind, *rest = match["rest"].split("/")
            kind = kind.lower()
            library, own = self._owner(token, match)
            rules.check_permission(token, rules.action_of(request.method, kind), own=own)
            if not token.licensed:
                raise rules.no_licence()
            if switches.provisioning > 0:
                switches.provisioning -= 1
                raise rules.provisioning()
            if request.method != "GET" and not own and match["kind"].lower() == "users":
                raise OneNoteError(403, "40002", "The user does not have permission to write to the location.")
            if rest and not _ID.fullmatch(rest[0]):
                raise OneNoteError(400, "20112", "The ID in the request URI is not valid.")
            visit = Visit(
                request=request,
                switches=switches,
                library=library,
                service=f"{self._url}/{match['version'].lower()}",
                owner=quote(match["owner"], safe=_SAFE),
                path=quote(match["rest"], safe=_SAFE),
            )
            return await answer(visit, kind, rest)

    def _token(self, request: web.Request) -> AccessToken:
        scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise _unauthorized("Access token is empty.")
        token = self._tokens(text)
        if token is None or token.expires_at <= time.time():
            raise _unauthorized("Lifetime validation failed, the token is expired.")
        switches = self.switches(token.username)
        if switches.claims_challenge:
            switches.claims_challenge = False
            raise _claims_challenge()
        return token

    def _owner(self, token: AccessToken, match: re.Match[str]) -> tuple[Library, bool]:
        """Whose notebooks a path means, and whether they are the person's own."""
        wanted = (match["id"] or match["key"] or "").lower()
        kind = (match["kind"] or "me").lower()
        meant = next((u.username.lower() for u in USERS if wanted in (u.username.lower(), u.oid)), wanted)
        if kind == "me" or (kind == "users" and meant == token.username.lower()):
            return self.library(token.username), True
        if token.personal:
            raise rules.wrong_path()
        domain = token.username.rpartition("@")[2].lower()
        if kind == "groups" and wanted == GROUP_ID:
            return self._library(f"group {domain}", "Team"), False
        if kind == "sites" and wanted.partition(",")[0] == domain:
            return self._library(f"site {domain}", "Site"), False
        if kind == "users" and any(u.username.lower() == meant and u.domain == domain for u in USERS):
            return self.library(meant), False
        raise rules.not_found()


def _unauthorized(message: str) -> OneNoteError:
    return OneNoteError(401, "InvalidAuthenticationToken", message, {hdrs.WWW_AUTHENTICATE: _BEARER})


def _claims_challenge() -> OneNoteError:
    """As "Claims challenges, claims requests and client capabilities" shows it: claims in base64."""
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}
    claims = base64.b64encode(json.dumps(wanted).encode()).decode()
    header = f'{_BEARER}, error="insufficient_claims", claims="{claims}"'
    message = "Continuous access evaluation resulted in challenge with result: InteractionRequired."
    return OneNoteError(401, "InvalidAuthenticationToken", message, {hdrs.WWW_AUTHENTICATE: header})


def _refusal(status: int, code: str, message: str, ids: dict[str, str]) -> web.Response:
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return web.json_response(
        {"error": {"code": code, "message": message, "innerError": {"date": date, **ids}}}, status=status
    )
