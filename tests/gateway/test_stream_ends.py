"""Event streams pass at once and as they are, and end with what they stand on: through real nginx."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import raw
from support.door import Door, call, compact, mint, rpc
from support.gateway import environment, run_to_end, running
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.backend import Backend, Exchange
    from support.jwks_server import JwksServer

BARE = {"Content-Length": None, "Content-Type": None}
LISTEN = compact(rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["doc://open"]}}))
KINDS = ["GET", "listen"]


def opened(door: Door, kind: str = "GET", **replace: str | None) -> raw.Connection:
    """Open a stream, and read its head."""
    connection = raw.Connection(door.gateway.address)
    if kind == "GET":
        connection.send(door.message(b"", method="GET", replace={**BARE, **replace}))
    else:
        connection.send(door.message(LISTEN, replace=replace))
    status, headers = connection.head()
    assert (status, dict(headers)["Content-Type"]) == (200, "text/event-stream")
    return connection


async def ticks(exchange: Exchange) -> None:
    """Send an event every 100 ms, or answer a call."""
    import asyncio

    if b"tools/call" in exchange.seen.body:
        await exchange.json({"jsonrpc": "2.0", "id": 1, "result": {}})
        return
    await exchange.open_stream()
    gone = asyncio.ensure_future(exchange.until_gone())
    for number in range(10_000):
        if gone.done():
            return
        with contextlib.suppress(ConnectionError):
            await exchange.event(str(number))
        await asyncio.wait({gone}, timeout=0.1)


def lasts(connection: raw.Connection, *, limit: float = 20) -> float:
    """Read a stream to its clean end, and return how many seconds that took."""
    began = time.monotonic()
    while connection.chunk():
        assert time.monotonic() - began < limit
    return time.monotonic() - began


@pytest.mark.parametrize("kind", KINDS)
def test_events_come_at_once_and_as_they_are(door: Door, kind: str) -> None:
    """Each before the backend sends the next, byte for byte, comments and odd line ends among them."""
    sent = [b": hi\n\n", b"id: 7\r\ndata: a\r\n\r\n", b"data:b\rretry: 1\r\r", b"event: x\ndata\n\n"]
    go = [door.backend.signal() for _ in sent]

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        for event, data in zip(go, sent, strict=True):
            await event.wait()
            await exchange.send(b"%x\r\n%b\r\n" % (len(data), data))
        await exchange.close_stream()

    door.backend.behaviour = behaviour
    with opened(door, kind, **{"Last-Event-ID": "6"}) as connection:
        for event, data in zip(go, sent, strict=True):
            door.backend.release(event)
            assert connection.chunk() == data
        assert connection.chunk() == b""
    assert door.backend.only().header("Last-Event-ID") == "6"


def test_an_event_in_pieces(door: Door) -> None:
    """Goes on when it is whole; a large one too."""
    event = b"data: " + b"x" * 5_000_000 + b"\n\n"

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        for at in range(0, len(event), 100_001):
            piece = event[at : at + 100_001]
            await exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await exchange.close_stream()

    door.backend.behaviour = behaviour
    assert door.get().body == event


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_ends_with_its_token(door: Door, kind: str) -> None:
    """Cleanly, within a second or so; the backend hears of it."""
    door.backend.behaviour = ticks
    token = f"Bearer {mint(exp=int(time.time()) + 3)}"
    with opened(door, kind, Authorization=token) as connection:
        assert 1 < lasts(connection) < 6
    until(lambda: door.backend.gone == 1, "the backend hears of it")


@pytest.fixture
def own(
    backends: tuple[Backend, Backend], key_server: JwksServer, scopes: Path, tmp_path: Path
) -> Iterator[Door]:
    """A gateway of its own, where streams last 4 s."""
    first, second = backends
    first.reset()
    environ = environment(key_server.url, scopes, STREAM_MAX_AGE="4")
    with running({"time": first.url}, environ, "--nginx-workers", "1", cwd=tmp_path) as gateway:
        door = Door(gateway, first, second, mint(), scopes)
        first.behaviour = ticks
        until(lambda: door.post(call()).status == 200, "the first call")
        yield door


def test_a_stream_ends_at_stream_max_age(own: Door) -> None:
    """Both kinds, though the token lasts longer; a call is no stream."""
    connections = [opened(own, kind) for kind in KINDS]
    for connection in connections:
        assert lasts(connection) < 7
        connection.close()

    async def slow(exchange: Exchange) -> None:
        import asyncio

        await exchange.open_stream()
        for number in range(7):
            await exchange.event(str(number))
            await asyncio.sleep(1)
        await exchange.close_stream()

    own.backend.behaviour = slow
    assert own.post(call()).body.endswith(b"data: 6\n\n")


@pytest.mark.parametrize(
    "what", [("--user", "ada"), ("--session", "jti-of-access"), ("--client", "1example23456789")]
)
def test_a_stream_ends_with_a_revocation(
    backends: tuple[Backend, Backend],
    key_server: JwksServer,
    scopes: Path,
    tmp_path: Path,
    what: tuple[str, str],
) -> None:
    """Within 5 s, on each of two gateways with one store; another person's goes on."""
    first, second = backends
    first.reset()
    first.behaviour = ticks
    environ = environment(key_server.url, scopes)
    with contextlib.ExitStack() as stack:
        streams, others = [], []
        for _ in range(2):
            gateway = stack.enter_context(
                running({"time": first.url}, environ, "--nginx-workers", "1", cwd=tmp_path)
            )
            door = Door(gateway, first, second, mint("access"), scopes)
            until(lambda door=door: door.post(call()).status == 200, "the first call")  # type: ignore[misc]
            streams += [stack.enter_context(opened(door, kind)) for kind in KINDS]
            others.append(stack.enter_context(opened(door, Authorization=f"Bearer {mint()}")))
        assert run_to_end(["revoke", *what], environ, cwd=tmp_path).returncode == 0
        began = time.monotonic()
        for stream in streams:
            lasts(stream)
        assert time.monotonic() - began < 5
        for other in others:
            other._buffer = b""
            assert other.line_until(b"\n\n")


def test_a_stream_of_a_client_that_does_not_read(own: Door) -> None:
    """It is cut off when its time is over: nothing that comes later waits for its reader, nor does the relay."""

    async def floods(exchange: Exchange) -> None:
        await exchange.open_stream()
        with contextlib.suppress(ConnectionError):
            while True:
                await exchange.event("x" * 100_000)
        exchange.backend.gone += 1

    own.backend.behaviour = floods
    with opened(own) as connection:
        until(lambda: own.backend.gone == 1, "the backend hears of its end", seconds=12)
        (relay,) = own.gateway.children("auth_server.relay")
        until(lambda: connections_of(relay) == 0, "the relay has let go", seconds=12)
        with contextlib.suppress(raw.ClosedError):
            while connection.chunk():
                pass


def connections_of(pid: int) -> int:
    """Return how many connections nginx has open to this process, beside those it keeps for the next request."""
    path = next(
        argument
        for argument in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if "relay.sock" in argument
    )
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.split()[5] == "03" and line.endswith(path) for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backend_that_dies(door: Door, kind: str) -> None:
    """The stream breaks off, as it would without a gateway."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("first")
        exchange.writer.transport.abort()

    door.backend.behaviour = behaviour
    with opened(door, kind) as connection:
        assert connection.chunk() == b"data: first\n\n"
        with pytest.raises(raw.ClosedError):
            connection.chunk()


def test_a_client_that_goes(door: Door) -> None:
    """The backend hears of it at once, whether anything was sent or not."""

    async def silent(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.until_gone()

    async def says_nothing(exchange: Exchange) -> None:
        await exchange.until_gone()

    door.backend.behaviour = silent
    opened(door).close()
    until(lambda: door.backend.gone == 1, "the backend hears of it", seconds=2)
    door.backend.behaviour = says_nothing
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(b"", method="GET", replace=BARE))
        until(lambda: len(door.backend.requests) == 2, "it is there")
    until(lambda: door.backend.gone == 2, "the backend hears of it", seconds=2)


def test_a_relay_that_is_killed(own: Door) -> None:
    """kill -9: its streams end for both sides, calls go on, and another has its place."""
    relays = own.gateway.children("auth_server.relay")
    with opened(own) as connection:
        os.kill(relays[0], signal.SIGKILL)
        assert own.post(call()).status == 200
        with pytest.raises(raw.ClosedError):
            lasts(connection)
    until(lambda: own.backend.gone == 1, "the backend hears of it")
    until(lambda: own.gateway.children("auth_server.relay") not in ([], relays), "another has its place")

    def relays_again() -> bool:
        return bool(own.get(replace={"Accept": "text/event-stream"}).status == 200)

    until(relays_again, "streams open again", seconds=20)


def test_a_sidecar_that_is_killed_has_no_relay_left(own: Door) -> None:
    """The relay ends with the sidecar that it belongs to, and comes again with the next."""
    (relay,) = own.gateway.children("auth_server.relay")
    os.kill(own.gateway.children(" serve ")[0], signal.SIGKILL)

    def is_another() -> bool:
        found = own.gateway.children("auth_server.relay")
        return len(found) == 1 and found[0] != relay

    until(is_another, "another relay")
    until(lambda: own.get().status == 200, "streams open again", seconds=20)


def test_many_streams_and_a_call(door: Door) -> None:
    """Three hundred open streams do not keep a call or a list waiting."""
    door.backend.behaviour = ticks
    streams = [opened(door) for _ in range(300)]
    try:
        began = time.monotonic()
        assert door.post(call()).status == 200
        assert time.monotonic() - began < 2
    finally:
        for stream in streams:
            stream.close()
    until(lambda: door.backend.gone == 300, "the backend sees the end of all", seconds=20)


def test_stopping_ends_streams(own: Door) -> None:
    """The gateway stops in time with streams open, and says nothing of a failure."""
    connection: Any = opened(own)
    own.gateway.stop()
    connection.close()
    assert "Traceback" not in own.gateway.log
