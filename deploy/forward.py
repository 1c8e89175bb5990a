#!/usr/bin/env python3
"""Make a Unix socket answer on this container's own loopback: `forward SOCKET PORT`, until it is ended.

The demo's Cognito listens on a socket, which no network reaches; the sidecar asks for keys by URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def forward(target: str, port: int) -> None:
    """Pass each connection on to the Unix socket, until cancelled."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                far_reader, far_writer = await asyncio.open_unix_connection(target)
            except OSError:
                return  # not there yet, or gone: to the caller, a closed connection
            with contextlib.closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", port) as server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], int(sys.argv[2])))
