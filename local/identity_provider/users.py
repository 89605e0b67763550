"""Owns the test users and which authority takes whom. They are made up; none has a password."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of every personal Microsoft account ("ID token claims reference", `tid`)."""

CONTOSO_TENANT = "3f0c6f5e-8c1d-4b6a-9a52-1f6f5d0a7c11"
FABRIKAM_TENANT = "b1d2a7c4-53e9-4f0b-8e6d-94c0a1e77f22"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One account. `licensed` tells whether OneNote works for it."""

    username: str
    name: str
    oid: str
    tenant_id: str
    licensed: bool = True

    @property
    def personal(self) -> bool:
        return self.tenant_id == PERSONAL_TENANT

    @property
    def label(self) -> str:
        """For buttons: `Ada (personal)`."""
        return f"{self.name.partition(' ')[0]} ({'personal' if self.personal else 'work'})"

    @property
    def domain(self) -> str:
        return self.username.rpartition("@")[2].lower()

    @property
    def login_hint(self) -> str:
        """The optional claim of that name: opaque to apps, good for login_hint and logout_hint."""
        return "O." + base64.urlsafe_b64encode(f"{self.oid}@{self.tenant_id}".encode()).decode().rstrip("=")

    def is_hinted(self, hint: str) -> bool:
        """Whether a `login_hint` means this account: its username or its login_hint claim."""
        return hint == self.login_hint or hint.lower() == self.username.lower()


USERS = (
    User(
        username="ada@outlook.example",
        name="Ada Example",
        oid="00000000-0000-0000-66f3-3332eca7ea81",
        tenant_id=PERSONAL_TENANT,
    ),
    User(
        username="bob@outlook.example",
        name="Bob Example",
        oid="00000000-0000-0000-72ae-904b1d3f5c0e",
        tenant_id=PERSONAL_TENANT,
    ),
    User(
        username="carol@contoso.example",
        name="Carol Example",
        oid="6f2e5d41-90ab-4c0d-8b7e-2d1c55a0f3b9",
        tenant_id=CONTOSO_TENANT,
    ),
    User(
        username="dave@contoso.example",
        name="Dave Example",
        oid="a9c1b7e2-3344-4f6a-91d5-7be0c2d8e614",
        tenant_id=CONTOSO_TENANT,
        licensed=False,
    ),
    User(
        username="erin@fabrikam.example",
        name="Erin Example",
        oid="d40b6c9f-2f1a-47c8-a3be-5e9087f6d21c",
        tenant_id=FABRIKAM_TENANT,
    ),
)


@dataclass(frozen=True, slots=True)
class Authority:
    """What stands first in an endpoint's path: `common`, `organizations`, `consumers` or a tenant id."""

    segment: str

    @property
    def tenant_id(self) -> str | None:
        """None where accounts of several tenants sign in."""
        if self.segment in ("common", "organizations"):
            return None
        return PERSONAL_TENANT if self.segment == "consumers" else self.segment

    @property
    def serves_personal(self) -> bool:
        """The one place that refreshes personal accounts, under either of its names."""
        return self.tenant_id == PERSONAL_TENANT

    def takes(self, user: User) -> bool:
        if self.segment == "organizations":
            return not user.personal
        return self.tenant_id in (None, user.tenant_id)


class Directory:
    """All users, and the authorities that exist because of them."""

    def __init__(self, users: Iterable[User]) -> None:
        self._users = {user.username.lower(): user for user in users}
        self._segments = {"common", "organizations", "consumers"} | {u.tenant_id for u in self}

    def __iter__(self) -> Iterator[User]:
        return iter(self._users.values())

    def find(self, username: str) -> User | None:
        return self._users.get(username.strip().lower())

    def authority(self, segment: str) -> Authority | None:
        """None for a tenant that does not exist."""
        return Authority(segment.lower()) if segment.lower() in self._segments else None
