"""What every store can do: keep revocations in the order they came, and small encrypted values by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_server.stores.revocation_list import Revocation


class StoreError(Exception):
    """The store cannot do this now. The text is one bounded line, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Page:
    """What was read: everything that is in force (`complete`), or what came since the last position.

    `position` is for the next read of the same store. What is there twice may come twice.
    """

    revocations: tuple[Revocation, ...]
    position: str
    complete: bool


class Store(Protocol):
    """A place that outlives processes. Every method raises StoreError where the store cannot do it.

    What `add`, `put` and `swap` have returned from, the store will not lose by a crash of any process.
    """

    @property
    def kind(self) -> str:
        """What it is, in a word."""

    @property
    def place(self) -> str:
        """Where it is, without a secret."""

    def prepare(self) -> None:
        """Find out what can never work; raises ConfigurationError. A store that is down is no mistake."""

    async def add(self, revocations: Iterable[Revocation]) -> None:
        """Keep these until they end. To add the same again changes nothing."""

    async def read(self, after: str | None) -> Page:
        """Return what was added since that position; everything where it is None, or means nothing here."""

    async def prune(self, now: float) -> None:
        """Drop what has ended."""

    async def put(self, key: str, value: bytes, expires_at: float) -> None:
        """Keep a value, encrypted by the caller, in place of any before it."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, None where there is none or it has ended."""

    async def delete(self, pattern: str) -> None:
        """Drop every value whose key matches; `*` stands for any text."""

    async def swap(self, key: str, old: bytes, new: bytes, expires_at: float) -> bool:
        """Put `new` in the place of exactly `old`; of several callers with the same `old` one gets True."""

    async def aclose(self) -> None:
        """Close connections; nothing is asked afterwards."""


def one_line(error: BaseException) -> str:
    """Return what a library says of a failure, as a bounded line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
