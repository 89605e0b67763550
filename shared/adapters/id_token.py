"""Owns the checks of an id token's claims that msal leaves to the app (OpenID Connect Core §3.1.3.7).

A token that came straight from the token endpoint over TLS may keep its signature unchecked (step 6 there); one
that came through the browser has it checked in `signing_keys`.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from shared import base64url
from shared.client_info import read_client_info
from shared.model import PERSONAL_TENANT, Account, AccountKind
from shared.ports import InvalidIdToken

_SKEW_S = 300


def check(
    claims: Mapping[str, object],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    tenant: str | None,
    now: datetime,
) -> None:
    """`issuer` may be the template with `{tenantid}`; `tenant` is the one that must have signed in, if one must.

    Raises InvalidIdToken naming the check that failed, never a value.
    """
    tenant_id = claims.get("tid")
    if not isinstance(tenant_id, str) or not tenant_id:
        raise InvalidIdToken("tid")
    if claims.get("iss") != issuer.replace("{tenantid}", tenant_id):
        raise InvalidIdToken("iss")
    audience = claims.get("aud")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidIdToken("aud")
    if claims.get("nonce") != nonce:
        raise InvalidIdToken("nonce")
    if tenant and tenant_id != tenant:
        raise InvalidIdToken("tid")
    at = now.timestamp()
    expires, not_before = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, int | float) or not at <= expires + _SKEW_S:
        raise InvalidIdToken("exp")
    if not isinstance(not_before, int | float) or not at >= not_before - _SKEW_S:
        raise InvalidIdToken("nbf")


def account(claims: Mapping[str, object], client_info: object) -> Account:
    """Who the (checked) claims speak of. `client_info` is the token answer's own, absent in some answers."""

    def text(name: str) -> str:
        value = claims.get(name)
        return value.strip()[:320] if isinstance(value, str) else ""

    tenant_id = text("tid")
    subject = text("oid") or text("sub")
    if not subject:
        raise InvalidIdToken("oid")
    uid, utid = read_client_info(client_info) or (subject, tenant_id)
    username = text("preferred_username") or text("email") or text("upn")
    return Account(
        home_account_id=f"{uid}.{utid}",
        tenant_id=tenant_id,
        kind=AccountKind.PERSONAL if tenant_id == PERSONAL_TENANT else AccountKind.WORK,
        username=username,
        name=text("name") or username,
        sid=text("sid") or None,
        login_hint=text("login_hint") or username or None,
    )


def check_at_hash(claims: Mapping[str, object], access_token: str) -> None:
    """The access token belongs to this id token (OpenID Connect Core §3.2.2.9, RS256). Raises InvalidIdToken."""
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    if claims.get("at_hash") != base64url.encode(half):
        raise InvalidIdToken("at_hash")
