"""A JWKS endpoint on loopback that can fail in every way that one does."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from auth_server.model import Pool


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
        body = json.dumps(self.document).encode()
        match self.fault:
            case "hang":
                self.waiting += 1
                await self.release.wait()
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                for _ in range(200):
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            case "30 MB":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 31457280\r\n\r\n")
                for _ in range(480):
                    writer.write(b" " * 65536)
                    await writer.drain()
            case "30 MB without a length":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(480):
                    writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
                    await writer.drain()
            case "gzip":
                bomb = gzip.compress(b" " * 30_000_000)
                writer.write(reply("200 OK", bomb, "Content-Encoding: gzip\r\n"))
            case "close":
                writer.close()
            case "half":
                writer.write(reply("200 OK", body)[:-20])
                writer.close()
            case "not HTTP":
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                writer.close()
            case "redirect":
                writer.write(reply("302 Found", b"", f"Location: {self.url}?again\r\n"))
            case "HTML":
                writer.write(reply("200 OK", b"<!doctype html><title>Welcome</title>", "Content-Type: text/html\r\n"))
            case "" if self.document is not None:
                writer.write(reply("200 OK", body))
            case status:
                writer.write(reply(status, b'{"message": "fault"}'))


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
