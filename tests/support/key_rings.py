"""Keys for stand-ins of Cognito, made once per process: they take a while."""

from __future__ import annotations

from functools import cache

from auth_server.demo.cognito import KeyRing, PoolKeys


def key_ring(pool: str) -> KeyRing:
    """Return a ring of its own, which a test may turn, with the keys of this pool."""
    return KeyRing({pool: keys_of(pool)})


@cache
def keys_of(pool: str) -> PoolKeys:
    """Return the keys that sign this pool's tokens."""
    return PoolKeys.generate()
