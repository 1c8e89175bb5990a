"""Revocations in Redis or Valkey: several machines. One stream, and one key for each kept value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from auth_server.errors import ConfigurationError, Mistake
from auth_server.stores.base import Page, StoreError, one_line
from auth_server.stores.revocation_list import Revocation, RevocationKind, RevocationList

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

T = TypeVar("T")
_Entry = tuple[bytes, dict[bytes, bytes]]

PREFIX = "mcp-auth-server:"
_STREAM = f"{PREFIX}revocations"
_KEPT = f"{PREFIX}kept:"

_LIMIT = 2.0  # seconds, for a connection and for each answer
_AT_ONCE = 1000
# The server numbers entries by its clock. Each read starts this much before the last number seen, so that
# none is missed after a switch to a replica whose clock is behind.
_OVERLAP_MS = 10_000

# Equal to `new` means that this very call was heard, and its answer lost on the way.
_SWAP = """
local found = redis.call('GET', KEYS[1])
if found and (found == ARGV[1] or found == ARGV[2]) then
    redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
    return 1
end
return 0
"""


class RedisStore:
    """Talks to one Redis or Valkey (or the primary behind a name); needs 6.2 or later."""

    kind = "redis"

    def __init__(self, url: str) -> None:
        """Take `redis://` or `rediss://`; raises ConfigurationError where it cannot be read."""
        try:
            self._redis = Redis.from_url(
                url,
                protocol=2,
                socket_timeout=_LIMIT,
                socket_connect_timeout=_LIMIT,
                # One more try, for a connection that the server closed long ago.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
                client_name="mcp-auth-server",
            )
            # Only now would an option be noticed that there is not.
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's own
        except (ValueError, TypeError):
            # Not the library's words: they may quote a part of the password.
            message = (
                "cannot be read as redis://user:password@host:port/0; "
                "write special characters of the password as %XX"
            )
            raise ConfigurationError([Mistake("REVOCATION_URL", message)]) from None
        options: dict[str, Any] = self._redis.connection_pool.connection_kwargs
        self.place = f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"
        self._password = str(options.get("password") or "")

    def prepare(self) -> None:
        """Find nothing: a server that cannot be reached now may be reached later."""

    async def add(self, revocations: Iterable[Revocation]) -> None:
        """Keep these until they end."""
        pipeline = self._redis.pipeline(transaction=True)
        for r in revocations:
            entry: dict[Any, Any] = {"kind": r.kind.value, "value": r.value}
            entry |= {"revoked_at": repr(r.revoked_at), "expires_at": repr(r.expires_at)}
            pipeline.xadd(_STREAM, entry)
        await self._guarded(pipeline.execute())

    async def read(self, after: str | None) -> Page:
        """Return what was added since and shortly before, or everything."""
        position = after or "0-0"
        start = max(int(position.partition("-")[0]) - _OVERLAP_MS, 0)
        entries = await self._entries(f"{start}-0")
        if entries:
            position = entries[-1][0].decode()
        found = tuple(found for _, fields in entries if (found := _revocation(fields)))
        return Page(found, position, complete=after is None)

    async def prune(self, now: float) -> None:
        """Drop what has ended, and what says no more than another entry."""
        superfluous = []
        newer = RevocationList()
        for number, fields in reversed(await self._entries("-")):
            found = _revocation(fields)
            if found is None:
                continue
            if found.expires_at <= now or newer.covers(found):
                superfluous.append(number)
            else:
                newer.add(found)
        for start in range(0, len(superfluous), _AT_ONCE):
            await self._guarded(self._redis.xdel(_STREAM, *superfluous[start : start + _AT_ONCE]))

    async def put(self, key: str, value: bytes, expires_at: float) -> None:
        """Keep a value in place of any before it."""
        await self._guarded(self._redis.set(_KEPT + key, value, pxat=int(expires_at * 1000)))

    async def get(self, key: str) -> bytes | None:
        """Return the value, None where there is none or it has ended."""
        asked: Awaitable[Any] = self._redis.get(_KEPT + key)
        found: bytes | None = await self._guarded(asked)
        return found

    async def delete(self, pattern: str) -> None:
        """Drop every value whose key matches."""
        cursor = 0
        while True:
            asked: Awaitable[Any] = self._redis.scan(cursor, match=_KEPT + pattern, count=_AT_ONCE)
            cursor, keys = await self._guarded(asked)
            if keys:
                await self._guarded(self._redis.delete(*keys))
            if not cursor:
                return

    async def swap(self, key: str, old: bytes, new: bytes, expires_at: float) -> bool:
        """Put `new` in the place of exactly `old`."""
        asked = self._redis.eval(_SWAP, 1, _KEPT + key, old, new, str(int(expires_at * 1000)))
        return bool(await self._guarded(asked) == 1)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _entries(self, start: str) -> list[_Entry]:
        found: list[_Entry] = []
        while True:
            asked: Awaitable[Any] = self._redis.xrange(_STREAM, min=start, count=_AT_ONCE)
            batch: list[_Entry] = await self._guarded(asked)
            if not batch:
                return found
            found += batch
            start = f"({batch[-1][0].decode()}"

    async def _guarded(self, asked: Awaitable[T]) -> T:
        try:
            return await asked
        except (RedisError, OSError, ValueError) as error:
            said = one_line(error)
            # Some servers quote a command that they do not know, AUTH among them.
            raise StoreError(said.replace(self._password, "***") if self._password else said) from None


def _revocation(fields: dict[bytes, bytes]) -> Revocation | None:
    """Read one entry; None for what somebody else wrote there."""
    try:
        times = float(fields[b"revoked_at"]), float(fields[b"expires_at"])
        return Revocation(RevocationKind(fields[b"kind"].decode()), fields[b"value"].decode(), *times)
    except (KeyError, ValueError):
        return None
