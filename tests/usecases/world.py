"""Owns the bundle's use cases put together from doubles, as one or several instances over one vault."""

from datetime import timedelta

from shared.attempts import Rules
from shared.model import Account, Flow, Health, Marks, Record, SessionId, Stored, digest
from shared.ports import SessionStore
from shared.schedule import Policy, due_at
from shared.usecases.accounts import Accounts
from shared.usecases.claims import Claims
from shared.usecases.notes import NotesCalls
from shared.usecases.refresh import Engine
from shared.usecases.sessions import Sessions
from shared.usecases.sign_in import SignIn
from shared.usecases.sign_out import SignOut
from shared.usecases.sweep import Sweep
from tests.doubles.identity import ScriptedIdentity, work_account
from tests.doubles.memory import MemoryKeyRing, MemoryStore
from tests.doubles.notes import ScriptedNotes
from tests.doubles.virtual_time import LoopClock
from tests.doubles.watched_store import WatchedStore

POLICY = Policy(idle=timedelta(days=30), longest=timedelta(days=180), keep_alive=timedelta(hours=24))
CACHE_S = 60.0


class Instance:
    """One process: its own cache and engine over a store and a provider that others share."""

    def __init__(self, world: "World", store: SessionStore) -> None:
        clock, identity = world.clock, world.identity
        self.sessions = Sessions(store, clock, POLICY, cache_s=CACHE_S)
        claims = Claims(store, clock) if identity.strict else None
        self.engine = Engine(store, self.sessions, identity, clock, POLICY, claims)
        self.sign_out = SignOut(store, self.sessions, identity, clock)
        self.accounts = Accounts(store, self.sessions, self.engine, self.sign_out)
        self.notes = NotesCalls(world.notes, self.engine, clock)
        self.sweep = Sweep(store, self.sessions, self.engine, world.ring, clock, POLICY)
        self._world = world
        self._store = store

    def sign_in(
        self,
        *,
        tenant: str = "common",
        default_scopes: tuple[str, ...] = ("Notes.Read",),
        allowed_scopes: tuple[str, ...] = (
            "Notes.Create",
            "Notes.Read",
            "Notes.ReadWrite",
            "Notes.Read.All",
            "Notes.ReadWrite.All",
        ),
        allow_token_flow: bool = False,
    ) -> SignIn:
        rules = Rules(
            tenant=tenant,
            default_scopes=default_scopes,
            allowed_scopes=allowed_scopes,
            allow_token_flow=allow_token_flow,
        )
        world = self._world
        return SignIn(
            self._store, self.sessions, self.engine, world.identity, world.clock, POLICY, rules, self.sign_out
        )


class World:
    """Clock, provider, OneNote and vault, and one `Instance` named `here`; `instance()` makes another."""

    def __init__(self, *, vaults: tuple[str, ...] = ("main",), strict: bool = False) -> None:
        self.clock = LoopClock()
        self.identity = ScriptedIdentity(self.clock, strict=strict)
        self.notes = ScriptedNotes()
        self.memory = MemoryStore(self.clock, vaults=vaults)
        self.store = WatchedStore(self.memory)
        self.ring = MemoryKeyRing(self.clock)
        self.here = self.instance()

    def instance(self, store: SessionStore | None = None) -> Instance:
        return Instance(self, store or self.store)

    async def signed_in(
        self,
        account: Account | None = None,
        *,
        lives_s: float = 3600,
        seen_ago: timedelta = timedelta(),
        health: Health = Health.OK,
        reason: str | None = None,
        flow: Flow = Flow.CODE,
        vault: str | None = None,
        scopes: tuple[str, ...] = ("Notes.Read",),
    ) -> Stored:
        """A session in the vault, unknown to any instance's memory; its access token lives `lives_s` more."""
        account = account or work_account()
        now = self.clock.now()
        before, self.identity.lifetime_s = self.identity.lifetime_s, lives_s
        grant = self.identity.grant_for(account, scopes)
        self.identity.lifetime_s = before
        ref = SessionId.new(vault or self.memory.vaults[0]).ref
        seen_at = now - seen_ago
        marks = Marks(
            health=health,
            reason=reason,
            failures=0,
            due_at=grant.expires_at
            if flow is Flow.TOKEN
            else due_at(grant, seen_at=seen_at, now=now, name=ref.name, policy=POLICY),
            seen_at=seen_at,
            created_at=seen_at,
            sid_hash=digest(account.sid) if account.sid else None,
            account_hash=digest(account.home_account_id),
            flow=flow,
        )
        # Got when a token that lives an hour would have been.
        got_at = now - timedelta(seconds=max(0.0, 3600 - lives_s))
        record = Record(account=account, grant=grant, requested=scopes, refreshed_at=got_at, marks=marks)
        return await self.memory.create(ref, record)

    async def stored(self, stored: Stored) -> Stored:
        """The session as it lies in the vault now."""
        return await self.memory.load(stored.ref)
