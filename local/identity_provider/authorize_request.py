"""Owns reading an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1). Pure.

Two steps: who is to hear of errors (`read_target`), then everything else (`read_request`): until the first is
known to be right, nothing may be sent there (RFC 6749 §4.1.2.1).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from multidict import MultiMapping

from local.identity_provider.core import Behaviour, Registration
from local.identity_provider.errors import ProviderError, malformed, missing, unknown_client
from local.identity_provider.scopes import Scopes, parse
from local.identity_provider.users import Authority, User

_RESPONSE_TYPES = (
    frozenset({"code"}),
    frozenset({"id_token"}),
    frozenset({"token"}),
    frozenset({"id_token", "token"}),
)
_RESPONSE_MODES = ("query", "fragment", "form_post")
_PROMPTS = ("none", "login", "consent", "select_account")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # of S256 (RFC 7636 §4.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the answer goes, and how."""

    redirect_uri: str
    response_mode: str
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid request. `response_types` is a set: their order means nothing."""

    target: Target
    authority: Authority
    response_types: frozenset[str]
    scopes: Scopes
    nonce: str | None
    code_challenge: str | None
    prompt: str | None
    login_hint: str | None
    domain_hint: str | None
    client_info: bool

    def may_be(self, user: User) -> bool:
        """Whether the request's hints leave this account in question."""
        if not self.authority.takes(user):
            return False
        hint = (self.domain_hint or "").lower()
        if hint in ("consumers", "organizations"):
            return user.personal == (hint == "consumers")
        return not hint or hint == user.domain


def read_parameters(sent: MultiMapping[object]) -> dict[str, str]:
    """Each parameter at most once (RFC 6749 §3.1); empty ones count as left out."""
    if len(set(sent)) != len(sent):
        raise malformed("A parameter is included more than once.")
    return {name: value for name, value in sent.items() if isinstance(value, str) and value}


def read_target(sent: Mapping[str, str], app: Registration) -> Target:
    """Raises ProviderError, which only a page may show."""
    client_id, redirect_uri = sent.get("client_id"), sent.get("redirect_uri")
    if client_id is None:
        raise missing("client_id")
    if client_id != app.client_id:
        raise unknown_client(client_id)
    if redirect_uri not in app.redirect_uris:  # by characters, nothing else (RFC 9700 §4.1.3)
        text = (
            f"The redirect URI '{(redirect_uri or '')[:200]}' specified in the request does not match the "
            f"redirect URIs configured for the application '{client_id}'."
        )
        raise ProviderError("invalid_request", (50011,), text)
    asked = sent.get("response_mode")
    by_default = "query" if sent.get("response_type", "code") == "code" else "fragment"
    mode = asked if asked in _RESPONSE_MODES and (asked, by_default) != ("query", "fragment") else by_default
    return Target(redirect_uri=redirect_uri, response_mode=mode, state=sent.get("state"))


def read_request(
    sent: Mapping[str, str], target: Target, authority: Authority, behaviour: Behaviour
) -> AuthorizationRequest:
    """Raises ProviderError, to be answered at the target."""
    types = _response_types(sent, behaviour)
    scopes = parse(sent.get("scope"))
    if "id_token" in types and "openid" not in scopes.names:
        raise malformed("An id token needs the scope openid.")
    if "id_token" in types and "nonce" not in sent:
        raise ProviderError("invalid_request", (90014,), "The required field 'nonce' is missing.")
    _check_prompt(sent)
    _check_claims(sent.get("claims"))
    return AuthorizationRequest(
        target=target,
        authority=authority,
        response_types=types,
        scopes=scopes,
        nonce=sent.get("nonce"),
        code_challenge=_challenge(sent),
        prompt=sent.get("prompt"),
        login_hint=sent.get("login_hint"),
        domain_hint=sent.get("domain_hint"),
        client_info=sent.get("client_info") == "1",
    )


def _response_types(sent: Mapping[str, str], behaviour: Behaviour) -> frozenset[str]:
    if "response_type" not in sent:
        raise missing("response_type")
    types = frozenset(sent["response_type"].split())
    if types not in _RESPONSE_TYPES:
        raise ProviderError("unsupported_response_type", (70005,), "The response_type is not supported.")
    if types != {"code"} and not behaviour.implicit_enabled:
        code, text = (700054, "id_token") if "id_token" in types else (70005, "token")
        text = f"The response_type '{text}' is not enabled for the application."
        raise ProviderError("unsupported_response_type", (code,), text)
    mode = sent.get("response_mode", "")
    if mode and mode not in _RESPONSE_MODES:
        raise ProviderError("invalid_request", (90023,), "Unsupported 'response_mode' value.")
    if mode == "query" and types != {"code"}:
        text = "'query' is not a supported value of 'response_mode' when requesting a token."
        raise ProviderError("invalid_request", (70007,), text)
    return types


def _check_prompt(sent: Mapping[str, str]) -> None:
    prompt = sent.get("prompt")
    if prompt is not None and prompt not in _PROMPTS:
        raise ProviderError("invalid_request", (90023,), "Unsupported 'prompt' value.")
    if prompt == "select_account" and "login_hint" in sent:
        text = "'login_hint' can't be used with the 'prompt' value 'select_account'."
        raise ProviderError("invalid_request", (90023,), text)


def _check_claims(text: str | None) -> None:
    """The `claims` parameter, as sent back after a claims challenge (OpenID Connect Core §5.5)."""
    if text is None:
        return
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise malformed("The parameter 'claims' is not a JSON object.")


def _challenge(sent: Mapping[str, str]) -> str | None:
    challenge, method = sent.get("code_challenge"), sent.get("code_challenge_method")
    if challenge is None and method is None:
        return None
    # Left out, the method would be `plain`, which protects nothing that the browser can see.
    if method != "S256" or challenge is None or not _CHALLENGE.fullmatch(challenge):
        raise ProviderError("invalid_request", (50147,), "The code challenge is not valid: S256 only.")
    return challenge
