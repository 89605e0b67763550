"""Owns the calls to Microsoft Graph. Knows no session and judges no answer."""

from collections.abc import AsyncIterator

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, ConnectionTimeoutError
from multidict import CIMultiDictProxy
from yarl import URL

from shared.errors import AnswerTooLarge, NotesTimedOut, NotesUnavailable
from shared.model import NotesAnswer, NotesCall

_PIECE = 1 << 16
_TYPE = ("Content-Type",)


class GraphNotes:
    """`Notes` over HTTP. `base_url` has no slash at its end; an answer's body has `most_bytes` at most."""

    def __init__(self, http: ClientSession, base_url: str, most_bytes: int) -> None:
        self._http = http
        self._base_url = base_url
        self._most_bytes = most_bytes

    async def send(self, call: NotesCall, access_token: str) -> NotesAnswer:
        # The target was checked as it is; another round of encoding would change what was checked.
        url = URL(f"{self._base_url}/{call.target}", encoded=True)
        headers = dict(call.headers)
        headers["Authorization"] = "Bearer " + access_token
        if "range" in headers:
            # Of a compressed answer the range would be one of compressed bytes.
            headers["Accept-Encoding"] = "identity"
        if call.body:
            headers["Content-Length"] = str(len(call.body))
        try:
            async with self._http.request(
                call.method,
                url,
                headers=headers,
                data=_payload(call.body),
                allow_redirects=False,
                # aiohttp would name a type for a body that has none; where there is no body the list costs time only.
                skip_auto_headers=_TYPE if call.body else None,
            ) as answer:
                body = await self._read(answer)
                return NotesAnswer(status=answer.status, headers=_joined(answer.headers), body=body)
        except (ConnectionTimeoutError, ClientConnectorError) as error:
            raise NotesUnavailable(f"Microsoft Graph: {type(error).__name__}") from error
        except TimeoutError as error:
            raise NotesTimedOut(f"Microsoft Graph: {type(error).__name__}") from error
        except (ClientError, OSError) as error:
            # It got there: a write may have been done, and "try again" would be the wrong word for it.
            lost = NotesUnavailable if call.method == "GET" else NotesTimedOut
            raise lost(f"Microsoft Graph: {type(error).__name__}") from error

    async def _read(self, answer: ClientResponse) -> bytes:
        """The body, unpacked; no more of it is ever in memory than may pass. Raises AnswerTooLarge."""
        if (answer.content_length or 0) > self._most_bytes:
            raise AnswerTooLarge("Microsoft Graph: an answer over the limit")
        chunks: list[bytes] = []
        left = self._most_bytes
        while chunk := await answer.content.readany():
            left -= len(chunk)
            if left < 0:
                raise AnswerTooLarge("Microsoft Graph: an answer over the limit")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined = {name.lower(): value for name, value in headers.items()}
    if len(joined) < len(headers):
        joined = {name: ", ".join(headers.getall(name)) for name in joined}
    return joined


def _payload(body: bytes) -> bytes | AsyncIterator[memoryview] | None:
    """A large body goes out piece by piece, from where it lies: handed over whole, it would be copied."""
    return _pieces(body) if len(body) > _PIECE else body or None


async def _pieces(body: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]
