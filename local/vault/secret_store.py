"""Owns the secrets of one embedded vault: versions, names in use, soft delete, purge, recovery. In memory.

Knows no HTTP and no quota. Source: "About Azure Key Vault secrets", "Azure Key Vault soft-delete overview".
"""

import secrets
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


class VaultError(Exception):
    """A refusal as the vault words it: HTTP status, `code`, and the `innererror` code where there is one."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner


@dataclass(slots=True, kw_only=True)
class Version:
    """One version. Times are whole seconds since the epoch, as the service gives them; `exp`, `nbf` inform only."""

    id: str
    value: str
    content_type: str | None
    tags: Mapping[str, str]
    enabled: bool
    exp: int | None
    nbf: int | None
    created: int
    updated: int


@dataclass(slots=True)
class Secret:
    """A name and its versions, oldest first. Moments marked `_since` are of the monotonic clock: they time the
    vault's own slowness, which a moved wall clock must neither hide nor stretch."""

    name: str
    versions: dict[str, Version] = field(default_factory=dict)
    deleted: int = 0  # seconds since the epoch
    deleting_since: float = 0.0
    purging_since: float | None = None
    recovering_since: float | None = None

    @property
    def current(self) -> Version:
        return self.versions[next(reversed(self.versions))]


class Shelf:
    """Secrets in the order of their names, which are case-insensitive.

    A page goes on after a name, not at a position: what is deleted between two pages makes none be left out.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, Secret] = {}
        self._order: list[str] = []

    def __iter__(self) -> Iterator[Secret]:
        return (self._by_key[key] for key in self._order)

    def get(self, name: str) -> Secret | None:
        return self._by_key.get(name.lower())

    def put(self, secret: Secret) -> None:
        insort(self._order, secret.name.lower())
        self._by_key[secret.name.lower()] = secret

    def take(self, secret: Secret) -> None:
        del self._by_key[secret.name.lower()]
        del self._order[bisect_right(self._order, secret.name.lower()) - 1]

    def after(self, name: str) -> Iterator[Secret]:
        """What follows that name, whether or not it is there; to be used up before anything changes."""
        start = bisect_right(self._order, name.lower())
        return (self._by_key[self._order[n]] for n in range(start, len(self._order)))


class SecretStore:
    """What the vault holds. A name is on one of the shelves at most; deletion moves it to the other.

    The three delays, in seconds, are the real service's slowness: so long a deletion does not show among the
    deleted, a purged name stays taken, a recovered name refuses a new version.
    """

    def __init__(self) -> None:
        self.delete_delay_s = 0.0
        self.purge_delay_s = 0.0
        self.recover_delay_s = 0.0
        self.living = Shelf()
        self._deleted = Shelf()
        self._purging: list[Secret] = []

    def set(self, name: str, make: Callable[[str, int], Version]) -> tuple[Secret, Version]:
        """A new version, made from an id and the time, becomes the current one. Refused while the name is
        deleted, being purged or being recovered."""
        gone = self._any_deleted().get(name)
        if gone is not None:
            raise self._busy(gone) or VaultError(
                409,
                "Conflict",
                f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in "
                "this state, the secret can only be recovered or purged.",
                "ObjectIsDeletedButRecoverable",
            )
        secret = self.living.get(name)
        if secret is not None and _within(secret.recovering_since, self.recover_delay_s):
            message = f"Secret {name} is currently being recovered."
            raise VaultError(409, "Conflict", message, "ObjectIsBeingRecovered")
        if secret is None:
            secret = Secret(name)
            self.living.put(secret)
        version = make(secrets.token_hex(16), int(time.time()))
        secret.versions[version.id] = version
        return secret, version

    def find(self, name: str, version_id: str = "") -> tuple[Secret, Version]:
        """The current version where none is named. Raises VaultError 404."""
        secret = self.living.get(name)
        version: Version | None = None
        if secret is not None:
            version = secret.versions.get(version_id.lower()) if version_id else secret.current
        if secret is None or version is None:
            raise VaultError(
                404,
                "SecretNotFound",
                f"A secret with (name/id) {name}{'/' if version_id else ''}{version_id} was not found in this key "
                "vault. If you recently deleted this secret you may be able to recover it using the correct "
                "recovery command.",
            )
        return secret, version

    def delete(self, name: str) -> Secret:
        secret, _ = self.find(name)
        secret.deleted, secret.deleting_since = int(time.time()), time.monotonic()
        secret.recovering_since = None
        self.living.take(secret)
        self._any_deleted().put(secret)
        return secret

    def find_deleted(self, name: str) -> Secret:
        """A deleted secret that shows. Raises VaultError 404."""
        secret = self._any_deleted().get(name)
        if secret is None or self._busy(secret) is not None:
            raise VaultError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        return secret

    def deleted_after(self, name: str) -> Iterator[Secret]:
        """The deleted secrets that show, from after that name on."""
        return (secret for secret in self._any_deleted().after(name) if self._busy(secret) is None)

    def purge(self, name: str) -> None:
        """Gone for good, at once or after the delay. Raises VaultError 404, 409 while it is being deleted."""
        secret = self._idle_deleted(name)
        secret.purging_since = time.monotonic()
        self._purging.append(secret)

    def recover(self, name: str) -> Secret:
        """Back to life, all versions. Raises VaultError 404, 409 while it is being deleted or purged."""
        secret = self._idle_deleted(name)
        secret.deleted, secret.recovering_since = 0, time.monotonic()
        self._deleted.take(secret)
        self.living.put(secret)
        return secret

    def deleted(self) -> list[Secret]:
        """Everything that is not quite gone, showing or not."""
        return list(self._any_deleted())

    def _idle_deleted(self, name: str) -> Secret:
        secret = self._any_deleted().get(name)
        busy = secret and self._busy(secret)
        if busy:
            raise busy
        return self.find_deleted(name)

    def _any_deleted(self) -> Shelf:
        """The shelf of the deleted, without those whose purge is over by now."""
        for secret in [s for s in self._purging if not _within(s.purging_since, self.purge_delay_s)]:
            self._purging.remove(secret)
            self._deleted.take(secret)
        return self._deleted

    def _busy(self, secret: Secret) -> VaultError | None:
        """The refusal of a secret whose deletion or purge is under way."""
        if secret.purging_since is None and not _within(secret.deleting_since, self.delete_delay_s):
            return None
        message = f"Secret {secret.name} is currently being deleted."
        return VaultError(409, "Conflict", message, "ObjectIsBeingDeleted")


def _within(since: float | None, delay_s: float) -> bool:
    return since is not None and time.monotonic() < since + delay_s
