"""What was revoked, in memory: a credential is judged by three look-ups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from auth_server.errors import ErrorCode, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from auth_server.model import Identity


class RevocationKind(StrEnum):
    """What a revocation ends."""

    SESSION = "session"
    USER = "user"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Revocation:
    """One session (its sid, or a token's jti), or all that a user or a client held at `revoked_at`.

    It may be forgotten at `expires_at`, when every credential that it ends would be over anyway. Times are in
    seconds since the epoch. Raises ValueError where it names nobody, or has no time.
    """

    kind: RevocationKind
    value: str
    revoked_at: float
    expires_at: float

    def __post_init__(self) -> None:
        if not self.value:
            raise ValueError(f"a revocation names the {self.kind} that it ends")
        self.value.encode()  # a lone surrogate fits in no store
        if not math.isfinite(self.revoked_at) or not math.isfinite(self.expires_at):
            raise ValueError("a revocation has a time and an end")


class RevocationList:
    """The revocations that are known, one for each session, user and client."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._sessions: dict[str, Revocation] = {}
        self._users: dict[str, Revocation] = {}
        self._clients: dict[str, Revocation] = {}
        self._by_kind = {
            RevocationKind.SESSION: self._sessions,
            RevocationKind.USER: self._users,
            RevocationKind.CLIENT: self._clients,
        }
        for revocation in revocations:
            self.add(revocation)

    def __len__(self) -> int:
        return sum(map(len, self._by_kind.values()))

    def __iter__(self) -> Iterator[Revocation]:
        for known in self._by_kind.values():
            yield from known.values()

    def add(self, new: Revocation) -> None:
        """Take one in; of two for the same name the later time and the later end count."""
        known = self._by_kind[new.kind]
        old = known.get(new.value)
        if old is not None:
            revoked_at, expires_at = (
                max(old.revoked_at, new.revoked_at),
                max(old.expires_at, new.expires_at),
            )
            new = Revocation(new.kind, new.value, revoked_at, expires_at)
        known[new.value] = new

    def forget(self, now: float) -> None:
        """Drop those whose end has come."""
        for known in self._by_kind.values():
            for value in [value for value, found in known.items() if found.expires_at <= now]:
                del known[value]

    def covers(self, other: Revocation) -> bool:
        """Tell whether this revocation would change nothing here."""
        known = self._by_kind[other.kind].get(other.value)
        return (
            known is not None
            and known.revoked_at >= other.revoked_at
            and known.expires_at >= other.expires_at
        )

    def check(self, identity: Identity) -> None:
        """Raise Unauthenticated (REVOKED) where this credential was ended."""
        if identity.session_id in self._sessions:
            raise _revoked("it was ended by a sign-out or an administrator; sign in again")
        user = self._users.get(identity.username)
        if user is not None and identity.issued_at <= user.revoked_at:
            raise _revoked("all sessions and tokens of this user were ended; sign in again")
        client = self._clients.get(identity.client_id)
        if client is not None and identity.issued_at <= client.revoked_at:
            raise _revoked("all tokens of this client were ended; ask for a new one")


def _revoked(message: str) -> Unauthenticated:
    return Unauthenticated(ErrorCode.REVOKED, f"the credential no longer counts: {message}")
