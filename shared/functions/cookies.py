"""Owns our cookies: the session's, signed; a sign-in attempt's, sealed; the way back from sign-out, plain.

Keys come from the ring, one derived for each use. A forged cookie costs no vault call unless it names an unknown
key. `__Secure-`, not `__Host-`: the platform's host adds a Domain, and browsers then drop `__Host-` cookies.
"""

import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from shared import base64url
from shared.attempts import ATTEMPT_FOR
from shared.errors import BadRequest
from shared.functions.http import cookie
from shared.model import AccountKind, Attempt, Flow, RingKey, SessionId, SessionRef
from shared.ports import Clock, KeyRing
from shared.settings import Settings

SESSION = "__Secure-onenote-auth"
ATTEMPT_PREFIX = "__Secure-onenote-auth-attempt-"
WAY_BACK = "__Secure-onenote-auth-back"
ATTEMPTS_MOST = 5
REISSUE_AFTER = timedelta(days=1)
JUST_MADE = timedelta(seconds=30)
_KEY_SIGNS_FOR = timedelta(days=60)
VERIFIED_MOST = 10_000
"""Cookies whose signature an instance remembers to be good."""
_SKEW = timedelta(minutes=5)
_SESSION_COOKIE = re.compile(
    r"1\.(?P<vault>[a-z0-9-]{1,24})\.(?P<id>[A-Za-z0-9_-]{43})\.(?P<issued>[0-9a-f]{8})"
    r"\.(?P<key>[0-9a-f]{32})\.(?P<mac>[A-Za-z0-9_-]{43})"
)
_SEALED_MOST = 3800
_ATTEMPT_COOKIE = re.compile(rf"1\.(?P<key>[0-9a-f]{{32}})\.(?P<sealed>[A-Za-z0-9_-]{{40,{_SEALED_MOST}}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCookie:
    """`ref` is `session`'s own, worked out once: it is a hash."""

    session: SessionId
    ref: SessionRef
    issued_at: datetime


class Cookies:
    """Reads and writes them. `value` arguments are what the browser sent, or None."""

    def __init__(self, settings: Settings, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._base_path = urlsplit(settings.public_base_url).path
        self._same_site = "None" if settings.cross_site else "Lax"
        self._lives = timedelta(days=settings.session_idle_days)
        self._reissue_after = min(REISSUE_AFTER, self._lives / 4)
        self._verified: dict[str, SessionCookie] = {}

    async def session(self, value: str | None) -> SessionCookie | None:
        """The session that a cookie names, None for none, a forged or an expired one. Raises StoreUnavailable."""
        if value is None:
            return None
        # A browser sends the same cookie with every request. Its signature stays good, so only its age is asked again.
        read = self._verified.get(value) or await self._verify(value)
        # One from the future comes of a clock that was wrong; its key bounds how far that can go.
        if read is None or self._clock.now() - read.issued_at > self._lives:
            return None
        return read

    async def _verify(self, value: str) -> SessionCookie | None:
        """Check form and signature. Only what passes is remembered, so forged cookies push nothing out."""
        match = _SESSION_COOKIE.fullmatch(value)
        if match is None:
            return None
        issued_at = datetime.fromtimestamp(int(match["issued"], 16), UTC)
        if self._clock.now() - issued_at > self._lives:
            return None
        key = await self._ring.by_id(match["key"])
        if key is None or issued_at - key.created_at > _KEY_SIGNS_FOR:
            return None
        signed = match.string[: match.start("mac") - 1]
        if not hmac.compare_digest(_mac(key, signed), match["mac"]):
            return None
        session = SessionId(vault=match["vault"], value=match["id"])
        read = SessionCookie(session=session, ref=session.ref, issued_at=issued_at)
        if len(self._verified) >= VERIFIED_MOST:
            self._verified.pop(next(iter(self._verified)))
        self._verified[value] = read
        return read

    def claimed_session(self, value: str | None) -> SessionId | None:
        """The session that a cookie claims, its signature unchecked: enough to end it, for its id is its password."""
        match = _SESSION_COOKIE.fullmatch(value or "")
        return SessionId(vault=match["vault"], value=match["id"]) if match else None

    async def set_session(self, session: SessionId) -> str:
        key = await self._ring.newest()
        issued = int(self._clock.now().timestamp())
        signed = f"1.{session.vault}.{session.value}.{issued:08x}.{key.id}"
        return cookie(
            SESSION,
            f"{signed}.{_mac(key, signed)}",
            path=self._base_path or "/",
            max_age_s=int(self._lives.total_seconds()),
            same_site=self._same_site,
        )

    def clear_session(self) -> str:
        return cookie(SESSION, "", path=self._base_path or "/", max_age_s=0, same_site=self._same_site)

    def age(self, read: SessionCookie) -> timedelta:
        return self._clock.now() - read.issued_at

    def reissue_due(self, age: timedelta) -> bool:
        """Whether a cookie of that age is renewed: while it is used, so that it lives as long as the session does."""
        return age > self._reissue_after or age < -_SKEW

    async def set_attempt(self, attempt: Attempt, present: dict[str, str]) -> list[str]:
        """The attempt's cookie, and the removal of the oldest where the browser has too many.

        Raises BadRequest `query_too_long` for what no cookie can hold, StoreUnavailable.
        """
        key = await self._ring.newest()
        plain = json.dumps(_attempt_to_json(attempt), separators=(",", ":"), ensure_ascii=False).encode()
        nonce = os.urandom(12)
        name = _attempt_name(attempt.state, attempt.started_at)
        sealed = base64url.encode(nonce + _cipher(key).encrypt(nonce, plain, name.encode()))
        if len(sealed) > _SEALED_MOST:
            # Browsers drop a cookie of more than 4 KiB silently, and the callback would not know the attempt.
            raise BadRequest("query_too_long", "return_to, login_hint and scope are too long together.")
        others = sorted(n for n in present if n.startswith(ATTEMPT_PREFIX))
        oldest = others[: max(0, len(others) + 1 - ATTEMPTS_MOST)]
        return [
            cookie(
                name,
                f"1.{key.id}.{sealed}",
                path=self._base_path + "/api/auth",
                max_age_s=int(ATTEMPT_FOR.total_seconds()),
                # The callback is a cross-site POST, which carries no Lax cookie.
                same_site="None",
            ),
            *map(self.clear_attempt, oldest),
        ]

    async def attempt(self, state: str, present: dict[str, str]) -> tuple[Attempt | None, list[str]]:
        """The attempt that `state` belongs to, and the cookie that clears it: it is good for once."""
        suffix = "-" + _state_id(state)
        for name, value in present.items():
            match = _ATTEMPT_COOKIE.fullmatch(value)
            if not (name.startswith(ATTEMPT_PREFIX) and name.endswith(suffix) and match):
                continue
            clear = [self.clear_attempt(name)]
            key = await self._ring.by_id(match["key"])
            if key is None:
                return None, clear
            attempt = _open(key, match["sealed"], name)
            return (attempt if attempt and hmac.compare_digest(attempt.state, state) else None), clear
        return None, []

    def set_way_back(self, return_to: str) -> str:
        """Where to go when the provider's sign-out comes back; checked again when it is read."""
        return cookie(
            WAY_BACK,
            base64url.encode(return_to.encode()),
            path=self._base_path + "/api/auth",
            max_age_s=900,
            same_site="Lax",
        )

    def way_back(self, value: str | None) -> str | None:
        try:
            return base64url.decode(value).decode() if value else None
        except ValueError:
            return None

    def clear_way_back(self) -> str:
        return cookie(WAY_BACK, "", path=self._base_path + "/api/auth", max_age_s=0, same_site="Lax")

    def clear_attempt(self, name: str) -> str:
        return cookie(name, "", path=self._base_path + "/api/auth", max_age_s=0, same_site="None")


def just_made(age: timedelta) -> bool:
    return abs(age) < JUST_MADE


@lru_cache(maxsize=128)
def _derived(key: RingKey, use: bytes) -> bytes:
    return hmac.digest(key.secret, b"onenote-auth/" + use, "sha256")


def _mac(key: RingKey, text: str) -> str:
    return base64url.encode(hmac.digest(_derived(key, b"session-cookie"), text.encode(), "sha256"))


def _cipher(key: RingKey) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derived(key, b"attempt-cookie"))


def _open(key: RingKey, text: str, name: str) -> Attempt | None:
    from cryptography.exceptions import InvalidTag

    try:
        sealed = base64url.decode(text)
        plain = _cipher(key).decrypt(sealed[:12], sealed[12:], name.encode())
    except (InvalidTag, ValueError):
        return None
    return _attempt_from_json(json.loads(plain))


def _state_id(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _attempt_name(state: str, started_at: datetime) -> str:
    # The time first, so that names sort by age.
    return f"{ATTEMPT_PREFIX}{int(started_at.timestamp()):x}-{_state_id(state)}"


def _attempt_to_json(attempt: Attempt) -> dict[str, Any]:
    replaces = attempt.replaces
    return {
        "s": attempt.state,
        "n": attempt.nonce,
        "v": attempt.code_verifier,
        "a": attempt.authority,
        "k": attempt.kind,
        "sc": attempt.scopes,
        "r": attempt.return_to,
        "t": attempt.started_at.timestamp(),
        "f": attempt.flow,
        "h": attempt.login_hint,
        "c": attempt.claims,
        "d": attempt.domain_hint,
        "o": [replaces.vault, replaces.name] if replaces else None,
        "x": attempt.extends,
        "i": attempt.rounds,
    }


def _attempt_from_json(value: dict[str, Any]) -> Attempt:
    replaces = value["o"]
    return Attempt(
        state=value["s"],
        nonce=value["n"],
        code_verifier=value["v"],
        authority=value["a"],
        kind=AccountKind(value["k"]) if value["k"] else None,
        scopes=tuple(value["sc"]),
        return_to=value["r"],
        started_at=datetime.fromtimestamp(value["t"], UTC),
        flow=Flow(value["f"]),
        login_hint=value["h"],
        claims=value["c"],
        domain_hint=value["d"],
        replaces=SessionRef(vault=replaces[0], name=replaces[1]) if replaces else None,
        extends=value["x"],
        rounds=value["i"],
    )
