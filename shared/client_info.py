"""Owns reading `client_info`: base64url JSON with `uid` and `utid`, unsigned, so good for nothing but a hint.

msal does not check it (bad JSON raises, line breaks reach request headers): it is read here and dropped before msal.
"""

import json

from shared import base64url


def read_client_info(value: object) -> tuple[str, str] | None:
    """`uid` and `utid` of a `client_info`: unsigned, so good for nothing but a hint. None if it can't be read."""
    if not isinstance(value, str) or not 0 < len(value) <= 2048:
        return None
    try:
        parsed = json.loads(base64url.decode(value))
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    uid, utid = parsed.get("uid"), parsed.get("utid")
    if not (isinstance(uid, str) and isinstance(utid, str)) or not (uid + utid).replace("-", "").isalnum():
        return None
    return uid, utid
