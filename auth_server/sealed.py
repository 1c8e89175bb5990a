"""Small secrets that others keep for us: encrypted and authenticated, each kind under a key of its own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence


def seal(purpose: str, data: bytes, keys: Sequence[str], *, now: float) -> str:
    """Return the data as text that says nothing to others; the first key seals.

    Raises ValueError where there is no key.
    """
    # Without padding, which cookies would need quotes for.
    return _box(purpose, keys).encrypt_at_time(data, int(now)).decode().rstrip("=")


def unseal(purpose: str, text: str, keys: Sequence[str], *, max_age: int, now: float) -> bytes:
    """Return what was sealed for this purpose, with any of the keys, at most `max_age` seconds ago.

    Raises ValueError for anything else. What was sealed, or signed, for another purpose is nothing here.
    """
    try:
        padded = text.encode("utf-8", "replace") + b"=" * (-len(text) % 4)
        return _box(purpose, keys).decrypt_at_time(padded, max_age, int(now))
    except InvalidToken:
        raise ValueError(f"not sealed here for {purpose}, or too old") from None


def _box(purpose: str, keys: Sequence[str]) -> MultiFernet:
    if not keys or not all(keys):
        raise ValueError("sealing needs a key")
    return MultiFernet([Fernet(base64.urlsafe_b64encode(derived(purpose, key))) for key in keys])


def derived(purpose: str, key: str) -> bytes:
    """Return 32 bytes for one purpose alone (RFC 5869); SECRET_KEY itself signs sessions."""
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return kdf.derive(key.encode())
