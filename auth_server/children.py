"""What a process does about those that it starts."""

from __future__ import annotations

import ctypes
import signal
import sys

_FIRST_PAUSE = 0.1
_LAST_PAUSE = 5.0
_GOOD_RUN = 10.0
_PR_SET_PDEATHSIG = 1


def next_pause(pause: float, *, ran: float) -> float:
    """Return the seconds before a child is started again: twice the last ones, unless it ran well since."""
    if ran > _GOOD_RUN:
        return _FIRST_PAUSE
    return min(max(pause * 2, _FIRST_PAUSE), _LAST_PAUSE)


def die_with_parent() -> None:
    """On Linux: let the kernel end this child with the thread that started it, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
