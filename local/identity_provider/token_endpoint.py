"""Owns the token endpoint (RFC 6749 §3.2): who asks, and the grants that apps can trade for tokens."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from aiohttp import web

from local.identity_provider.answers import client_info
from local.identity_provider.authorize_request import read_parameters
from local.identity_provider.core import Core
from local.identity_provider.errors import (
    ProviderError,
    consent_missing,
    malformed,
    missing,
    unknown_client,
)
from local.identity_provider.grants import Code, Family, RefreshToken
from local.identity_provider.keys import id_token
from local.identity_provider.scopes import Scopes, parse
from local.identity_provider.users import Authority, User

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenEndpoint:
    """POST only, form in, JSON out. Nothing that is sent here is ever logged or said again."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def token(self, request: web.Request) -> web.Response:
        correlation_id = request.headers.get("client-request-id", "")[:64] or None
        try:
            body = await self._answer(request)
        except ProviderError as error:
            return web.json_response(error.as_json(correlation_id), status=error.status, headers=_NO_STORE)
        return web.json_response(body, headers=_NO_STORE)

    async def _answer(self, request: web.Request) -> dict[str, object]:
        if request.method != "POST":
            text = f"The endpoint only accepts POST requests. Received a {request.method} request."
            raise ProviderError("invalid_request", (900561,), text)
        form = read_parameters(await request.post())
        grant_type = form.get("grant_type", "")
        self._core.token_calls[grant_type[:64], request.match_info["tenant"].lower()[:64]] += 1
        if self._core.behaviour.latency_s:
            await asyncio.sleep(self._core.behaviour.latency_s)
        authority = self._core.authority(request.match_info["tenant"])
        if "Origin" in request.headers:
            text = "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type."
            raise ProviderError("invalid_request", (9002326,), text)
        self._authenticate(request, form, authority)
        if not grant_type:
            raise missing("grant_type")
        if grant_type == "authorization_code":
            return self._redeem(form, authority)
        if grant_type == "refresh_token":
            return self._refresh(form, authority)
        if grant_type == "client_credentials":
            return self._as_app(form, authority)
        text = f"The app requested an unsupported grant type '{grant_type[:64]}'."
        raise ProviderError("unsupported_grant_type", (70003,), text)

    def _authenticate(self, request: web.Request, form: dict[str, str], authority: Authority) -> None:
        """client_secret_post, client_secret_basic (RFC 6749 §2.3.1) or a client assertion (RFC 7523)."""
        app = self._core.registration
        basic_id, basic_secret = _basic(request.headers.get("Authorization", ""))
        client_id = form.get("client_id") or basic_id
        if client_id is None:
            raise missing("client_id")
        if client_id != app.client_id or basic_id not in (None, client_id):
            raise unknown_client(client_id)
        secret = form.get("client_secret") or basic_secret
        assertion = form.get("client_assertion")
        if secret is None and assertion is None:
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise ProviderError("invalid_client", (7000218,), text)
        if secret is not None and not hmac.compare_digest(secret.encode(), app.client_secret.encode()):
            text = f"Invalid client secret provided. Ensure the secret being sent is the value, app '{client_id}'."
            raise ProviderError("invalid_client", (7000215,), text)
        if assertion is None:
            return
        known = form.get("client_assertion_type") == _JWT_BEARER and app.accepts_assertion is not None
        if authority.serves_personal and not self._core.behaviour.consumers_takes_assertion:
            known = False
        if not known or app.accepts_assertion is None or not app.accepts_assertion(assertion):
            raise ProviderError("invalid_client", (700027,), "Client assertion failed signature validation.")

    def _redeem(self, form: dict[str, str], authority: Authority) -> dict[str, object]:
        """RFC 6749 §4.1.3. A code is spent by the first try of the right client, whatever comes of it."""
        for name in ("code", "redirect_uri"):
            if name not in form:
                raise missing(name)
        code = self._core.ledger.codes.get(form["code"])
        if code is None:
            raise ProviderError("invalid_grant", (70000,), "The provided value for the 'code' parameter is not valid.")
        if code.spent:
            text = "OAuth2 Authorization code was already redeemed, please retry with a new valid code."
            raise ProviderError("invalid_grant", (54005,), text)
        code.spent = True
        self._check_code(code, form, authority)
        scopes = self._scopes(form, code.scopes, code.user)
        self._core.check_refusal(code.user, "authorization_code")
        family = Family(user=code.user, sid=code.sid, redeemed_at=authority.segment)
        return self._tokens(form, family, scopes, code.nonce)

    def _check_code(self, code: Code, form: dict[str, str], authority: Authority) -> None:
        if code.expired:
            text = "The provided authorization code has expired. Send a new interactive request."
            raise ProviderError("invalid_grant", (70008,), text)
        if not self._may_redeem_at(authority, code):
            text = "Provided Authorization Code is intended to use against other tenant, thus rejected."
            raise ProviderError("invalid_grant", (700005,), text)
        if form["redirect_uri"] != code.redirect_uri:
            text = "The reply address does not match the reply address provided when requesting the code."
            raise ProviderError("invalid_grant", (500112,), text)
        # RFC 7636 §4.6; a verifier without a challenge is a downgrade (RFC 9700 §4.8.2)
        if _s256(form.get("code_verifier")) != code.code_challenge:
            text = "The Code_Verifier does not match the code_challenge supplied in the authorization request."
            raise ProviderError("invalid_grant", (501481,), text)

    def _may_redeem_at(self, authority: Authority, code: Code) -> bool:
        issued_at = Authority(code.segment)
        if authority.segment == issued_at.segment:
            return True
        if authority.tenant_id is not None and authority.tenant_id == issued_at.tenant_id:
            return True  # `consumers` and its tenant id are the same place
        if code.user.personal:
            return authority.serves_personal and self._core.behaviour.consumers_takes_common_code
        return authority.tenant_id == code.user.tenant_id

    def _refresh(self, form: dict[str, str], authority: Authority) -> dict[str, object]:
        """RFC 6749 §6. The cause of a refusal is said as precisely as Microsoft says it."""
        if "refresh_token" not in form:
            raise missing("refresh_token")
        token = self._core.ledger.refresh_tokens.get(form["refresh_token"])
        if token is None:
            raise _bad_token(70000, "The provided value for the input parameter 'refresh_token' is not valid.")
        user = token.family.user
        self._core.check_refusal(user, "refresh_token")
        if token.family.dead is not None:
            raise replace(token.family.dead)
        if token.expired:
            since = datetime.fromtimestamp(token.issued_at, UTC).isoformat()
            text = f"The refresh token has expired due to inactivity. The token was issued on {since} and was inactive"
            raise _bad_token(700082, f"{text} for 90.00:00:00.")
        if token.spent and self._core.behaviour.rotation == "strict":
            text = "The provided grant has expired due to it being revoked, a fresh auth token is needed."
            token.family.dead = _bad_token(50173, text)
            raise replace(token.family.dead)
        self._check_refresh_authority(token, authority)
        scopes = self._scopes(form, token.scopes, user)
        token.spent = True
        return self._tokens(form, token.family, scopes, nonce=None)

    def _check_refresh_authority(self, token: RefreshToken, authority: Authority) -> None:
        user = token.family.user
        if user.personal and self._core.behaviour.common_personal_dies:
            if not authority.serves_personal or token.family.redeemed_at == "common":
                raise _bad_token(70000, "The user could not be authenticated as the grant is expired. Sign in again.")
        elif not authority.takes(user):
            text = f"User account from another identity provider does not exist in tenant '{authority.segment}'."
            raise ProviderError("invalid_grant", (50020,), text)

    def _as_app(self, form: dict[str, str], authority: Authority) -> dict[str, object]:
        """RFC 6749 §4.4. The token has no permission: OneNote takes none from apps without a person."""
        if "scope" not in form:
            raise missing("scope")
        if authority.tenant_id is None or authority.serves_personal:
            text = (
                "No tenant-identifying information found in either the request or implied by any provided credentials."
            )
            raise ProviderError("invalid_request", (50059,), text)
        seconds = self._core.behaviour.access_token_seconds
        token = secrets.token_urlsafe(48)
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def _scopes(self, form: dict[str, str], granted: Scopes, user: User) -> Scopes:
        """What the request names, or what was granted. A refresh may name whatever is consented to, no more."""
        scopes = parse(form["scope"]) if "scope" in form else granted
        if scopes.names - self._core.ledger.consented(user):
            raise consent_missing()
        return scopes

    def _tokens(self, form: dict[str, str], family: Family, scopes: Scopes, nonce: str | None) -> dict[str, object]:
        """A token answer (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""
        behaviour, ledger, user = self._core.behaviour, self._core.ledger, family.user
        body: dict[str, object] = {
            "token_type": "Bearer",
            "scope": scopes.echo(as_asked=user.personal),
            "expires_in": behaviour.access_token_seconds,
            "ext_expires_in": behaviour.access_token_seconds,
            "access_token": ledger.give_access_token(user, scopes, behaviour.access_token_seconds),
        }
        if behaviour.refresh_in is not None:
            body["refresh_in"] = behaviour.refresh_in
        if "offline_access" in scopes.names:
            body["refresh_token"] = ledger.give_refresh_token(family, scopes)
        if "openid" in scopes.names:
            body["id_token"] = id_token(
                self._core.keys,
                back_url=self._core.back_url,
                client_id=self._core.registration.client_id,
                user=user,
                scopes=scopes.names,
                sid=family.sid,
                nonce=nonce,
            )
        if form.get("client_info") == "1":
            body["client_info"] = client_info(user)
        return body


def _bad_token(code: int, text: str) -> ProviderError:
    return ProviderError("invalid_grant", (code,), text, suberror="bad_token")


def _s256(verifier: str | None) -> str | None:
    if verifier is None:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _basic(header: str) -> tuple[str | None, str | None]:
    """Id and secret, each form-encoded before base64 (RFC 6749 §2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise malformed("The Authorization header can't be read.") from error
    return unquote_plus(client_id), unquote_plus(secret)
