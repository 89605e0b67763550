"""Owns a scripted OneNote behind the `Notes` port: answers in turn, every call kept, calls at once counted."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

from shared.model import NotesAnswer, NotesCall


def answer(status: int, body: object = None, **headers: str) -> NotesAnswer:
    """A JSON answer; header names are given with underscores."""
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return NotesAnswer(
        status=status,
        headers={"content-type": "application/json", **named},
        body=json.dumps({} if body is None else body).encode(),
    )


def graph_error(status: int, code: str, **headers: str) -> NotesAnswer:
    return answer(status, {"error": {"code": code, "message": "as Graph says it"}}, **headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    call: NotesCall
    access_token: str = field(repr=False)


class ScriptedNotes:
    """`Notes` from a script: what lies in `answers` in turn, then `usual`. `latency_s` is how long a call takes."""

    def __init__(self, *, latency_s: float = 0.0) -> None:
        self.answers: list[NotesAnswer | Exception] = []
        self.usual: NotesAnswer = answer(200, {"value": []})
        self.refuses: set[str] = set()
        self.latency_s = latency_s
        self.sent: list[Sent] = []
        self.most_at_once: Counter[str] = Counter()
        self._at_once: Counter[str] = Counter()

    async def send(self, call: NotesCall, access_token: str) -> NotesAnswer:
        self.sent.append(Sent(call=call, access_token=access_token))
        self._at_once[access_token] += 1
        self.most_at_once[access_token] = max(self.most_at_once[access_token], self._at_once[access_token])
        try:
            await asyncio.sleep(self.latency_s)
        finally:
            self._at_once[access_token] -= 1
        if access_token in self.refuses:
            return graph_error(401, "InvalidAuthenticationToken")
        following = self.answers.pop(0) if self.answers else self.usual
        if isinstance(following, Exception):
            raise following
        return following
