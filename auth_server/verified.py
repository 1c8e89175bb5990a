"""Credentials that were verified before: the cost of a signature is paid once.

Only what cannot have changed is kept. The caller still judges, at each use, what can: the time, the key set,
revocations and the policy.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from auth_server.model import Identity, Pool

DEFAULT_BYTES = 16 * 1024 * 1024
# What an entry costs beside its own texts: the objects, the digest and the table, measured on CPython 3.11.
_OVERHEAD = 1200


@dataclass(frozen=True, slots=True)
class Verified:
    """Who a credential stands for; for a token also the key that vouched for it, of which pool."""

    identity: Identity
    kid: str = ""
    key: RSAPublicKey | None = None
    pool: Pool | None = None


class VerifiedCredentials:
    """A least-recently-used table, bounded by an estimate of its bytes; holds digests, no credentials."""

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> Verified | None:
        """Return what is known of the credential with this digest."""
        found = self._entries.get(digest)
        if found is not None:
            self._entries.move_to_end(digest)
        return found

    def put(self, digest: bytes, verified: Verified) -> None:
        """Keep an entry; the least recently used ones make room."""
        self.drop(digest)
        self._entries[digest] = verified
        self._bytes += _size(verified)
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= _size(oldest)

    def drop(self, digest: bytes) -> None:
        """Forget an entry, if it is there."""
        if found := self._entries.pop(digest, None):
            self._bytes -= _size(found)


def digest(raw: str) -> bytes:
    """Return the name under which a credential is known: 128 bits of BLAKE2b, nothing to get back from."""
    return hashlib.blake2b(raw.encode(), digest_size=16).digest()


def _size(verified: Verified) -> int:
    identity = verified.identity
    texts = (identity.username, identity.email, identity.client_id, *identity.scopes, *identity.groups)
    return _OVERHEAD + sum(map(len, texts)) + 60 * len(texts)
