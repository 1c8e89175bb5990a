"""A bounded memory of what was worked out lately."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Kept(Protocol):
    """What can be kept."""

    @property
    def size(self) -> int:
        """An estimate of the bytes that keeping it costs, with its key; the same each time."""


K = TypeVar("K")
V = TypeVar("V", bound=Kept)


class Cache(Generic[K, V]):
    """A least-recently-used table, bounded by the sizes of its values.

    It forgets by size alone: whether an entry still holds is the caller's to judge at each use.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value kept under this key, if it is still here."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep a value in place of any before it; the least recently used ones make room."""
        if (before := self._entries.pop(key, None)) is not None:
            self._bytes -= before.size
        self._entries[key] = value
        self._bytes += value.size
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size
