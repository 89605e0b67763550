"""Owns how an authorization answer travels to the app: response modes, and the hint about the account."""

import base64
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from local.identity_provider import pages
from local.identity_provider.authorize_request import Target
from local.identity_provider.users import User


def client_info(user: User) -> str:
    """The account's two ids: base64url JSON, unsigned, as Microsoft's libraries read it."""
    text = json.dumps({"uid": user.oid, "utid": user.tenant_id}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def to_app(target: Target, fields: Mapping[str, str]) -> web.Response:
    """By the response mode that the app chose (OAuth 2.0 Multiple Response Type Encoding Practices §2.1)."""
    if target.state is not None:
        fields = {**fields, "state": target.state}
    if target.response_mode == "form_post":
        return pages.form_post(target.redirect_uri, fields)
    separator = "#" if target.response_mode == "fragment" else "&" if "?" in target.redirect_uri else "?"
    return web.Response(
        status=302,
        headers={
            "Location": f"{target.redirect_uri}{separator}{urlencode(fields)}",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )
