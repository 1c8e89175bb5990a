"""An MCP server that only streams, and a client that holds many streams open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVENT = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'


@contextlib.contextmanager
def opened(port: int, request: bytes, count: int) -> Iterator[None]:
    """Open that many streams and keep them; each has had its first event when this returns."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            client.sendall(request)
            got = b""
            while _EVENT.strip() not in got:
                more = client.recv(65536)
                got += more
                if not more or not b"HTTP/1.1 200".startswith(got[:12]):
                    raise RuntimeError(f"no stream with an event: {got[:300]!r}")
        yield


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_stream, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + f"{len(_EVENT):x}\r\n".encode()
        + _EVENT
        + b"\r\n"
    )
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
