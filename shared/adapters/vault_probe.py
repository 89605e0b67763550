"""Owns the check of one vault: is it there, does it let us in, and what may the app's identity do in it.

Asks about a secret that does not exist: Key Vault judges the permission first (403) and looks for the secret then
(404), so nothing is written, nothing is left behind, and no write of the quota is used. That the permission to make
a secret goes with the one to change it is taken for granted: so it is with every built-in role and access policy.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.keyvault.secrets.aio import SecretClient

from shared.adapters.http import json_object
from shared.adapters.reach import clock_ahead, unreachable, with_clock
from shared.findings import Finding, State

_WALLS = {
    "ForbiddenByFirewall": (
        "vault_firewall",
        "Its firewall does not let this address in.",
        "In the vault's Networking allow the app's virtual network; for a laptop, its own address.",
    ),
    "ForbiddenByConnection": (
        "vault_private",
        "It takes no calls from the public network, and this one did not come through its private endpoint.",
        "Join the app to the virtual network with the vault's private endpoint, and let DNS name that.",
    ),
}
"""By Key Vault's inner code of a 403 ("Azure Key Vault REST API error codes")."""

_ROLE = "Give the app's identity the role Key Vault Secrets Officer on this vault; that takes some minutes to spread."
_POLICY = "In the vault's access policies give the app's identity Get, List, Set, Delete and Purge for secrets."


class VaultProbe:
    """`await look()` gives the findings for the vault behind `client`; `of` names it to people."""

    def __init__(self, client: SecretClient, *, of: str) -> None:
        self._client = client
        self.of = of
        self._host = urlsplit(client.vault_url).netloc

    async def look(self) -> Iterable[Finding]:
        """Raises Misconfigured, StoreUnavailable where the app has no identity to show."""
        asked = time.time()
        try:
            listed = await self._ask("GET", "/secrets?maxresults=1")
            finding = self._wall(listed) or self._strange(listed)
            if finding is None:
                answers = await self._permissions(listed)
                # What lies on the way may let a listing through and nothing else.
                finding = next(filter(None, map(self._strange, answers.values())), None) or self._judge(answers)
        except AzureError as error:
            return (
                unreachable(
                    "vault",
                    self.of,
                    error,
                    host=self._host,
                    setting="TOKEN_VAULT_URLS",
                    what=f"The vault {self._host} can't be reached.",
                ),
            )
        return with_clock(finding, self._host, clock_ahead(listed.headers.get("Date"), asked, time.time()))

    async def _permissions(self, listed: AsyncHttpResponse) -> dict[str, AsyncHttpResponse]:
        # A session's prefix: some operators limit the role to names.
        name = f"s-doctor-{secrets.token_hex(8)}"
        asked = {
            "read": ("GET", f"/secrets/{name}"),
            "write": ("PATCH", f"/secrets/{name}"),
            "delete": ("DELETE", f"/secrets/{name}"),
            "purge": ("DELETE", f"/deletedsecrets/{name}"),
        }
        answers = await asyncio.gather(*(self._ask(method, path) for method, path in asked.values()))
        return {"list": listed, **dict(zip(asked, answers, strict=True))}

    async def _ask(self, method: str, path: str) -> AsyncHttpResponse:
        nothing: dict[str, str] | None = {} if method == "PATCH" else None
        return await self._client.send_request(HttpRequest(method, path, json=nothing))

    def _wall(self, answer: AsyncHttpResponse) -> Finding | None:
        found = _WALLS.get(_inner_code(answer)) if answer.status_code == 403 else None
        return self._broken(found[0], f"{self._host} lets nothing in from here.", *found[1:]) if found else None

    def _strange(self, answer: AsyncHttpResponse) -> Finding | None:
        status = answer.status_code
        if status == 401:
            return self._broken(
                "vault_token_refused",
                "The vault does not accept who the app says it is.",
                "The vault trusts another tenant than the one that gave the app its token.",
                "Put vault and app identity into one tenant; on a laptop: az login --tenant …, az account show.",
            )
        if status == 429:
            return self._note(
                "vault_throttled",
                "The vault is refusing calls for the moment.",
                "More calls came than its quota takes.",
                "Wait a minute. Often so: add a vault to TOKEN_VAULT_URLS.",
            )
        if status >= 500:
            cause = f"It answers HTTP {status}."
            return self._broken("vault_down", "The vault is out of order.", cause, "See Azure's status page, and wait.")
        if not _speaks_key_vault(answer):
            return self._broken(
                "not_a_vault",
                f"What answers at {self._host} is no Key Vault.",
                f"It says HTTP {status}, and not as a vault would: a proxy, or another service.",
                "Check TOKEN_VAULT_URLS, and what lies on the way.",
            )
        return None

    def _judge(self, answers: dict[str, AsyncHttpResponse]) -> Finding:
        refused = [action for action, answer in answers.items() if answer.status_code == 403]
        if not refused:
            unclear = [a for a, answer in answers.items() if answer.status_code >= 400 and answer.status_code != 404]
            if unclear:
                return self._note(
                    "vault_unclear",
                    f"The vault can be listed; whether the app may {_and(unclear)} it did not say.",
                    f"It answers HTTP {answers[unclear[0]].status_code}.",
                    "Ask again in a minute.",
                )
            if _keeps_the_deleted(answers["list"]):
                return self._note(
                    "vault_purge_protected",
                    f"{self._host} has purge protection: tokens stay recoverable after people have signed out.",
                    "It can't be switched off again.",
                    "Make a vault without it, append it to TOKEN_VAULT_URLS, and drop this one when its sessions have ended.",
                )
            return Finding(
                check="vault", of=self.of, what=f"{self._host} lets the app list, read, write, delete and purge."
            )
        may = [action for action in answers if action not in refused]
        inner = _inner_code(answers[refused[0]])
        cause = f"It may {_and(may)}, as some lesser role allows." if may else "It has no role here."
        return self._broken(
            "vault_role_missing",
            f"In {self._host} the app may not {_and(refused)} secrets.",
            f"{cause} Key Vault says {inner or 'Forbidden'}.",
            _POLICY if inner == "AccessDenied" else _ROLE,
        )

    def _broken(self, code: str, what: str, cause: str, mend: str) -> Finding:
        return Finding(check="vault", of=self.of, state=State.BROKEN, code=code, what=what, cause=cause, mend=mend)

    def _note(self, code: str, what: str, cause: str, mend: str) -> Finding:
        return replace(self._broken(code, what, cause, mend), state=State.NOTE)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _speaks_key_vault(answer: AsyncHttpResponse) -> bool:
    return bool({"value", "error"} & set(json_object(answer.content)))


def _keeps_the_deleted(listed: AsyncHttpResponse) -> bool:
    """Whether what a vault deletes can't be purged ("Key Vault soft-delete overview"); its first secret tells."""
    match json_object(listed.content).get("value"):
        case [{"attributes": {"recoveryLevel": str(level)}}, *_]:
            return "Purgeable" not in level
    return False


def _inner_code(answer: AsyncHttpResponse) -> str:
    error = json_object(answer.content).get("error")
    inner = error.get("innererror") if isinstance(error, dict) else None
    code = inner.get("code") if isinstance(inner, dict) else None
    return code if isinstance(code, str) and code.isalnum() and len(code) < 64 else ""
