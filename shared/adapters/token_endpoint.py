"""Owns the calls to the token endpoint: msal builds each request, aiohttp sends it, a refusal is judged.

`msal_seam` takes the transport out of msal, so that one event loop serves everybody. What tokens mean is
`msal_identity`'s.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession

from shared import log
from shared.adapters.client_credential import ClientCredential, MsalCredential
from shared.adapters.http import json_object, read_most, retry_after_s
from shared.adapters.metadata import Metadata
from shared.adapters.msal_seam import Answer, RefreshForm, TokenRequest, captured_from
from shared.errors import Misconfigured, ProviderUnavailable
from shared.model import ProviderRefusal
from shared.ports import Clock, ProviderRefused
from shared.settings import Settings
from shared.verdicts import MENDS, OF_THE_APP, Who, judge

_APPS_KEPT = 500
_FORM_FOR = timedelta(minutes=1)
_BODY_LIMIT = 1 << 20
_PROOF = ("client_id", "client_secret", "client_assertion", "client_assertion_type")


class TokenEndpoint:
    """`ask` for tokens with a request of msal's, `renew` with a refresh token, `ask_as_app` without a person."""

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
        self._clock = clock
        self._apps: dict[str, tuple[MsalCredential, str, Any]] = {}
        self._forms: dict[tuple[str, tuple[str, ...]], tuple[Any, datetime, RefreshForm]] = {}

    async def renew(self, refresh_token: str, wanted: tuple[str, ...], authority: str) -> dict[str, Any]:
        """The answer with tokens. Raises ProviderRefused, ProviderUnavailable, Misconfigured."""
        # msal's reading would add nothing here: a renewal is told by its tokens alone.
        _, _, raw = await self.ask(authority, lambda app: self._form(app, authority, wanted).request(refresh_token))
        return raw

    async def ask(
        self,
        authority: str,
        build: Callable[[Any], TokenRequest],
    ) -> tuple[Any, Answer, dict[str, Any]]:
        """The app that asked, the answer with tokens, and its JSON. A refused credential is read again, once.

        Raises ProviderRefused, ProviderUnavailable, Misconfigured.
        """
        for again in (True, False):
            app, proof = await self._app(authority)
            answer, raw = await self._send(build(app))
            if not _says(raw, "error"):
                return app, answer, raw
            refusal = _refusal(raw, answer.correlation_id)
            verdict = judge(refusal)
            # The endpoint of personal accounts may not take a code from `common`: sign-in has a way on for that.
            if verdict.who is not Who.OPERATOR or verdict.reason == "wrong_authority":
                raise ProviderRefused(refusal)
            if again and refusal.error == "invalid_client" and self._credential.forget(proof):
                continue
            self._alarm(verdict.reason, refusal, authority)
        raise AssertionError("unreachable")

    async def ask_as_app(self, authority: str, grant: Mapping[str, str]) -> ProviderRefusal | None:
        """What the provider says to the app with a grant that is nobody's; None for tokens, which are dropped.

        Raises ProviderUnavailable, Misconfigured. Nothing is logged: whoever asks judges the answer.
        """
        for again in (True, False):
            app, proof = await self._app(authority)
            captured = captured_from(partial(app.acquire_token_by_refresh_token, "-", []))
            form = {name: value for name, value in captured.data.items() if name in _PROOF} | dict(grant)
            answer, raw = await self._send(
                TokenRequest(url=captured.url, headers=captured.headers, body=urlencode(form).encode())
            )
            if not _says(raw, "error"):
                return None
            refusal = _refusal(raw, answer.correlation_id)
            if not (again and refusal.error == "invalid_client" and self._credential.forget(proof)):
                return refusal
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
        raise Misconfigured([MENDS[reason]], everywhere=reason in OF_THE_APP) from ProviderRefused(refusal)

    async def _app(self, authority: str) -> tuple[Any, MsalCredential]:
        """msal's application, and the credential that it shows."""
        endpoints = await self._metadata.endpoints(authority)
        credential = await self._credential.get(authority)
        known = self._apps.get(authority)
        if known and known[0] is credential and known[1] == endpoints.token:
            return known[2], credential
        from shared.adapters.msal_app import make_app

        url = f"{self._settings.authority_host}/{authority}"
        app = make_app(self._settings.client_id, url, credential, endpoints)
        if isinstance(credential, str) or self._settings.managed_identity_client_id is None:
            if len(self._apps) >= _APPS_KEPT:
                self._apps.pop(next(iter(self._apps)))
            self._apps[authority] = (credential, endpoints.token, app)
        return app, credential

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
        """The answer as msal takes it, and its JSON object: an error or tokens. Raises ProviderUnavailable for the rest."""
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
                body = await read_most(answer, _BODY_LIMIT)
                status, wait_s = answer.status, retry_after_s(answer.headers)
        except (ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"token endpoint: {type(error).__name__}") from error
        text = body.decode("utf-8", "replace")
        raw = json_object(text)
        if status == 429 or status >= 500:
            raise ProviderUnavailable(f"token endpoint: HTTP {status}", retry_after_s=wait_s)
        if not _says(raw, "error") and not _says(raw, "access_token"):
            detail = f"token endpoint: HTTP {status}, neither tokens nor an error"
            raise ProviderUnavailable(detail, retry_after_s=wait_s)
        return Answer(status, text, correlation_id), raw


def _says(raw: Mapping[str, Any], field: str) -> bool:
    return isinstance(raw.get(field), str) and raw[field] != ""


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
