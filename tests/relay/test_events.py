"""Server-sent events, split wherever a network splits them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.relay.events import Event, Events

LINES = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data:  c",
        b": comment",
        b"id: 7",
        b"event: endpoint",
        b"retry: 1",
        b"",
        b"x",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def plainly(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Read a stream at once, as the standard says it: type and data of each event that has data."""
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found: list[tuple[bytes, bytes]] = []
    kind = b""
    data: list[bytes] = []
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                found.append((kind, b"\n".join(data)))
            kind, data = b"", []
        elif name == b"event":
            kind = value
        elif name == b"data":
            data.append(value)
    return found


def fed(stream: bytes, cuts: list[int], *, most: int = 10_000) -> tuple[list[Event], Event]:
    """Feed a stream in pieces."""
    events, found, at = Events(most=most), [], 0
    for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += events.feed(stream[at:cut])
        at = max(at, cut)
    return found, events.rest()


@given(STREAMS, st.lists(st.integers(0, 400), max_size=6))
def test_wherever_it_is_split(stream: bytes, cuts: list[int]) -> None:
    """The same events, and together the very bytes."""
    found, rest = fed(stream, cuts)
    assert b"".join(event.raw for event in [*found, rest]) == stream
    assert [(e.type, e.data) for e in found if e.data is not None] == plainly(stream)


def test_split_at_every_byte() -> None:
    """All of it at once, or one by one."""
    stream = b"\xef\xbb\xbfdata: a\r\ndata: b\r\n\r\n:\n\nevent: endpoint\rdata: /x\r\rdata: 3\n\ndata: left"
    expected = [(b"", b"a\nb"), (b"endpoint", b"/x"), (b"", b"3")]
    for size in range(1, len(stream) + 1):
        found, rest = fed(stream, list(range(0, len(stream), size)))
        assert [(e.type, e.data) for e in found if e.data is not None] == expected
        assert (rest.raw, rest.data) == (b"data: left", b"left")


@given(STREAMS, st.lists(st.integers(0, 400), max_size=6), st.integers(1, 30))
def test_what_is_too_long_comes_in_parts(stream: bytes, cuts: list[int], most: int) -> None:
    """Nothing is lost or kept; what is shorter comes whole."""
    found, rest = fed(stream, cuts, most=most)
    assert b"".join(event.raw for event in [*found, rest]) == stream
    assert all(event.is_part or len(event.raw) <= most for event in [*found, rest])


def test_an_event_after_a_long_one() -> None:
    """A long one ends where its blank line is, and the next is whole again."""
    found, _ = fed(b"data: " + b"x" * 50 + b"\n\ndata: next\n\n", list(range(0, 70, 7)), most=20)
    assert [event.data for event in found if not event.is_part] == [b"next"]


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        (b"data: a\n\n", b"data: new\n\n"),
        (b"id: 1\r\ndata: a\r\ndata: b\r\nretry: 2\r\n\r\n", b"id: 1\r\ndata: new\r\nretry: 2\r\n\r\n"),
        (b"data: a", b"data: new"),
    ],
)
def test_other_data(raw: bytes, changed: bytes) -> None:
    """It takes the place of the old; everything beside it stays."""
    assert Event(raw).with_data(b"new").raw == changed


@given(STREAMS, st.text("ab\n", max_size=8).map(str.encode))
def test_new_data_is_read_as_it_was_given(stream: bytes, data: bytes) -> None:
    """Line ends in it are line ends of it."""
    for event in fed(stream, [])[0]:
        if event.data is not None:
            assert event.with_data(data).data == data
            assert event.with_data(data).type == event.type
