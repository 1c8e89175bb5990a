"""Server-sent events, as they come: bytes in pieces of any size → whole events, with the bytes they were.

HTML Living Standard, section 9.2.6. The bytes are kept: an event that nobody changes goes on as it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_END = re.compile(rb"\r\n?|\n")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event, or comments between two: its bytes, with the blank line that ends it.

    `is_part`: it is longer than what is kept, and comes in parts.
    """

    raw: bytes
    is_part: bool = False

    @property
    def type(self) -> bytes:
        """What `event:` says, empty where it says nothing."""
        return b"".join(self.every(b"event")[-1:])

    @property
    def data(self) -> bytes | None:
        """What the lines `data:` say together, None where there is none."""
        found = self.every(b"data")
        return b"\n".join(found) if found else None

    def with_data(self, data: bytes) -> Event:
        """Return the event with this in the place of its data."""
        lines: list[bytes] = []
        rest = data.split(b"\n")  # JSON may hold line ends between its tokens
        for line, end in _lines(self.raw):
            if _field(line)[0] != b"data":
                lines.append(line + end)
            else:
                lines += (b"data: " + part + end for part in rest)
                rest = []
        return Event(b"".join(lines))

    def every(self, name: bytes) -> list[bytes]:
        """Return the values of all fields of that name."""
        return [value for field, value in (_field(line) for line, _ in _lines(self.raw)) if field == name]


class Events:
    """Reads one stream; of an event that is longer than `most` bytes it keeps nothing."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._buffer = bytearray()
        self._line = 0  # where the unfinished line begins; below 0 where its beginning is gone
        self._looked = 0  # no line end is before that
        self._in_part = False

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are whole now, and parts of those that are too long, in their order."""
        buffer = self._buffer
        buffer += data
        events: list[Event] = []
        begin, looked = 0, len(buffer)
        for found in _LINE_END.finditer(buffer, self._looked):
            start, end = found.span()
            if start == self._line:
                raw = bytes(buffer[begin:end])
                events.append(Event(raw, self._in_part or len(raw) > self._most))
                begin, self._in_part = end, False
            elif found[0] == b"\r" and end == len(buffer):
                looked = start  # its line feed may be still to come
                break
            self._line = end
        if len(buffer) - begin > self._most:
            events.append(Event(bytes(buffer[begin:looked]), is_part=True))
            begin, self._in_part = looked, True
        del buffer[:begin]
        self._line -= begin
        self._looked = looked - begin
        return events

    def rest(self) -> Event:
        """Return what the stream ended with. It is no event, but some readers take it for one."""
        raw, self._buffer = bytes(self._buffer), bytearray()
        return Event(raw, self._in_part)


def _lines(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for found in _LINE_END.finditer(raw):
        yield raw[at : found.start()], found[0]
        at = found.end()
    if at < len(raw):
        yield raw[at:], b""


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Return name and value; a comment has the empty name."""
    name, _, value = line.removeprefix(_BOM).partition(b":")
    return name, value.removeprefix(b" ")
