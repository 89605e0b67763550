"""Owns what takes the transport out of msal, a synchronous library: its requests out, our answers in.

msal's undocumented `post=` keyword makes it possible; a contract test fails when a new msal stops honouring it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn
from urllib.parse import quote_plus, urlencode

from shared.adapters.metadata import Endpoints
from shared.errors import Misconfigured

_HOLE = "the-refresh-token-goes-here"
_NO_LONGER = "msal no longer honours post=: install the pinned version."


class CapturedError(Exception):
    """Carries the request that msal built out of msal."""

    def __init__(self, url: str, headers: dict[str, str], data: dict[str, str]) -> None:
        super().__init__("captured")
        self.url = url
        self.headers = headers
        self.data = data


def capture(url: str, *, headers: dict[str, str], data: dict[str, str], **_: object) -> NoReturn:
    raise CapturedError(url, headers, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A POST to the token endpoint; the body is a form (RFC 6749 §3.2)."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @classmethod
    def built(cls, ask: Callable[..., object]) -> "TokenRequest":
        """What msal would send. Raises Misconfigured for a msal that does otherwise."""
        captured = captured_from(ask)
        return cls(url=captured.url, headers=captured.headers, body=urlencode(captured.data).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshForm:
    """A renewal's request but for the refresh token: the same for everybody of an app, authority and scopes.

    Having msal build it anew for each session takes as long as all the rest of a call.
    """

    url: str
    headers: Mapping[str, str]
    rest: bytes = field(repr=False)

    @classmethod
    def built(cls, ask: Callable[..., object]) -> "RefreshForm":
        """As `TokenRequest.built`; `ask` is given a refresh token first."""
        captured = captured_from(partial(ask, _HOLE))
        rest = dict(captured.data)
        if rest.pop("refresh_token", None) != _HOLE or _HOLE in str((rest, captured.headers)):
            raise Misconfigured([_NO_LONGER])
        return cls(url=captured.url, headers=captured.headers, rest=urlencode(rest).encode())

    def request(self, refresh_token: str) -> TokenRequest:
        body = b"%b&refresh_token=%b" % (self.rest, quote_plus(refresh_token).encode())
        return TokenRequest(url=self.url, headers=self.headers, body=body)


def captured_from(ask: Callable[..., object]) -> CapturedError:
    """The request that msal builds when `ask` calls it with the `post` that it is given. Raises Misconfigured."""
    try:
        ask(post=capture)
    except CapturedError as captured:
        return captured
    raise Misconfigured([_NO_LONGER])


def answered(answer: "Answer", *_: object, **__: object) -> "Answer":
    return answer


class Answer:
    """What msal needs of an HTTP response."""

    def __init__(self, status_code: int, text: str, correlation_id: str = "") -> None:
        self.status_code = status_code
        self.text = text
        self.headers: dict[str, str] = {}
        self.correlation_id = correlation_id

    def raise_for_status(self) -> None:
        """Statuses are judged before msal sees the answer."""


class Discovered:
    """Answers msal's own discovery with what is known already, so that making an app costs no call."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._document = json.dumps(
            {
                "issuer": endpoints.issuer,
                "authorization_endpoint": endpoints.authorization,
                "token_endpoint": endpoints.token,
            }
        )

    def get(self, *_: object, **__: object) -> Answer:
        return Answer(200, self._document)

    def post(self, *_: object, **__: object) -> NoReturn:
        raise Misconfigured([_NO_LONGER])

    def close(self) -> None: ...
