"""Latency at a constant rate: every request has its moment, and its time counts from that moment.

wrk has no rate, and a client that waits for an answer before it sends again leaves out just the requests
that a slow server would have kept waiting (“coordinated omission”). Here request i is due at
start + i / rate, whatever became of the others; one that finds no free connection waits, and this counts.

One thread polls without sleeping. How late it was itself comes with each result (`own_delay`).
"""

from __future__ import annotations

import contextlib
import gc
import select
import socket
import statistics
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import load

if TYPE_CHECKING:
    from bench.load import Requests
    from bench.processes import Server

_CONNECTIONS = 64
_WARM_UP = 0.1  # of the requests
_LONGEST = 16384  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the moment a request was due to the last byte of its answer."""

    p50: float
    p99: float
    own_delay_p50: float
    own_delay_p99: float


def measure(server: Server, requests: Requests, *, rate: int, seconds: float) -> Latency:
    """Send at this rate; raises WrongAnswerError for an answer other than the first one of the run."""
    expected = load.probe(server, requests)
    status_line, body = expected[: expected.index(b"\r\n")], expected.partition(b"\r\n\r\n")[2]
    message = requests.first
    with contextlib.ExitStack() as stack:
        clients: dict[int, socket.socket] = {}
        for _ in range(_CONNECTIONS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(message)
            load.read_answer(client)
            client.setblocking(False)  # noqa: FBT003 - the socket's own way
            clients[client.fileno()] = client
        poll = stack.enter_context(select.epoll())
        for number in clients:
            poll.register(number, select.EPOLLIN)
        schedule = (int(rate * seconds), 1 / rate)
        times, delays = _send(clients, poll, message, schedule, (status_line, body))
    skipped = int(len(times) * _WARM_UP)
    return Latency(*_p50_p99(times[skipped:]), *_p50_p99(delays[skipped:]))


def _send(
    clients: dict[int, socket.socket],
    poll: select.epoll,
    message: bytes,
    schedule: tuple[int, float],
    expected: tuple[bytes, bytes],
) -> tuple[list[float], list[float]]:
    (count, interval), (status_line, body) = schedule, expected
    idle = deque(clients)
    due_at = dict.fromkeys(clients, 0.0)
    got = dict.fromkeys(clients, b"")
    times: list[float] = []
    delays: list[float] = []
    clock = time.perf_counter
    gc.disable()
    try:
        start, sent = clock() + 0.01, 0
        while len(times) < count:
            due = start + sent * interval
            if sent < count and idle and (now := clock()) >= due:
                number = idle.popleft()
                clients[number].send(message)
                due_at[number] = due
                delays.append(now - due)
                sent += 1
                continue
            for number, _ in poll.poll(0):
                data = got[number] + clients[number].recv(65536)
                now = clock()
                if not data.endswith(body) and 0 < len(data) < _LONGEST:
                    got[number] = data
                    continue
                if not data.startswith(status_line) or not data.endswith(body):
                    raise load.WrongAnswerError(f"another answer than the first one: {data[:300]!r}")
                got[number] = b""
                times.append(now - due_at[number])
                idle.append(number)
            if clock() > start + count * interval + 20:
                raise load.WrongAnswerError("the server does not keep up with the rate")
    finally:
        gc.enable()
    return times, delays


def _p50_p99(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]
