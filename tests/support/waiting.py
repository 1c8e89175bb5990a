"""Wait for what another process does: poll until it is so, or fail at a deadline and say what was missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, seconds: float = 10.0, every: float = 0.02) -> T:
    """Return the condition's first true value; raises AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(every)  # between two looks at the condition
