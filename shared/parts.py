"""Owns the list of what the functions work with: settings, keys, use cases. Built by `shared.compose`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.ports import Clock, Identity, KeyRing, SessionStore
from shared.settings import Settings
from shared.usecases.accounts import Accounts
from shared.usecases.doctor import Doctor
from shared.usecases.notes import NotesCalls
from shared.usecases.refresh import Engine
from shared.usecases.sessions import Sessions
from shared.usecases.sign_in import SignIn
from shared.usecases.sign_out import SignOut
from shared.usecases.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Parts:
    settings: Settings
    clock: Clock
    ring: KeyRing
    store: SessionStore
    identity: Identity
    sessions: Sessions
    engine: Engine
    sign_in: SignIn
    sign_out: SignOut
    accounts: Accounts
    notes: NotesCalls
    sweep: Sweep
    doctor: Doctor


type PartsNow = Callable[[], Awaitable[Parts]]
"""Gives the parts, made at the first call; raises Misconfigured with every finding while settings are wrong."""
