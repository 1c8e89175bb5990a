"""A steady load: so many requests a second over kept connections, each answer counted, for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 40


@dataclass(eq=False)
class Load:
    """Sends the requests in turn. `seen` counts (number of the request, status); 0 is a lost one."""

    address: tuple[str, int]
    requests: Sequence[bytes]
    rate: float
    limit: float = 120.0
    seen: Counter[tuple[int, int]] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    @property
    def sent(self) -> int:
        """How many were answered or lost."""
        return sum(self.seen.values())

    async def _run(self) -> None:
        start = time.monotonic()
        numbers = itertools.count()
        await asyncio.gather(*(self._connection(k, start, numbers) for k in range(CONNECTIONS)))
        self.seconds = time.monotonic() - start

    async def _connection(self, k: int, start: float, numbers: itertools.count[int]) -> None:
        """Send at fixed times, whatever the answers take: waiting for them would spare a slow server."""
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        due = start + k / self.rate
        while not self._stop.is_set() and due < start + self.limit:
            await asyncio.sleep(due - time.monotonic())
            which = next(numbers) % len(self.requests)
            sent = time.monotonic()
            try:
                async with asyncio.timeout(15):
                    streams = streams or await asyncio.open_connection(*self.address)
                    status, keep = await _exchange(*streams, self.requests[which])
            except (OSError, EOFError, TimeoutError, ValueError):
                status, keep = 0, False
            self.slowest = max(self.slowest, time.monotonic() - sent)
            self.seen[which, status] += 1
            if not keep and streams:
                streams[1].close()
                streams = None
            due += CONNECTIONS / self.rate
        if streams:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bool]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].split("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1]), "connection: close" not in head
