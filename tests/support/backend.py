"""A recording MCP backend: a real HTTP/1.1 server that keeps the bytes of every request it saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from support.raw import WithHeaders
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Behaviour = Callable[["Exchange"], Awaitable[None]]


@dataclass(frozen=True)
class Seen(WithHeaders):
    """One request as it arrived."""

    connection: int
    method: str
    target: str
    version: str
    body: bytes

    def names(self) -> set[str]:
        """Return the names of all headers in lower case."""
        return {key.lower() for key, _ in self.headers}


@dataclass(slots=True)
class Exchange:
    """A request, and the means to answer it in any way."""

    seen: Seen
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader
    backend: Backend

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def json(self, value: Any, *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> None:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        await self.send("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    async def open_stream(self) -> None:
        """Begin an event stream in chunks."""
        await self.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )

    async def event(self, data: str) -> None:
        """Send one event as one chunk."""
        raw = f"data: {data}\n\n".encode()
        await self.send(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")

    async def close_stream(self) -> None:
        """End the chunks."""
        await self.send(b"0\r\n\r\n")

    async def until_gone(self) -> None:
        """Wait until the other side hangs up, and note it."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass
        self.backend.gone += 1


async def echo(exchange: Exchange) -> None:
    """Answer any request with a result."""
    if exchange.seen.method == "DELETE":
        await exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        await exchange.json({"jsonrpc": "2.0", "id": 1, "result": {"content": "from the backend"}})


@dataclass(eq=False)
class Backend:
    """Serves on loopback in a thread; `behaviour` says how, `requests` holds what it saw."""

    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    behaviour: Behaviour = echo
    port: int = 0
    _wakers: list[asyncio.Event] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Forget what was seen and answer plainly again; connections stay."""
        self.requests.clear()
        self.gone = 0
        self.connections = 0
        self.behaviour = echo

    def only(self) -> Seen:
        """Return the one request that came."""
        assert len(self.requests) == 1, f"expected one request, saw {self.requests}"
        return self.requests[0]

    def signal(self) -> asyncio.Event:
        """Return an event for a behaviour to wait for; release() sets it from a test."""
        event = asyncio.Event()
        self._wakers.append(event)
        return event

    def release(self, event: asyncio.Event) -> None:
        """Set an event from another thread."""
        self._loop.call_soon_threadsafe(event.set)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        until(lambda: self.port, "the backend listens")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._serve())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._main)
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                seen = await _read(reader, number)
                self.requests.append(seen)
                await self.behaviour(Exchange(seen, writer, reader, self))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")[:-4]
    first, *lines = head.split("\r\n")
    method, target, version = first.split(" ")
    pairs = [line.partition(":") for line in lines]
    headers = [(name, value.strip()) for name, _, value in pairs]
    sizes = [int(value) for name, value in headers if name.lower() == "content-length"]
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(sizes[0]) if sizes else b""
    return Seen(headers, connection, method, target, version, body)
