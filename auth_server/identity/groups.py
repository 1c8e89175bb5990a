"""The groups of sessions, checked again at Cognito (SESSION_REFRESH): by memory, then store, then Cognito.

A session in use is checked beside its calls. One that was idle for longer waits for the check, so that nobody
calls by a group that was taken away meanwhile. Of all workers one asks Cognito; the others see in the store
that somebody does, and then what came of it. A session without a refresh token lasts until its first check.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_server import contract
from auth_server.cache import Cache
from auth_server.errors import ErrorCode, Unauthenticated, Unavailable
from auth_server.identity import renewal
from auth_server.identity.renewal import Renewal
from auth_server.identity.revocations import RevocationKind
from auth_server.oauth.cognito import CognitoError
from auth_server.stores import StoreError

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.identity.revocations import Revocations
    from auth_server.identity.tokens import Tokens
    from auth_server.model import Identity
    from auth_server.oauth.provider import Provider
    from auth_server.stores import Store

log = logging.getLogger("auth_server")

KNOWN_BYTES = 4 * 1024 * 1024  # per worker; a session costs about 500 bytes

# Seconds.
LATE = 0.5  # beyond this a call waits for the check that is due …
PATIENCE = 2.0  # … for so long, and then goes on with what is known
ASKING = 15.0  # one worker's turn to ask Cognito; longer than any exchange lasts
PAUSE = 10.0  # before Cognito is asked again for a session, when it failed
STORE_PAUSE = 1.0
POLL = 0.1


@dataclass(frozen=True, slots=True)
class Known:
    """A session's groups in this worker, good until `look_at`; None where they cannot be checked."""

    groups: tuple[str, ...] | None
    look_at: float

    @property
    def size(self) -> int:
        """Estimate the bytes that keeping this costs, with its key."""
        return 400 + sum(60 + len(group) for group in self.groups or ())


class SessionGroups:
    """Answers which groups a session has now."""

    def __init__(
        self, settings: Settings, store: Store, revocations: Revocations, provider: Provider, tokens: Tokens
    ) -> None:
        """Take the parts; SESSION_REFRESH is set."""
        self._settings = settings
        self._refresh = settings.session_refresh or math.inf
        self._store = store
        self._revocations = revocations
        self._provider = provider
        self._tokens = tokens
        self._known: Cache[str, Known] = Cache(KNOWN_BYTES)
        self._checks: dict[str, asyncio.Task[None]] = {}

    async def keep(self, identity: Identity, refresh_token: str, *, now: float) -> None:
        """Keep a new session's refresh token. Never raises: without one, it ends at its first check."""
        if not refresh_token:
            reason = "Cognito gave no refresh token; allow the app client ALLOW_REFRESH_TOKEN_AUTH"
            log.warning("session cannot be checked again", extra={"fields": {"reason": reason}})
            return
        kept = Renewal(identity.session_id, identity.username, identity.groups, refresh_token, now)
        try:
            await self._store.put(renewal.key(identity), self._sealed(kept), identity.expires_at)
        except StoreError as error:
            fields = {"reason": str(error)}
            log.warning("session cannot be checked again", extra={"fields": fields})

    async def of(self, identity: Identity, *, now: float) -> Identity:
        """Return the session with the groups that it has now.

        Raises Unauthenticated where they cannot be checked any more, Unavailable where this worker has never
        known them and cannot learn them now.
        """
        known = self._known.get(identity.session_id)
        due = identity.issued_at + self._refresh if known is None else known.look_at
        if now >= due:
            check = self._check_beside(identity)
            if known is None or now >= due + LATE:
                await asyncio.wait([check], timeout=PATIENCE)
            known = self._known.get(identity.session_id)
            if known is None:
                message = "the session's groups cannot be checked now; try again"
                raise Unavailable(ErrorCode.AUTH_UNAVAILABLE, message)
        if known is None:
            return identity
        if known.groups is None:
            message = "the session is over: its groups cannot be checked again; sign in again"
            raise Unauthenticated(ErrorCode.SESSION_EXPIRED, message)
        return identity if known.groups == identity.groups else replace(identity, groups=known.groups)

    async def aclose(self) -> None:
        """End the checks that are under way."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    def _check_beside(self, identity: Identity) -> asyncio.Task[None]:
        sid = identity.session_id
        check = self._checks.get(sid)
        if check is None:
            check = self._checks[sid] = asyncio.create_task(self._check(identity))
            check.add_done_callback(lambda _: self._checks.pop(sid))
        return check

    async def _check(self, identity: Identity) -> None:
        """Learn the session's groups. Never raises."""
        try:
            while not await self._is_checked(identity):  # noqa: ASYNC110 - another process sends no event
                await asyncio.sleep(POLL)
        except StoreError as error:
            self._go_on(identity, str(error))
        except Exception as error:  # noqa: BLE001 - as in the follower: by its type alone
            self._go_on(identity, f"unexpected {type(error).__name__}")

    async def _is_checked(self, identity: Identity) -> bool:
        """Take what the store has, and ask Cognito if that is this worker's turn; False: look again."""
        now, place = time.time(), renewal.key(identity)
        raw = await self._store.get(place)
        settings = self._settings
        found = renewal.unsealed(
            raw, identity, settings.secret_keys, max_age=settings.session_max_age, now=now
        )
        if raw is None or found is None:
            self._known.put(identity.session_id, Known(None, math.inf))
            return True
        if now < self._know(found):
            return True
        if now < found.asked_until:
            return False
        turn = replace(found, asked_until=now + ASKING)
        claim = self._sealed(turn)
        if not await self._store.swap(place, raw, claim, identity.expires_at):
            return False
        after = await self._asked(identity, turn)
        if after is not None:
            self._know(after)
            # A token that Cognito has replaced is of no use any more: the new one must not be lost.
            until = turn.asked_until
            while not await self._swapped(identity, claim, after) and time.time() < until:  # noqa: ASYNC110 - as above
                await asyncio.sleep(POLL)
        return True

    async def _asked(self, identity: Identity, turn: Renewal) -> Renewal | None:
        """Ask Cognito; return what is to be kept, None where the session has ended."""
        token = turn.token
        try:
            answer = await self._provider.refresh(token)
            token = answer.refresh_token or token
            groups = await self._verified_groups(identity, answer.id_token)
        except (CognitoError, Unavailable) as error:
            if isinstance(error, CognitoError) and error.code == "invalid_grant":
                await self._end(identity, "Cognito does not renew it")
                return None
            fields = {"user": contract.encode(identity.username), "reason": str(error)[:300]}
            log.warning("groups not checked, the last known count", extra={"fields": fields})
            return replace(turn, token=token, asked_until=0, retry_at=time.time() + PAUSE)
        except Unauthenticated as refusal:
            await self._end(identity, f"Cognito's answer does not count: {refusal.code.value}")
            return None
        if set(groups) != set(turn.groups):
            fields = {"user": contract.encode(identity.username)}
            log.info("groups of a session have changed", extra={"fields": fields})
        return replace(turn, token=token, groups=groups, checked_at=time.time(), asked_until=0, retry_at=0)

    async def _verified_groups(self, identity: Identity, id_token: str) -> tuple[str, ...]:
        """Return the groups in a new ID token, verified as any other, and of the same user."""
        found = await self._tokens.refreshed(id_token, now=time.time())
        if found.username != identity.username:
            raise Unauthenticated(ErrorCode.SESSION_INVALID, "the ID token is another user's")
        return found.groups

    async def _end(self, identity: Identity, reason: str) -> None:
        """End the session for every worker; its refresh token goes with it."""
        self._known.put(identity.session_id, Known(None, math.inf))
        fields = {"user": contract.encode(identity.username), "reason": reason}
        log.info("session ended", extra={"fields": fields})
        await self._revocations.revoke(RevocationKind.SESSION, identity.session_id, now=time.time())

    async def _swapped(self, identity: Identity, claim: bytes, after: Renewal) -> bool:
        """Keep what came of it, unless the session was ended meanwhile; False: not now."""
        try:
            await self._store.swap(renewal.key(identity), claim, self._sealed(after), identity.expires_at)
        except StoreError:
            return False
        return True

    def _know(self, found: Renewal) -> float:
        """Take in what is known; return until when it is good."""
        look_at = max(found.checked_at + self._refresh, found.retry_at)
        self._known.put(found.sid, Known(found.groups, look_at))
        return look_at

    def _go_on(self, identity: Identity, reason: str) -> None:
        """Let what is known count a little longer; who was never known stays so."""
        log.warning("groups not checked, the last known count", extra={"fields": {"reason": reason}})
        known = self._known.get(identity.session_id)
        if known is not None:
            self._known.put(identity.session_id, replace(known, look_at=time.time() + STORE_PAUSE))

    def _sealed(self, found: Renewal) -> bytes:
        return found.sealed(self._settings.secret_keys, now=time.time())
