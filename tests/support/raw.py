"""HTTP as bytes over a socket: send anything at all, read answers one by one."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = list[tuple[str, str]]
Text = str | bytes


@dataclass(frozen=True)
class WithHeaders:
    """A request or a response, as far as its headers go."""

    headers: Headers

    def every(self, name: str) -> list[str]:
        """Return the values of all headers of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """Return the value of a header that comes at most once."""
        found = self.every(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None


@dataclass(frozen=True)
class Answer(WithHeaders):
    """One HTTP response as it came."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class ClosedError(Exception):
    """The other side closed the connection before an answer was complete."""


class Connection:
    """One TCP connection to an HTTP server."""

    def __init__(self, address: tuple[str, int], *, timeout: float = 15.0) -> None:
        self.socket = socket.create_connection(address, timeout=timeout)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; a server that has already answered and gone is no error."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, method: str = "POST") -> Answer:
        """Read one answer to the end; raises ClosedError where the server hangs up instead."""
        while True:
            status, headers = self.head()
            if status >= 200:
                break
        sizes = [value for name, value in headers if name.lower() == "content-length"]
        chunked = any(name.lower() == "transfer-encoding" for name, _ in headers)
        if method == "HEAD" or status in {204, 304}:
            body = b""
        elif chunked:
            body = self._chunks()
        elif sizes:
            body = self.take(int(sizes[0]))
        else:
            body = self.rest()
        return Answer(headers, status, body)

    def head(self) -> tuple[int, Headers]:
        """Read a status line and headers."""
        head = self.line_until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        pairs = [line.partition(":") for line in lines]
        return int(first.split(" ")[1]), [(name, value.strip()) for name, _, value in pairs]

    def line_until(self, end: bytes) -> bytes:
        """Read up to a delimiter and take it off."""
        while end not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(end)
        return line

    def take(self, count: int) -> bytes:
        """Read exactly so many bytes."""
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def chunk(self) -> bytes:
        """Read one chunk of a chunked body; empty is the last."""
        data = self.take(int(self.line_until(b"\r\n"), 16))
        self.line_until(b"\r\n")
        return data

    def rest(self) -> bytes:
        """Read until the server closes."""
        while True:
            try:
                self._more()
            except ClosedError:
                rest, self._buffer = self._buffer, b""
                return rest

    def is_closed(self) -> bool:
        """Tell whether the server has closed, without waiting for long."""
        self.socket.settimeout(0.2)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    def _chunks(self) -> bytes:
        body = b""
        while data := self.chunk():
            body += data
        return body

    def _more(self) -> None:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ClosedError
        self._buffer += data


def request(
    method: str,
    target: Text,
    headers: Iterable[tuple[Text, Text]],
    body: bytes = b"",
    *,
    version: str = "HTTP/1.1",
) -> bytes:
    """Return a request as bytes. Nothing is added: no Host, no Content-Length."""
    lines = [b" ".join([method.encode(), _bytes(target), version.encode()])]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def exchange(address: tuple[str, int], data: bytes, *, method: str = "POST", timeout: float = 15.0) -> Answer:
    """Send bytes on a connection of their own and return the first answer."""
    with Connection(address, timeout=timeout) as connection:
        connection.send(data)
        return connection.answer(method)


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
