"""Revocations: judged from memory, kept in a store that every worker follows.

Whoever revokes hears at once whether the store has it. Each worker reads the store four times a second, what
came since its last look, and now and then everything. While the store is down, decisions go on with what is
known. When it is back, whatever a worker knows and the store lacks is put back: a revocation that could not
be written, or all of them where the store lost its data. Only a worker that has never read the store cannot
judge, and says so (AUTH_UNAVAILABLE): it would let in what others have long refused.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auth_server.errors import ErrorCode, Unavailable
from auth_server.identity import renewal
from auth_server.stores import StoreError
from auth_server.stores.revocation_list import Revocation, RevocationKind, RevocationList

if TYPE_CHECKING:
    from auth_server.model import Identity
    from auth_server.stores import Page, Store

__all__ = ["Revocation", "RevocationKind", "Revocations"]

log = logging.getLogger("auth_server")

DAY = 86_400  # Cognito's longest life of an access or ID token
MARGIN = 120  # for clocks that differ, and the leeway of tokens
AHEAD = 30  # seconds that the iat of a token or cookie which counts today may lie in the future
IN_FORCE = 1.0  # seconds until every worker that can reach the store knows


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the store is asked, in seconds."""

    look: float = 0.25
    read_all: float = 30
    put_back_again: float = 5
    prune: float = 600


class Revocations:
    """What no longer counts, in this worker."""

    def __init__(self, store: Store, *, session_max_age: int = 0, rhythm: Rhythm | None = None) -> None:
        """Take the store; nothing is known before the first `look`.

        A revocation is kept for the longest life of any credential: that of a session (`session_max_age`) or
        a day, so that a shorter setting tomorrow, or longer, revives none.
        """
        self._store = store
        self._lifetime = max(session_max_age, DAY) + MARGIN
        self._rhythm = rhythm or Rhythm()
        self._revoked = RevocationList()
        self._position: str | None = None
        self._read_at = -math.inf  # by the monotonic clock, as the next two
        self._read_all_from = -math.inf
        self._prune_from = -math.inf
        self._read_error: str | None = None
        self._write_error: str | None = None

    @property
    def ready(self) -> bool:
        """Whether the store was ever read."""
        return self._read_at > -math.inf

    def check(self, identity: Identity) -> None:
        """Raise Unauthenticated (REVOKED) where this credential was ended. Memory only; never waits.

        Raises Unavailable where the store was never read.
        """
        if self._read_at == -math.inf:
            message = "it is not known yet which credentials were revoked; try again"
            raise Unavailable(ErrorCode.AUTH_UNAVAILABLE, message)
        self._revoked.check(identity)

    async def confirm(self, identity: Identity) -> None:
        """Check against the store itself: before a new credential is made out of this one.

        Else one that was ended a moment ago could be exchanged for another that the revocation, being older,
        does not end. Raises Unavailable where the store cannot be asked.
        """
        try:
            await self._read()
        except StoreError as error:
            self._not_read(str(error))
            message = "it cannot be asked now whether this credential was revoked; try again"
            raise Unavailable(ErrorCode.AUTH_UNAVAILABLE, message) from None
        self.check(identity)

    async def revoke(self, kind: RevocationKind, value: str, *, now: float) -> Revocation:
        """End a session, or all that a user or client holds now; return once the store has it.

        What a user or client gets within the next AHEAD seconds is ended, too: a clock that runs so far
        before ours may have dated what is held now.

        Raises StoreError where the store cannot take it. It then counts in this worker alone, which writes it
        as soon as the store is back. Raises ValueError for an empty value.
        """
        until = now if kind is RevocationKind.SESSION else now + AHEAD
        revocation = Revocation(kind, value, until, until + self._lifetime)
        self._revoked.add(revocation)
        try:
            await self._store.add([revocation])
        except StoreError as error:
            self._not_written(str(error))
            self._read_all_from = -math.inf  # and so put back at the next look that can
            raise
        log.info("revoked", extra={"fields": {"kind": kind.value}})
        await self._drop_renewals(kind, value)
        return revocation

    async def follow(self) -> None:
        """Follow the store until cancelled, whatever happens to it."""
        while True:
            await self.look()
            await asyncio.sleep(self._rhythm.look)

    async def look(self) -> None:
        """Take in what is new in the store. Never raises; `state` says how it went."""
        try:
            page = await self._read()
            if page.complete:
                await self._put_back(page)
        except StoreError as error:
            self._not_read(str(error))
        except Exception as error:  # noqa: BLE001 - a follower that died would let in what others refuse
            self._not_read(f"unexpected {type(error).__name__}")

    def state(self) -> dict[str, Any]:
        """Return what /readyz and the metrics say. `behind_seconds` is the age of the last look."""
        behind = time.monotonic() - self._read_at
        return {
            "store": self._store.kind,
            "reachable": self.ready and self._read_error is None,
            "entries": len(self._revoked),
            "behind_seconds": round(behind, 1) if self.ready else None,
            "last_error": self._read_error or self._write_error,
        }

    async def aclose(self) -> None:
        """Close the store."""
        await self._store.aclose()

    async def _drop_renewals(self, kind: RevocationKind, value: str) -> None:
        """Drop the refresh tokens of what has ended. Nobody would use them; they would end by themselves."""
        pattern = renewal.pattern(kind, value)
        try:
            if pattern is not None:
                await self._store.delete(pattern)
        except StoreError as error:
            log.warning("refresh tokens not dropped", extra={"fields": {"reason": str(error)}})

    async def _read(self) -> Page:
        started = time.monotonic()
        page = await self._store.read(self._position if started < self._read_all_from else None)
        for revocation in page.revocations:
            self._revoked.add(revocation)
        self._position, self._read_at = page.position, started
        if self._read_error is not None:
            log.info("revocations: the store is back", extra={"fields": {"store": self._store.kind}})
        self._read_error = None
        return page

    async def _put_back(self, page: Page) -> None:
        """Write what the store lacks, and let it drop what has ended."""
        now, started = time.time(), time.monotonic()
        self._revoked.forget(now)
        there = RevocationList(page.revocations)
        # Not what is about to end: workers whose clocks differ would put it back and drop it in turns.
        lacking = [r for r in self._revoked if r.expires_at > now + MARGIN and not there.covers(r)]
        try:
            if lacking:
                await self._store.add(lacking)
                log.warning("revocations put back", extra={"fields": {"entries": len(lacking)}})
            if started >= self._prune_from:
                await self._store.prune(now)
                self._prune_from = started + self._rhythm.prune
        except StoreError as error:
            self._not_written(str(error))
            self._read_all_from = started + self._rhythm.put_back_again
        else:
            self._write_error = None
            self._read_all_from = started + self._rhythm.read_all

    def _not_read(self, reason: str) -> None:
        if self._read_error is None:
            fields = {"store": self._store.kind, "reason": reason, "known": len(self._revoked)}
            log.error("revocations: the store is down, the last known list counts", extra={"fields": fields})
        self._read_error = reason
        # What answers next may be another server, or one that lost something: it is read as a whole.
        self._read_all_from = -math.inf

    def _not_written(self, reason: str) -> None:
        if self._write_error is None:
            fields = {"store": self._store.kind, "reason": reason}
            log.error("revocations: the store cannot be written", extra={"fields": fields})
        self._write_error = f"not written: {reason}"
