"""A JWKS endpoint on loopback that can fail in every way that one does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from auth_server.model import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@dataclass(slots=True)
class JwksServer:
    """What the endpoint answers now (`fault`, `document`), and how often it was asked."""

    document: Any
    fault: str = ""
    requests: int = 0
    waiting: int = 0
    port: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The address of the key set."""
        return f"http://127.0.0.1:{self.port}/.well-known/jwks.json"

    def pool(self, pool: Pool) -> Pool:
        """Return that pool with its keys here."""
        return Pool(pool.id, pool.region, pool.issuers, self.url)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection after another request, until the client goes."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                await self._one(writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    async def _one(self, writer: asyncio.StreamWriter) -> None:
        match self.fault:
            case "hang":
                self.waiting += 1
                await self.release.wait()
            case "drip":
                await trickle(writer, b"Content-Length: 100000", [b" "] * 200, pause=0.05)
            case "30 MB":
                await trickle(writer, b"Content-Length: 31457280", [b" " * 65536] * 480)
            case "30 MB without a length":
                await trickle(
                    writer, b"Transfer-Encoding: chunked", [b"10000\r\n" + b" " * 65536 + b"\r\n"] * 480
                )
            case fault:
                writer.write(self._whole(fault))
                if fault in {"close", "half", "not HTTP"}:
                    writer.close()

    def _whole(self, fault: str) -> bytes:
        answer = reply("200 OK", json.dumps(self.document).encode())
        if fault == "gzip":
            return reply("200 OK", bomb(), "Content-Encoding: gzip\r\n")
        html = b"<!doctype html><title>Welcome</title>"
        answers = {
            "": answer,
            "close": b"",
            "half": answer[:-20],
            "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "redirect": reply("302 Found", b"", f"Location: {self.url}?again\r\n"),
            "HTML": reply("200 OK", html, "Content-Type: text/html\r\n"),
        }
        return answers[fault] if fault in answers else reply(fault, b'{"message": "fault"}')


@cache
def bomb() -> bytes:
    """Return 30 MB as few bytes."""
    return gzip.compress(b" " * 30_000_000)


async def trickle(writer: asyncio.StreamWriter, header: bytes, parts: list[bytes], pause: float = 0) -> None:
    """Answer bit by bit."""
    writer.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n")
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)


def reply(status: str, body: bytes, headers: str = "") -> bytes:
    """Write one HTTP answer."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def jwks_server(document: Any) -> AsyncIterator[JwksServer]:
    """Serve a key set on a port of its own."""
    state = JwksServer(document)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(state.answer(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def jwks_server_beside(document: Any) -> Iterator[JwksServer]:
    """Serve a key set from a thread of its own, for tests that wait for other processes."""
    started: Future[tuple[JwksServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        end = asyncio.Event()
        async with jwks_server(document) as state:
            started.set_result((state, asyncio.get_running_loop(), end))
            await end.wait()

    with ThreadPoolExecutor(1) as executor:
        serving = executor.submit(asyncio.run, serve())
        state, loop, end = started.result(10)
        try:
            yield state
        finally:
            loop.call_soon_threadsafe(end.set)
            serving.result(10)
