"""Owns the calls to Microsoft Graph. Knows no session and judges no answer."""

from aiohttp import ClientError, ClientSession
from yarl import URL

from shared.errors import NotesUnavailable
from shared.model import NotesAnswer, NotesCall


class GraphNotes:
    """`Notes` over HTTP. `base_url` has no slash at its end."""

    def __init__(self, http: ClientSession, base_url: str) -> None:
        self._http = http
        self._base_url = base_url

    async def send(self, call: NotesCall, access_token: str) -> NotesAnswer:
        # The target was checked as it is; another round of encoding would change what was checked.
        url = URL(f"{self._base_url}/{call.target}", encoded=True)
        headers = {**dict(call.headers), "Authorization": f"Bearer {access_token}"}
        try:
            async with self._http.request(
                call.method, url, headers=headers, data=call.body or None, allow_redirects=False
            ) as answer:
                body = await answer.read()
                joined: dict[str, str] = {}
                for name, value in answer.headers.items():
                    lower = name.lower()
                    joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
                return NotesAnswer(status=answer.status, headers=joined, body=body)
        except (ClientError, TimeoutError, OSError) as error:
            raise NotesUnavailable(f"Microsoft Graph: {type(error).__name__}") from error
