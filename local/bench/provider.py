"""Owns the lean identity provider and Graph: the protocol's words with tokens made beforehand, next to no work a call.

The full local provider signs and remembers, and would be what is measured. Sizes are those of Microsoft's answers.
"""

import secrets
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local.bench.lean_http import as_json

CLIENT_ID = "5e3ce6c0-2b1f-4448-8285-4b75aa91e6d9"
CLIENT_SECRET = "bench-secret-of-forty-characters-or-so-00"
TENANT = "7a6b1c3e-52f4-4d0a-9c1b-0d4c8a2f9e11"
LIFETIME_S = 3_600

_ACCESS_TOKEN_SIZE = 1_900
ACCESS_TOKEN = "t" * _ACCESS_TOKEN_SIZE
"""Its Graph takes any; who measures a call to Graph sends one of this length."""

_REFRESH_TOKEN_SIZE = 1_100
_SCOPE = "Notes.Read openid profile offline_access"


class LeanProvider:
    """Metadata for any tenant, the token endpoint's two grants, and `/me/onenote/notebooks` of Graph.

    A code is `USER.NONCE`: what the authorize endpoint would have remembered. Without a memory no token is ever
    refused, so a benchmark can send what it likes.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.url = ""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._notebooks = b""
        self._made = 0
        self._before = self._between = self._after = b""

    def handle(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        if target.startswith("/v1.0/"):
            self.calls["graph"] += 1
            return 200, self._notebooks
        path = urlsplit(target).path
        if path.endswith("/oauth2/v2.0/token") and method == "POST":
            return self._token(body)
        if path.endswith("/.well-known/openid-configuration"):
            self.calls["metadata"] += 1
            return 200, as_json(self._metadata(path.split("/")[1]))
        if path == "/_bench/calls":
            return 200, as_json(self.calls)
        return 404, b"{}"

    def start(self, url: str) -> None:
        """`url` is where this is served; the answers to a refresh are laid out now."""
        self.url = url
        self._notebooks = as_json(_notebooks(url))
        whole = self._answer("ACCESS", "REFRESH", self._id_token("user-0", None))
        self._before, rest = whole.split(b"ACCESS", 1)
        self._between, self._after = rest.split(b"REFRESH", 1)

    def _token(self, body: bytes) -> tuple[int, bytes]:
        if b"client_id=" not in body or b"client_secret=" not in body:
            return 401, as_json({"error": "invalid_client", "error_codes": [7000218]})
        if b"grant_type=refresh_token" in body and b"&refresh_token=" in b"&" + body:
            self.calls["refresh"] += 1
            return 200, b"".join(
                (
                    self._before,
                    self._new(_ACCESS_TOKEN_SIZE),
                    self._between,
                    self._new(_REFRESH_TOKEN_SIZE),
                    self._after,
                )
            )
        code = parse_qs(body.decode()).get("code", [""])[0]
        user, dot, nonce = code.partition(".")
        if not dot:
            return 400, as_json({"error": "invalid_grant", "error_codes": [70000]})
        self.calls["redeem"] += 1
        access, refresh = self._new(_ACCESS_TOKEN_SIZE).decode(), self._new(_REFRESH_TOKEN_SIZE).decode()
        return 200, self._answer(access, refresh, self._id_token(user, nonce))

    def _new(self, size: int) -> bytes:
        """A token nobody had before, without the cost of randomness."""
        self._made += 1
        return b"%012d" % self._made + b"t" * (size - 12)

    def _answer(self, access_token: str, refresh_token: str, id_token: str) -> bytes:
        return as_json(
            {
                "token_type": "Bearer",
                "scope": _SCOPE,
                "expires_in": LIFETIME_S,
                "ext_expires_in": LIFETIME_S,
                "access_token": access_token,
                "refresh_token": refresh_token,
                "id_token": id_token,
            }
        )

    def _id_token(self, user: str, nonce: str | None) -> str:
        now = int(time.time())
        claims = {
            "aud": CLIENT_ID,
            "iss": f"{self.url}/{TENANT}/v2.0",
            "iat": now,
            "nbf": now - 300,
            "exp": now + LIFETIME_S,
            "name": f"User {user}",
            "oid": user,
            "sub": user,
            "preferred_username": f"{user}@contoso.example",
            "sid": secrets.token_hex(16),
            "tid": TENANT,
            "ver": "2.0",
        }
        return jwt.encode(claims | ({"nonce": nonce} if nonce else {}), self._key, algorithm="RS256")

    def _metadata(self, tenant: str) -> dict[str, str]:
        issuer = "{tenantid}" if tenant in ("common", "organizations") else tenant
        base = f"{self.url}/{tenant}/oauth2/v2.0"
        return {
            "issuer": f"{self.url}/{issuer}/v2.0",
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "end_session_endpoint": f"{base}/logout",
            "jwks_uri": f"{self.url}/{tenant}/discovery/v2.0/keys",
        }


def _notebooks(graph: str) -> dict[str, object]:
    """Five notebooks as Graph shows them, about 4 kB ("List notebooks")."""
    base = f"{graph}/v1.0/users/user-0@contoso.example/onenote/notebooks"

    def notebook(number: int) -> dict[str, object]:
        name, key = f"Notebook {number}", f"1-{number:08x}-52f4-4d0a-9c1b-0d4c8a2f9e11"
        by = {"user": {"id": "7a6b1c3e-52f4-4d0a-9c1b", "displayName": "User user-0"}}
        return {
            "id": key,
            "self": f"{base}/{key}",
            "createdDateTime": "2026-01-05T09:30:00Z",
            "displayName": name,
            "lastModifiedDateTime": "2026-02-17T16:02:11Z",
            "isDefault": number == 0,
            "userRole": "Owner",
            "isShared": False,
            "sectionsUrl": f"{base}/{key}/sections",
            "sectionGroupsUrl": f"{base}/{key}/sectionGroups",
            "createdBy": by,
            "lastModifiedBy": by,
            "links": {
                "oneNoteClientUrl": {"href": f"onenote:https://contoso.example/notebooks/{number}"},
                "oneNoteWebUrl": {"href": f"https://contoso.example/notebooks/{number}?web=1"},
            },
        }

    context = f"{graph}/v1.0/$metadata#users('user-0')/onenote/notebooks"
    return {"@odata.context": context, "value": [notebook(number) for number in range(5)]}
