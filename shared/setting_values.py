"""Owns how the value of one setting is read, of whatever type, and the finding where it is wrong. Knows no setting by name."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from shared import scopes
from shared.errors import BadRequest
from shared.origins import origin_of


class Reader:
    """One method a type; a value that is none becomes a finding, and something harmless is returned in its place."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.findings: list[str] = []

    def text(self, name: str) -> str | None:
        """None where it is not set."""
        value = self.environ.get(name, "").strip()
        if value.startswith("@Microsoft.KeyVault("):
            self.findings.append(
                f"{name} is an unresolved Key Vault reference: give the app's identity 'Key Vault Secrets User' "
                f"on that vault and check the reference's address, or set {name} to the secret's own address."
            )
            return None
        return value or None

    def required(self, name: str, mend: str) -> str:
        unresolved = len(self.findings)
        value = self.text(name)
        if value is None and len(self.findings) == unresolved:
            self.findings.append(f"{name} is missing: {mend}")
        return value or ""

    def flag(self, name: str) -> bool:
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false", "1", "0"):
            self.findings.append(f"{name} is neither true nor false: set it to one of the two.")
        return value in ("true", "1")

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            self.findings.append(f"{name} must be a number from {least:g} to {most:g}.")
            return default
        return number

    def url(self, name: str, value: str, *, https_only: bool = False) -> str:
        """An address without query or fragment, and without a slash at its end."""
        try:
            origin = origin_of(value)
            parts = urlsplit(value)
        except ValueError:
            self.findings.append(f"{name} is not an address: write it as https://host[/path].")
            return ""
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.query or parts.fragment:
            self.findings.append(f"{name} must have neither a query nor a fragment.")
        if parts.scheme == "http" and (https_only or not local):
            self.findings.append(f"{name} must begin with https://: tokens and cookies travel over it.")
        return origin + parts.path.rstrip("/")

    def scopes(self, name: str, default: str) -> tuple[str, ...]:
        try:
            return scopes.resource_scopes(scopes.parse(self.text(name) or default))
        except BadRequest as error:
            self.findings.append(f"{name}: {error.detail}")
            return ()
