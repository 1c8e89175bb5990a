"""How long an event stream lasts: until its credential ends or is revoked; no longer than STREAM_MAX_AGE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_server.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from auth_server.model import Identity


@dataclass(frozen=True, slots=True, eq=False)
class OpenStream:
    """One stream: whose it is, when it is over at the latest, and what ends it."""

    identity: Identity
    ends_at: float
    end: Callable[[], None]


def ends_at(identity: Identity, *, max_age: int | None, now: float) -> float:
    """Return when a stream that begins now is over at the latest, in seconds since the epoch."""
    return identity.expires_at if max_age is None else min(identity.expires_at, now + max_age)


def over(streams: Iterable[OpenStream], check: Callable[[Identity], None], *, now: float) -> list[OpenStream]:
    """Return the streams that end now; `check` raises a Refusal for an identity that no longer counts."""
    return [stream for stream in streams if now >= stream.ends_at or _is_refused(stream.identity, check)]


def _is_refused(identity: Identity, check: Callable[[Identity], None]) -> bool:
    try:
        check(identity)
    except Refusal:
        return True
    return False
