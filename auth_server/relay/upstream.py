"""HTTP/1.1 to nginx's inner socket: one connection for each request, read as it comes.

Not httpx, whose layers are most of what a plain relay with it costs: here an event takes 7 µs and an open
stream 25 kB, with all that the relay does. A connection is not used again, so that none can be found closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from auth_server.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from auth_server.headers import RawHeaders

# Bytes that were read and nobody took yet, above which no more are read.
HELD_BYTES = 256 * 1024


class Exchange(asyncio.Protocol):
    """One request and its answer: `status` and `headers` once `opened` returned, then the body in parts."""

    def __init__(self, request: bytes) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._complete = False
        self._lost = False
        self._ended = False
        self._news = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def opened(self) -> None:
        """Wait for status and headers; raises UpstreamUnavailable where none come."""
        while not self.status:
            if self._lost or self._ended:
                raise UpstreamUnavailable("the MCP server behind the gateway does not answer")
            await self._wait()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, until it is complete or `end` was called.

        Raises UpstreamUnavailable where the other side breaks it off.
        """
        while not self._ended:
            if self._parts:
                part = b"".join(self._parts)
                self._parts.clear()
                self._held = 0
                if self._transport is not None and not self._lost:
                    self._transport.resume_reading()
                yield part
            elif self._complete:
                return
            elif self._lost:
                raise UpstreamUnavailable("the MCP server behind the gateway broke its answer off")
            else:
                await self._wait()

    @property
    def is_complete(self) -> bool:
        """Whether the whole of it came."""
        return self._complete and not self._ended

    def end(self) -> None:
        """Read no more: whoever reads the parts comes to their end."""
        self._ended = True
        self.close()
        self._news.set()

    def close(self) -> None:
        """Close the connection, so that the MCP server hears of it."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    # --------------------------------------------------------------------------------- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)
        self._request = b""

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._lost = True
            self.close()
        if self._held > HELD_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end. An answer without a length ends with its connection."""
        if self.status and exc is None and not self._is_framed:
            self._complete = True
        self._lost = True
        self._news.set()

    @property
    def _is_framed(self) -> bool:
        return any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)

    # ------------------------------------------------------------------------------ the parser's callbacks

    def on_message_begin(self) -> None:
        """Forget an interim answer (1xx)."""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Note the status, once it is the final one."""
        status = self._parser.get_status_code()
        self.status = status if status >= 200 else 0  # noqa: PLR2004 - RFC 9110, section 15.2

    def on_body(self, body: bytes) -> None:
        """Keep a part."""
        self._parts.append(body)
        self._held += len(body)

    def on_message_complete(self) -> None:
        """Note that the answer is whole."""
        self._complete = self.status > 0


async def ask(socket: str, method: str, target: str, headers: RawHeaders, body: bytes) -> Exchange:
    """Send a request and return its answer, opened; raises UpstreamUnavailable where none comes.

    Whoever gets it closes it.
    """
    head = [b"%b %b HTTP/1.1" % (method.encode(), target.encode("latin-1"))]
    head += [b"%b: %b" % pair for pair in headers]
    if body or method == "POST":
        head.append(b"content-length: %d" % len(body))
    exchange = Exchange(b"\r\n".join([*head, b"", body]))
    loop = asyncio.get_running_loop()
    try:
        await loop.create_unix_connection(lambda: exchange, socket)
    except OSError:
        raise UpstreamUnavailable("the way from the relay to the MCP servers is closed") from None
    try:
        await exchange.opened()
    except BaseException:
        exchange.close()
        raise
    return exchange
