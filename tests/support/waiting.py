"""Wait for a condition: poll until it holds, or fail at a deadline and say what was missing."""

from __future__ import annotations

import asyncio
import inspect
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


async def eventually(condition: Callable[[], object], *, seconds: float = 5.0) -> float:
    """Return how long it took until the condition held, which may be asked for with `async`; the loop goes on.

    Raises AssertionError after the deadline.
    """
    start = time.monotonic()
    while True:
        value = condition()
        if await value if inspect.isawaitable(value) else value:
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not within {seconds:g} s")
        await asyncio.sleep(0.01)  # between two looks at the condition
