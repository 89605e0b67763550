"""Owns what takes the transport out of msal, a synchronous library: its requests out, our answers in.

msal's undocumented `post=` keyword makes it possible; a contract test fails when a new msal stops honouring it.
"""

import json
from typing import NoReturn

from shared.adapters.metadata import Endpoints
from shared.errors import Misconfigured


class CapturedError(Exception):
    """Carries the request that msal built out of msal."""

    def __init__(self, url: str, headers: dict[str, str], data: dict[str, str]) -> None:
        super().__init__("captured")
        self.url = url
        self.headers = headers
        self.data = data


def capture(url: str, *, headers: dict[str, str], data: dict[str, str], **_: object) -> NoReturn:
    raise CapturedError(url, headers, data)


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
        raise Misconfigured(["msal no longer honours post=: install the pinned version."])

    def close(self) -> None: ...
