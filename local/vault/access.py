"""Owns who gets into the embedded vault: its network rules, and the role of the app's identity. Knows no secret.

Texts and codes as Key Vault words them ("Azure Key Vault REST API error codes"); roles as in "Provide access to Key
Vault keys, certificates, and secrets with Azure role-based access control".
"""

from dataclasses import dataclass

from local.vault.secret_store import VaultError

OFFICER = "Key Vault Secrets Officer"
_READ = frozenset({"readMetadata", "getSecret"})
ROLES = {
    OFFICER: _READ | {"setSecret", "update", "delete", "purge", "recover"},
    "Key Vault Secrets User": _READ,
    "Key Vault Reader": frozenset({"readMetadata"}),
    "": frozenset[str](),
}
"""Data actions of secrets by role; the empty name is no role at all."""

NETWORKS = ("open", "firewall", "private")

_CALLER = "Caller: appid=00000000-0000-0000-0000-00000000000a;oid=00000000-0000-0000-0000-00000000000b"


@dataclass(slots=True)
class Access:
    """`network`: one of NETWORKS, `role`: one of ROLES. Both may be set at any time."""

    network: str = "open"
    role: str = OFFICER

    def check(self, method: str, path: str) -> None:
        """Raises VaultError 403, as the vault does before it looks for the secret."""
        if self.network == "firewall":
            text = f"Client address is not authorized and caller is not a trusted service.\r\n{_CALLER}"
            raise VaultError(403, "Forbidden", text, "ForbiddenByFirewall")
        if self.network == "private":
            text = (
                "Public network access is disabled and request is not from a trusted service nor via an approved "
                f"private link.\r\n{_CALLER}"
            )
            raise VaultError(403, "Forbidden", text, "ForbiddenByConnection")
        action = _action(method, path)
        if action not in ROLES[self.role]:
            text = (
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or "
                f"role definitions were changed recently, please observe propagation time.\r\n{_CALLER}\r\n"
                f"Action: 'Microsoft.KeyVault/vaults/secrets/{action}/action'\r\nAssignment: (not found)"
            )
            raise VaultError(403, "Forbidden", text, "ForbiddenByRbac")


def _action(method: str, path: str) -> str:
    _, shelf, *rest = path.rstrip("/").split("/")
    if method == "GET":
        named = bool(rest) and rest[-1] != "versions" and shelf == "secrets"
        return "getSecret" if named else "readMetadata"
    if shelf == "deletedsecrets":
        return "purge" if method == "DELETE" else "recover"
    return {"PUT": "setSecret", "PATCH": "update"}.get(method, "delete")
