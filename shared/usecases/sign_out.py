"""Owns the end of sessions: one's own, everywhere, by the provider's `sid`, by the operator (R-12).

Each step survives the failure of the next: a session is refused in this process before the vault is asked, and a
deletion that fails is tried again in the background while the operator is told.
"""

import asyncio
from collections.abc import Coroutine, Sequence

from shared import log
from shared.errors import BundleError, NotSignedIn
from shared.model import Account, SessionRef, digest
from shared.ports import Clock, Identity, SessionStore
from shared.usecases.sessions import Sessions

_WAIT_S = 4.0
"""A person who signs out waits no longer than this for each answer of a vault that is slow."""

_RETRIES_S = (1, 2, 5, 10, 30, 60, 120, 300, 600)


class SignOut:
    def __init__(self, store: SessionStore, sessions: Sessions, identity: Identity, clock: Clock) -> None:
        self._store = store
        self._sessions = sessions
        self._identity = identity
        self._clock = clock
        self._retrying: set[asyncio.Task[None]] = set()

    async def this(self, ref: SessionRef | None, return_url: str, state: str) -> str:
        """End one session and give the address that ends the provider's; signing out of nothing is a success."""
        account: Account | None = None
        if ref:
            try:
                async with asyncio.timeout(_WAIT_S):
                    account = (await self._sessions.get(ref)).record.account
            except (BundleError, TimeoutError):
                account = None  # unknown or unreachable: it ends all the same
            await self._end(ref)
        try:
            return await self._identity.sign_out_url(account, return_url, state)
        except BundleError as error:
            log.warning("provider_sign_out_skipped", cause=str(error))
            return return_url

    async def provider_origin(self) -> str:
        """The origin of the provider's logout page, for pages that lead there; empty if it can't be told now."""
        try:
            url = await self._identity.sign_out_url(None, "", "")
        except BundleError:
            return ""
        return "/".join(url.split("/", 3)[:3])

    async def everywhere(self, account_hash: str) -> int:
        """End every session of an account; how many there were. Raises StoreUnavailable."""
        return await self._end_all(await self._store.by_account(account_hash))

    async def by_sid(self, sid: str, issuer: str | None) -> int:
        """End what the provider's front-channel sign-out names; an unknown `sid` costs one read a vault.

        OpenID Connect Front-Channel Logout §2; Entra sends `sid` alone. Another issuer's call ends nothing.
        """
        if issuer is not None and not await self._identity.knows_issuer(issuer):
            return 0
        return await self._end_all(await self._store.by_sid(digest(sid)))

    async def session(self, ref: SessionRef) -> None:
        """End one session, whatever the vault says."""
        await self._end(ref)

    def withdraw(self, ref: SessionRef) -> None:
        """Delete, behind the caller, a session whose cookie nobody gets: the vault may have taken it without saying so."""
        self._behind(self._withdrawn(ref))

    async def _end_all(self, refs: Sequence[SessionRef]) -> int:
        lives = await asyncio.gather(*map(self._lives, refs))
        living = [ref for ref, alive in zip(refs, lives, strict=True) if alive]
        await asyncio.gather(*map(self._end, living))
        return len(living)

    async def _lives(self, ref: SessionRef) -> bool:
        try:
            await self._sessions.get(ref)
        except NotSignedIn:
            return False
        except BundleError:
            pass  # can't be read: it ends all the same
        return True

    async def _end(self, ref: SessionRef) -> None:
        self._sessions.end(ref)
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._store.delete(ref)
        except (BundleError, TimeoutError) as error:
            log.error(
                "sign_out_not_stored_yet",
                session=ref.name[:12],
                vault=ref.vault,
                cause=str(error) or f"delete session: no answer within {_WAIT_S:.0f} s",
                mend="The deletion is tried again; if this process ends first, the tokens stay until the session is over.",
            )
            self._behind(self._again(ref))
            return
        log.event("signed_out", session=ref.name[:12])

    def _behind(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._retrying.add(task)
        task.add_done_callback(self._retrying.discard)

    async def _again(self, ref: SessionRef) -> None:
        if await self._deleted_late(ref):
            log.event("signed_out", session=ref.name[:12], late=True)
        else:
            log.error("sign_out_given_up", session=ref.name[:12], vault=ref.vault)

    async def _withdrawn(self, ref: SessionRef) -> None:
        gone = await self._deleted_late(ref)
        log.event("sign_in_withdrawn", session=ref.name[:12], vault=ref.vault, gone=gone)

    async def _deleted_late(self, ref: SessionRef) -> bool:
        for wait_s in _RETRIES_S:
            await self._clock.sleep(wait_s)
            try:
                await self._store.delete(ref)
            except BundleError:
                continue
            return True
        return False
