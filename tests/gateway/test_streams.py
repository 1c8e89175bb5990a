"""Streams are not held back, long calls are not cut, and connections are used again."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import raw
from support.door import call, compact
from support.waiting import until

if TYPE_CHECKING:
    from support.backend import Exchange
    from support.door import Door

BARE = {"Content-Length": None, "Content-Type": None}
CALL = compact(call())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_events_arrive_one_by_one(door: Door, method: str) -> None:
    """Each event reaches the client before the backend sends the next."""
    events = [door.backend.signal() for _ in range(5)]

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        for number, event in enumerate(events):
            await event.wait()
            await exchange.event(f"event {number}")
        await exchange.close_stream()

    door.backend.behaviour = behaviour
    with raw.Connection(door.gateway.address, timeout=3) as connection:
        body = CALL if method == "POST" else b""
        connection.send(door.message(body, method=method, replace={} if body else BARE))
        status, headers = connection.head()
        assert (status, dict(headers)["Content-Type"]) == (200, "text/event-stream")
        for number, event in enumerate(events):
            door.backend.release(event)
            assert connection.chunk() == f"data: event {number}\n\n".encode()
        assert connection.chunk() == b""


def test_large_events_pass(door: Door) -> None:
    """An event of several MB arrives whole."""
    big = json.dumps("ü" * 1_000_000, ensure_ascii=False)

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event(big)
        await exchange.close_stream()

    door.backend.behaviour = behaviour
    assert door.post(CALL).body == f"data: {big}\n\n".encode()


def test_a_long_silent_call(door: Door) -> None:
    """A call that says nothing for longer than the sidecar's own time limits is not cut."""
    done = door.backend.signal()

    async def behaviour(exchange: Exchange) -> None:
        await done.wait()
        await exchange.json({"jsonrpc": "2.0", "id": 1, "result": "late"})

    door.backend.behaviour = behaviour
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(CALL))
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 7, "the silence", seconds=9)
        door.backend.release(done)
        assert connection.answer().json()["result"] == "late"


def test_a_client_that_goes_is_noticed(door: Door) -> None:
    """The backend learns that nobody listens any more."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("first")
        await exchange.until_gone()

    door.backend.behaviour = behaviour
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(CALL))
        assert connection.head()[0] == 200
        assert connection.chunk() == b"data: first\n\n"
        assert door.backend.gone == 0
    until(lambda: door.backend.gone == 1, "the backend sees the end")


def test_a_stream_cut_by_the_backend(door: Door) -> None:
    """A stream that the backend breaks off is broken off for the client as well, not ended cleanly."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("first")
        exchange.writer.close()

    door.backend.behaviour = behaviour
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(CALL))
        connection.head()
        assert connection.chunk() == b"data: first\n\n"
        with pytest.raises(raw.ClosedError):
            connection.chunk()


@pytest.mark.parametrize("one", [True, False], ids=["one client connection", "a connection per request"])
def test_connections_to_the_backend_are_used_again(door: Door, one: bool) -> None:
    """50 calls in a row take a connection or two, not 50."""
    count = 50
    if one:
        with raw.Connection(door.gateway.address) as connection:
            for _ in range(count):
                connection.send(door.message(CALL))
                assert connection.answer().status == 200
    else:
        for _ in range(count):
            assert door.post(CALL).status == 200
    assert len(door.backend.requests) == count
    assert len({seen.connection for seen in door.backend.requests}) <= 3
    assert {seen.version for seen in door.backend.requests} == {"HTTP/1.1"}


def test_connections_to_the_sidecar_are_used_again(door: Door) -> None:
    """50 refusals in a row, none of which nginx may remember, take the sidecar few connections."""
    (worker,) = door.gateway.children("nginx: worker")
    before = sockets(worker)
    with raw.Connection(door.gateway.address) as connection:
        for number in range(50):
            connection.send(door.message(call(f"evil-{number}")))
            assert connection.answer().status == 403
        assert len(sockets(worker) - before) <= 4


def sockets(pid: int) -> set[str]:
    """Return the sockets that a process has open: kept connections stay the same ones."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(entry.readlink()))
    return {link for link in found if link.startswith("socket:")}


def test_many_streams_at_once(door: Door) -> None:
    """A hundred open streams do not keep a call waiting."""

    async def behaviour(exchange: Exchange) -> None:
        if exchange.seen.method == "GET":
            await exchange.open_stream()
            await exchange.until_gone()
        else:
            await exchange.json({"jsonrpc": "2.0", "id": 1, "result": {}})

    door.backend.behaviour = behaviour
    streams = [raw.Connection(door.gateway.address) for _ in range(100)]
    try:
        for stream in streams:
            stream.send(door.message(b"", method="GET", replace=BARE))
        for stream in streams:
            assert stream.head()[0] == 200
        began = time.monotonic()
        assert door.post(CALL).status == 200
        assert time.monotonic() - began < 2
    finally:
        for stream in streams:
            stream.close()
    until(lambda: door.backend.gone == 100, "the backend sees the end of all")


def test_expect_100_continue(door: Door) -> None:
    """A client that asks before it sends its body is told to go on."""
    data = door.message(CALL, headers=(("Expect", "100-continue"),))
    head, _, body = data.partition(b"\r\n\r\n")
    with raw.Connection(door.gateway.address) as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.head()[0] == 100
        connection.send(body)
        assert connection.answer().status == 200
