"""Owns what the operator does about accounts: see them with their health, act for one, end them (R-18)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched

from shared import log
from shared.errors import BadRequest, BundleError, NotSignedIn, ReauthRequired, RecordTooNew, Unavailable
from shared.model import Health, SessionRef, Stored, digest
from shared.ports import SessionStore
from shared.usecases.refresh import Engine
from shared.usecases.sessions import Sessions
from shared.usecases.sign_out import SignOut

_AT_ONCE = 8
_REVOKE_AT_ONCE = 32
_REVOKE_FOR_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Accounts, each as its living sessions; `following` names the next page, None at the end."""

    accounts: tuple[tuple[Stored, ...], ...]
    following: str | None


class Accounts:
    def __init__(self, store: SessionStore, sessions: Sessions, engine: Engine, sign_out: SignOut) -> None:
        self._store = store
        self._sessions = sessions
        self._engine = engine
        self._sign_out = sign_out
        self._revoking: asyncio.Task[None] | None = None
        self._revoked = 0

    async def page(self, page: str | None) -> Page:
        """One page of the accounts of all vaults. Raises BadRequest, StoreUnavailable."""
        vaults = list(self._store.vaults)
        vault, _, position = (page or vaults[0]).partition("|")
        if vault not in vaults:
            raise BadRequest("invalid_request", "There is no such page.")
        hashes, following = await self._store.account_page(vault, position or None)
        accounts: list[tuple[Stored, ...]] = []
        for some in batched(hashes, _AT_ONCE, strict=False):
            for found in await asyncio.gather(*map(self._readable, some)):
                # An account with sessions in several vaults is listed with the first of them.
                if found and min(vaults.index(s.ref.vault) for s in found) == vaults.index(vault):
                    accounts.append(found)
        if following:
            return Page(accounts=tuple(accounts), following=f"{vault}|{following}")
        rest = vaults[vaults.index(vault) + 1 :]
        return Page(accounts=tuple(accounts), following=rest[0] if rest else None)

    async def token(self, home_account_id: str, *, min_validity_s: float) -> Stored:
        """A session of the account with a valid access token: its freshest healthy one; use counts as use.

        Raises NotSignedIn where there is none, ReauthRequired where the person must act, Unavailable.
        """
        living = sorted(
            await self.living(digest(home_account_id)),
            key=lambda s: (
                s.record.marks.health is Health.REAUTH_REQUIRED,
                -s.record.refreshed_at.timestamp(),
            ),
        )
        last: BundleError = NotSignedIn()
        away: Unavailable | None = None
        for stored in living:
            if stored.record.marks.health is Health.REAUTH_REQUIRED:
                # Even while its access token still lives: a job that is told early can have the person asked early.
                last = ReauthRequired(stored.record.marks.reason or "sign_in_again")
                continue
            try:
                usable = await self._engine.usable(stored.ref, min_validity_s=min_validity_s)
            except NotSignedIn:
                continue  # ended since it was read
            except ReauthRequired as error:
                last = error
                continue
            except Unavailable as error:
                away = error  # what can't be told now is no verdict; another session may have a token that lives
                continue
            self._sessions.seen(usable)
            return usable
        raise away or last

    async def end(self, home_account_id: str) -> int:
        """Every session of the account ended, tokens gone; how many there were."""
        return await self._sign_out.everywhere(digest(home_account_id))

    async def revoke_all(self) -> tuple[int, bool]:
        """End every session: how many since the last call, and whether all are done, after a minute at most.

        It goes on behind the caller, for listing a large vault alone takes longer than a request may. Call again until
        all are done. Raises Unavailable, Misconfigured.
        """
        if self._revoking is None or self._revoking.done():
            self._revoking = asyncio.create_task(self._revoke_all())
        revoking = self._revoking
        await asyncio.wait({revoking}, timeout=_REVOKE_FOR_S)
        if revoking.done():
            revoking.result()
        ended, self._revoked = self._revoked, 0
        return ended, revoking.done()

    async def _revoke_all(self) -> None:
        total = 0
        failed: BundleError | None = None
        for vault in self._store.vaults:
            try:
                listing = await self._store.listing(vault)
            except BundleError as error:
                failed = failed or error  # after an incident the other vaults don't wait for this one
                continue
            refs = [entry.ref for entry in listing.entries]
            # Another release can read these, so their cookies would be good again with it.
            refs += [SessionRef(vault=vault, name=name) for name in listing.foreign]
            for some in batched(refs, _REVOKE_AT_ONCE, strict=False):
                await asyncio.gather(*map(self._sign_out.session, some))
                self._revoked += len(some)
            total += len(refs)
        if failed:
            raise failed
        log.warning("all_sessions_revoked", sessions=total)

    async def living(self, account_hash: str) -> tuple[Stored, ...]:
        """The sessions of an account that are not over. Raises Unavailable, Misconfigured.

        RecordTooNew where a newer release wrote all that there are; it hides no others.
        """
        found: list[Stored] = []
        newer: RecordTooNew | None = None
        for ref in await self._store.by_account(account_hash):
            try:
                found.append(await self._sessions.get(ref))
            except (NotSignedIn, ReauthRequired):
                continue
            except RecordTooNew as error:
                newer = error
        if newer and not found:
            raise newer
        return tuple(found)

    async def _readable(self, account_hash: str) -> tuple[Stored, ...]:
        """The same, none where a newer release wrote them: one such account must not hide a page of others."""
        try:
            return await self.living(account_hash)
        except RecordTooNew:
            return ()


def best_health(sessions: Sequence[Stored]) -> Health:
    """An account is as healthy as its healthiest session."""
    order = (Health.OK, Health.RETRYING, Health.REAUTH_REQUIRED)
    return min((s.record.marks.health for s in sessions), key=order.index)
