"""What tests that run side by side share: the ports of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below those that the system gives to connections, and from another start in each process that runs tests:
# between the look and the use of a port nobody else takes it.
_PORTS: Iterator[int] = itertools.cycle(range(20_000, 32_000))
for _ in range(os.getpid() * 997 % 12_000):
    next(_PORTS)


def free_port() -> int:
    """Return a port that nobody listens on."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("unreachable: the ports go round")


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one test run at a time use what the machine has once."""
    with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
