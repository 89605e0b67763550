"""Owns the talk with the identity platform: msal builds each token request and reads its answer, aiohttp sends it.

`msal_seam` takes the transport out of msal, so that one event loop serves everybody.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession

from shared import base64url, log, scopes
from shared.adapters import id_token
from shared.adapters.client_credential import ClientCredential, MsalCredential
from shared.adapters.http import retry_after_s
from shared.adapters.metadata import Endpoints, Metadata
from shared.adapters.msal_seam import Answer, RefreshForm, TokenRequest, answered, captured_from
from shared.adapters.signing_keys import SigningKeys
from shared.errors import Misconfigured, ProviderUnavailable
from shared.model import (
    PERSONAL_TENANT,
    Account,
    AccountKind,
    Attempt,
    Flow,
    Grant,
    ProviderRefusal,
    SignedIn,
    TokenAnswer,
    digest,
)
from shared.ports import Clock, InvalidIdToken, ProviderRefused
from shared.settings import Settings
from shared.verdicts import MENDS, Who, judge

_APPS_KEPT = 500
_FORM_FOR = timedelta(minutes=1)
_BODY_LIMIT = 1 << 20
_PROOF = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
_DOMAIN_HINTS = {AccountKind.PERSONAL: "consumers", AccountKind.WORK: "organizations"}


class MsalIdentity:
    """`Identity` over msal."""

    def __init__(
        self,
        settings: Settings,
        http: ClientSession,
        metadata: Metadata,
        credential: ClientCredential,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._http = http
        self._metadata = metadata
        self._credential = credential
        self._keys = SigningKeys(http, clock)
        self._clock = clock
        self._apps: dict[str, tuple[MsalCredential, str, Any]] = {}
        self._forms: dict[tuple[str, tuple[str, ...]], tuple[Any, datetime, RefreshForm]] = {}

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
        query = urlencode({name: value for name, value in parameters.items() if value})
        return endpoints.authorization + ("&" if "?" in endpoints.authorization else "?") + query

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
        app, answer, raw = await self._ask(endpoints, authority, lambda app: TokenRequest.built(partial(ask, app)))
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
        endpoints = await self._metadata.endpoints(authority)
        # msal's reading would add nothing here: a renewal is told by its tokens alone.
        _, _, raw = await self._ask(
            endpoints, authority, lambda app: self._form(app, authority, wanted).request(refresh_token)
        )
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
        if account and account.login_hint:
            parameters["logout_hint"] = account.login_hint
        return endpoints.end_session + ("&" if "?" in endpoints.end_session else "?") + urlencode(parameters)

    async def ask_as_app(self, authority: str, grant: Mapping[str, str]) -> ProviderRefusal | None:
        """What the provider says to the app with a grant that is nobody's; None for tokens, which are dropped.

        Raises ProviderUnavailable, Misconfigured. Nothing is logged: whoever asks judges the answer.
        """
        endpoints = await self._metadata.endpoints(authority)
        for again in (True, False):
            app = await self._app(endpoints, authority)
            captured = captured_from(partial(app.acquire_token_by_refresh_token, "-", []))
            form = {name: value for name, value in captured.data.items() if name in _PROOF} | dict(grant)
            answer, raw = await self._send(
                TokenRequest(url=captured.url, headers=captured.headers, body=urlencode(form).encode())
            )
            if not (isinstance(raw.get("error"), str) and raw["error"]):
                return None
            refusal = _refusal(raw, answer.correlation_id)
            if not (again and refusal.error == "invalid_client" and self._credential.forget()):
                return refusal
        raise AssertionError("unreachable")

    async def _ask(
        self,
        endpoints: Endpoints,
        authority: str,
        build: Callable[[Any], TokenRequest],
    ) -> tuple[Any, Answer, dict[str, Any]]:
        """The app that asked, the answer with tokens, and its JSON. A refused credential is read again, once."""
        for again in (True, False):
            app = await self._app(endpoints, authority)
            answer, raw = await self._send(build(app))
            if not (isinstance(raw.get("error"), str) and raw["error"]):
                if not isinstance(raw.get("access_token"), str) or not raw["access_token"]:
                    raise ProviderUnavailable(f"token endpoint: HTTP {answer.status_code}, neither tokens nor an error")
                return app, answer, raw
            refusal = _refusal(raw, answer.correlation_id)
            verdict = judge(refusal)
            # The endpoint of personal accounts may not take a code from `common`: sign-in has a way on for that.
            if verdict.who is not Who.OPERATOR or verdict.reason == "wrong_authority":
                raise ProviderRefused(refusal)
            if again and refusal.error == "invalid_client" and self._credential.forget():
                continue
            self._alarm(verdict.reason, refusal, authority)
        raise AssertionError("unreachable")

    def _alarm(self, reason: str, refusal: ProviderRefusal, authority: str) -> NoReturn:
        log.error(
            "provider_refused_the_app",
            reason=reason,
            error=refusal.error[:64],
            codes=[str(code) for code in refusal.codes],
            authority=authority,
            correlation_id=refusal.correlation_id,
            mend=MENDS[reason],
        )
        raise Misconfigured([MENDS[reason]]) from ProviderRefused(refusal)

    async def _app(self, endpoints: Endpoints, authority: str) -> Any:
        credential = await self._credential.get(authority)
        known = self._apps.get(authority)
        if known and known[0] is credential and known[1] == endpoints.token:
            return known[2]
        from shared.adapters.msal_app import make_app

        url = f"{self._settings.authority_host}/{authority}"
        app = make_app(self._settings.client_id, url, credential, endpoints)
        if isinstance(credential, str) or self._settings.managed_identity_client_id is None:
            if len(self._apps) >= _APPS_KEPT:
                self._apps.pop(next(iter(self._apps)))
            self._apps[authority] = (credential, endpoints.token, app)
        return app

    def _form(self, app: Any, authority: str, wanted: tuple[str, ...]) -> RefreshForm:
        """Built anew with a new app, and every minute: the app's proof, and whatever else is in it, ages."""
        known, now = self._forms.get((authority, wanted)), self._clock.now()
        if known and known[0] is app and abs(now - known[1]) < _FORM_FOR:
            return known[2]

        def ask(refresh_token: str, post: Callable[..., object]) -> object:
            return app.acquire_token_by_refresh_token(refresh_token, list(wanted), post=post)

        form = RefreshForm.built(ask)
        if len(self._forms) >= _APPS_KEPT:
            self._forms.pop(next(iter(self._forms)))
        self._forms[authority, wanted] = (app, now, form)
        return form

    async def _send(self, request: TokenRequest) -> tuple[Answer, dict[str, Any]]:
        """The answer as msal takes it, and its JSON object. Raises ProviderUnavailable for what is none."""
        correlation_id = str(uuid.uuid4())
        headers = {
            **request.headers,
            "Content-Type": "application/x-www-form-urlencoded",
            "client-request-id": correlation_id,
            "return-client-request-id": "true",
        }
        try:
            async with self._http.post(
                request.url, data=request.body, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(_BODY_LIMIT)
                while len(body) < _BODY_LIMIT and (more := await answer.content.read(_BODY_LIMIT)):
                    body += more
                status, wait_s = answer.status, retry_after_s(answer.headers)
        except (ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"token endpoint: {type(error).__name__}") from error
        text = body.decode("utf-8", "replace")
        raw = _object(text)
        if status == 429 or status >= 500 or not raw:
            raise ProviderUnavailable(f"token endpoint: HTTP {status}", retry_after_s=wait_s)
        return Answer(status, text, correlation_id), raw

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


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


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


def _refusal(raw: Mapping[str, Any], correlation_id: str) -> ProviderRefusal:
    codes = raw.get("error_codes")
    suberror, claims, theirs = raw.get("suberror"), raw.get("claims"), raw.get("correlation_id")
    return ProviderRefusal(
        error=raw["error"][:64],
        codes=tuple(c for c in codes if isinstance(c, int)) if isinstance(codes, list) else (),
        suberror=suberror if isinstance(suberror, str) else None,
        claims=claims if isinstance(claims, str) and len(claims) < 2000 else None,
        correlation_id=theirs if isinstance(theirs, str) and len(theirs) < 64 else correlation_id,
    )
