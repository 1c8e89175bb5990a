"""What stands between the suite, which cannot send a token, and the gateway: it adds one, and changes nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the head: the gateway ends each connection after its answer, so that no second request comes along unseen.
_OURS = ("authorization:", "connection:", "keep-alive:")


@contextlib.contextmanager
def forwarding(port: int, to: int, token: str) -> Iterator[None]:
    """Listen on one port of 127.0.0.1, and pass each request on to the other with this token."""
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await _pass_on(reader, writer, to, token)
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(connected, "127.0.0.1", port):
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


def with_token(head: bytes, token: str) -> bytes:
    """Return the head of a request as the gateway gets it."""
    first, *lines = head.decode("latin-1").split("\r\n")
    kept = [line for line in lines if not line.lower().startswith(_OURS)]
    return "\r\n".join([first, f"Authorization: Bearer {token}", "Connection: close", *kept]).encode(
        "latin-1"
    )


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int, token: str) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    answers, requests = await asyncio.open_connection("127.0.0.1", to)
    requests.write(with_token(head, token))
    asked = asyncio.create_task(_copy(reader, requests))
    try:
        await _copy(answers, writer)
    finally:
        asked.cancel()
        requests.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end; who hangs up here, hangs up there."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
