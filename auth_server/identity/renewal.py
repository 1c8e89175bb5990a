"""What is kept of a session whose groups are checked again: sealed, so that it serves this gateway alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from auth_server.sealed import seal, unseal
from auth_server.stores.revocation_list import RevocationKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_server.model import Identity

PURPOSE = "mcp-gateway-session-refresh"


@dataclass(frozen=True, slots=True)
class Renewal:
    """A session's groups as Cognito said last, at `checked_at`, and the refresh token to ask again with.

    Until `asked_until` one worker is asking. Before `retry_at` nobody does, since Cognito failed. All times
    are in seconds since the epoch.
    """

    sid: str
    username: str
    groups: tuple[str, ...]
    token: str = field(repr=False)
    checked_at: float
    asked_until: float = 0
    retry_at: float = 0

    def sealed(self, keys: Sequence[str], *, now: float) -> bytes:
        """Return it as the store keeps it; never twice the same."""
        return seal(PURPOSE, json.dumps(asdict(self)).encode(), keys, now=now).encode()


def unsealed(
    raw: bytes | None, identity: Identity, keys: Sequence[str], *, max_age: int, now: float
) -> Renewal | None:
    """Return what was kept of this very session; None for anything else, and where nothing was."""
    if raw is None:
        return None
    try:
        members = json.loads(unseal(PURPOSE, raw.decode("ascii"), keys, max_age=max_age, now=now))
        found = Renewal(**members | {"groups": tuple(members["groups"])})
    except (ValueError, TypeError, KeyError):  # the last two for members that another version may have
        return None
    # Sealed for another session it may have been moved here by somebody who can write to the store.
    return found if (found.sid, found.username) == (identity.session_id, identity.username) else None


def key(identity: Identity) -> str:
    """Return the key that the session's renewal is kept under; it tells neither user nor session."""
    return f"session:{_digest(identity.session_id)}:{_digest(identity.username)}"


def pattern(kind: RevocationKind, value: str) -> str | None:
    """Return what matches the keys of all that such a revocation ends; None where that is no session."""
    if kind is RevocationKind.SESSION:
        return f"session:{_digest(value)}:*"
    return f"session:*:{_digest(value)}" if kind is RevocationKind.USER else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
