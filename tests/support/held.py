"""Event streams that the official client holds for minutes, while other tests go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.demo import Demo

SECONDS = int(os.environ.get("COMPOSE_STREAM_SECONDS", "120"))


@dataclass(eq=False)
class Stream:
    """One slow call: `seen` are the seconds that it has reported; `result` tells whether it failed."""

    seen: list[float] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    result: Future[bool] = field(default_factory=Future)


Held = dict[str, Stream]


@contextlib.contextmanager
def hold(url: str, demo: Demo) -> Iterator[Held]:
    """Begin a stream with each kind of credential, and yield once each has had an event."""
    credentials = {
        "token": {"Authorization": f"Bearer {demo.token('demo-admin-agent')}"},
        "cookie": {"Cookie": f"mcp_gateway_session={demo.cookie('ada')}"},
    }
    streams = {kind: Stream() for kind in credentials}
    with ThreadPoolExecutor(len(streams)) as pool:
        for kind, stream in streams.items():
            stream.result = pool.submit(asyncio.run, _count(url, credentials[kind], stream))
        for kind, stream in streams.items():
            assert stream.begun.wait(20), f"the stream with a {kind} has not begun"
        yield streams


@contextlib.asynccontextmanager
async def connected(url: str, credential: dict[str, str]) -> AsyncIterator[Client]:
    """Connect the official client."""
    async with httpx2.AsyncClient(headers=credential, trust_env=False, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


async def _count(url: str, credential: dict[str, str], stream: Stream) -> bool:
    async def report(progress: float, total: float | None, message: str | None) -> None:
        stream.seen.append(progress)
        stream.begun.set()

    async with connected(url, credential) as client:
        result = await client.call_tool("countdown", {"seconds": SECONDS}, progress_callback=report)
    return bool(result.is_error)
