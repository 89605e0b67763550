"""Owns what the identity platform's answers mean: addresses to send people to, tokens, and whose they are.

The calls themselves are `token_endpoint`'s.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from aiohttp import ClientSession

from shared import base64url, scopes
from shared.adapters import id_token
from shared.adapters.http import with_query
from shared.adapters.metadata import Endpoints, Metadata
from shared.adapters.msal_seam import Answer, TokenRequest, answered
from shared.adapters.signing_keys import SigningKeys
from shared.adapters.token_endpoint import TokenEndpoint
from shared.model import (
    PERSONAL_TENANT,
    Account,
    AccountKind,
    Attempt,
    Flow,
    Grant,
    SignedIn,
    TokenAnswer,
    digest,
)
from shared.ports import Clock, InvalidIdToken
from shared.settings import Settings

_DOMAIN_HINTS = {AccountKind.PERSONAL: "consumers", AccountKind.WORK: "organizations"}


class MsalIdentity:
    """`Identity` over msal."""

    def __init__(
        self,
        settings: Settings,
        http: ClientSession,
        metadata: Metadata,
        tokens: TokenEndpoint,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._metadata = metadata
        self._tokens = tokens
        self._keys = SigningKeys(http, clock)
        self._clock = clock

    async def authorization_url(self, attempt: Attempt) -> str:
        endpoints = await self._metadata.endpoints(attempt.authority)
        code_flow = attempt.flow is Flow.CODE
        openid = scopes.OPENID if code_flow else scopes.OPENID[:2]
        names = scopes_of(attempt.scopes, self._settings.scope_prefix)
        parameters = {
            "client_id": self._settings.client_id,
            "response_type": "code" if code_flow else "id_token token",
            "redirect_uri": self._settings.redirect_uri,
            "response_mode": "form_post",  # codes stay out of URLs, histories and logs
            "scope": " ".join((*openid, *names)),
            "state": attempt.state,
            # msal compares the id token's nonce with this digest of the one that it is given.
            "nonce": digest(attempt.nonce),
            "code_challenge": s256(attempt.code_verifier) if code_flow else None,
            "code_challenge_method": "S256" if code_flow else None,
            "client_info": "1",
            "prompt": attempt.prompt,
            "login_hint": attempt.login_hint,
            "domain_hint": attempt.domain_hint or (_DOMAIN_HINTS[attempt.kind] if attempt.kind else None),
            "claims": attempt.claims,
        }
        return with_query(endpoints.authorization, {name: value for name, value in parameters.items() if value})

    async def redeem(self, code: str, attempt: Attempt, authority: str) -> SignedIn:
        flow = {
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_verifier": attempt.code_verifier,
            "redirect_uri": self._settings.redirect_uri,
            "scope": [*scopes.OPENID, *scopes_of(attempt.scopes, self._settings.scope_prefix)],
            "claims_challenge": attempt.claims,
        }
        callback = {"code": code, "state": attempt.state}

        def ask(app: Any, post: Callable[..., object]) -> dict[str, Any]:
            # msal takes the claims out of the flow that it is given; a second round needs them again.
            result: dict[str, Any] = app.acquire_token_by_auth_code_flow(dict(flow), callback, post=post)
            return result

        endpoints = await self._metadata.endpoints(authority)
        app, answer, raw = await self._tokens.ask(authority, lambda app: TokenRequest.built(partial(ask, app)))
        claims = _read(partial(ask, app), answer, raw).get("id_token_claims")
        if not isinstance(claims, Mapping):
            raise InvalidIdToken("missing")
        self._check(claims, endpoints, attempt, authority)
        account = id_token.account(claims, raw.get("client_info"))
        return SignedIn(account=account, grant=self._grant(raw, attempt.scopes, None))

    async def accept(self, answer: TokenAnswer, attempt: Attempt) -> SignedIn:
        endpoints = await self._metadata.endpoints(attempt.authority)
        claims = await self._keys.verified(answer.id_token, endpoints)
        id_token.check_at_hash(claims, answer.access_token)
        self._check(claims, endpoints, attempt, attempt.authority)
        raw = {"access_token": answer.access_token, "expires_in": answer.expires_in, "scope": answer.scope}
        return SignedIn(account=id_token.account(claims, None), grant=self._grant(raw, attempt.scopes, None))

    def _check(self, claims: Mapping[str, object], endpoints: Endpoints, attempt: Attempt, authority: str) -> None:
        id_token.check(
            claims,
            issuer=endpoints.issuer,
            client_id=self._settings.client_id,
            nonce=digest(attempt.nonce),
            tenant=PERSONAL_TENANT if authority == "consumers" else None,
            now=self._clock.now(),
        )

    async def refresh(self, refresh_token: str, scopes: Sequence[str], authority: str) -> Grant:
        wanted = scopes_of(scopes, self._settings.scope_prefix)
        raw = await self._tokens.renew(refresh_token, wanted, authority)
        return self._grant(raw, scopes, refresh_token)

    async def knows_issuer(self, issuer: str) -> bool:
        endpoints = await self._metadata.endpoints(self._settings.tenant)
        before, template, after = endpoints.issuer.partition("{tenantid}")
        if not template:
            return issuer == endpoints.issuer
        tenant = issuer.removeprefix(before).removesuffix(after)
        return issuer == before + tenant + after and tenant != "" and "/" not in tenant

    async def sign_out_url(self, account: Account | None, return_url: str, state: str) -> str:
        authority = account.authority if account else self._settings.tenant
        endpoints = await self._metadata.endpoints(authority)
        if endpoints.end_session is None:
            return return_url
        parameters = {"post_logout_redirect_uri": return_url, "state": state}
        # The claim `login_hint` and nothing else: "Don't use UPNs" ("OpenID Connect on the Microsoft identity platform").
        if account and account.login_hint and account.login_hint != account.username:
            parameters["logout_hint"] = account.login_hint
        return with_query(endpoints.end_session, parameters)

    def _grant(self, raw: Mapping[str, Any], asked: Sequence[str], refresh_token: str | None) -> Grant:
        now = self._clock.now()
        lifetime = _seconds(raw.get("expires_in")) or 3600
        refresh_in = _seconds(raw.get("refresh_in"))
        newer = raw.get("refresh_token")
        granted = raw.get("scope")
        return Grant(
            access_token=raw["access_token"],
            refresh_token=newer if isinstance(newer, str) and newer else refresh_token,
            expires_at=now + timedelta(seconds=lifetime),
            refresh_at=now + timedelta(seconds=refresh_in) if refresh_in else None,
            # RFC 6749 §5.1: an absent scope means the one that was asked for.
            scopes=scopes.from_answer(granted) if isinstance(granted, str) else tuple(sorted(asked)),
        )


def scopes_of(names: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Permissions as this cloud's provider wants them named."""
    return tuple(name if name == "email" else prefix + name for name in scopes.resource_scopes(names))


def s256(verifier: str) -> str:
    """The code challenge of a verifier (RFC 7636 §4.2)."""
    return base64url.encode(hashlib.sha256(verifier.encode()).digest())


def _read(
    ask: Callable[[Callable[..., object]], dict[str, Any]], answer: Answer, raw: dict[str, Any]
) -> dict[str, Any]:
    """What msal makes of an answer with tokens; empty where it stumbles over one, which is told by the id token."""
    # msal reckons with `refresh_in` and stumbles over one that is no number; it is read from `raw` here anyway.
    text = json.dumps({name: value for name, value in raw.items() if name != "refresh_in"})
    try:
        return ask(partial(answered, Answer(answer.status_code, text)))
    except RuntimeError:
        # msal's word for a nonce that does not match; its text shows both.
        raise InvalidIdToken("nonce") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return {}


def _seconds(value: object) -> int | None:
    try:
        seconds = int(value)  # type: ignore[call-overload]  # Microsoft has sent strings
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < 10_000_000 else None
