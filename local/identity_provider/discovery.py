"""Owns the metadata and key endpoints (OpenID Connect Discovery §3, §4), on the back address."""

from aiohttp import web

from local.identity_provider.core import Core
from local.identity_provider.errors import ProviderError
from local.identity_provider.scopes import OPENID
from local.identity_provider.users import Authority


class Discovery:
    """Two documents for each authority; `invalid_tenant` for one that does not exist."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def configuration(self, request: web.Request) -> web.Response:
        try:
            authority = self._core.authority(request.match_info["tenant"])
        except ProviderError as error:
            return web.json_response(error.as_json(), status=error.status)
        return web.json_response(self._document(authority))

    async def keys(self, request: web.Request) -> web.Response:
        try:
            authority = self._core.authority(request.match_info["tenant"])
        except ProviderError as error:
            return web.json_response(error.as_json(), status=error.status)
        return web.json_response(self._core.keys.jwks(self._issuer(authority)))

    def _issuer(self, authority: Authority) -> str:
        """With the literal `{tenantid}` where several tenants sign in ("OpenID Connect on the identity platform")."""
        return f"{self._core.back_url}/{authority.tenant_id or '{tenantid}'}/v2.0"

    def _document(self, authority: Authority) -> dict[str, object]:
        front, back = (f"{url}/{authority.segment}" for url in (self._core.front_url, self._core.back_url))
        return {
            "token_endpoint": f"{back}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
            "jwks_uri": f"{back}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "id_token token", "token"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(OPENID),
            "issuer": self._issuer(authority),
            "request_uri_parameter_supported": False,
            "authorization_endpoint": f"{front}/oauth2/v2.0/authorize",
            "end_session_endpoint": f"{front}/oauth2/v2.0/logout",
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "claims_supported": [
                *["sub", "iss", "aud", "exp", "iat", "nbf", "nonce", "at_hash", "tid", "ver", "sid", "oid", "name"],
                *["preferred_username", "email", "login_hint"],
            ],
            "tenant_region_scope": None,
            "cloud_graph_host_name": "graph.microsoft.com",
        }
