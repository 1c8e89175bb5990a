"""What a worker holds with many tokens, and what an open stream costs."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from bench import load, messages, streams
from bench.results import Spread, Table
from bench.rounds import MANY, until_it_answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bench.load import Requests
    from bench.processes import Server
    from bench.rounds import Bench

STREAMS = 500


def memory(bench: Bench) -> None:
    """Measure the sidecar with 10,000 tokens, and nginx with open streams."""
    shop = bench.workshop
    tokens = bench.questions(MANY)
    empty, full = [], []
    for _ in range(max(1, bench.rounds // 3)):
        with shop.sidecar("sidecar") as server:
            until_it_answers(server, bench.questions())
            empty.append(server.memory() / 1e6)
            _ask_all(server, tokens)
            full.append(server.memory() / 1e6)
    started, known = Spread(tuple(empty)), Spread(tuple(full))
    bare, through = _streams(bench, shop.bare), partial(shop.gateway, "gateway")
    gateway, relay = _streams(bench, through), _streams(bench, through, "auth_server.relay")
    rows = [
        ("worker of the sidecar, just started", started.show(1, " MB")),
        (f"worker of the sidecar, {MANY:,} known tokens", known.show(1, " MB")),
        (f"bare nginx: each of {STREAMS} open streams", bare.show(1, " kB")),
        (f"gateway: each of {STREAMS} open streams, nginx", gateway.show(1, " kB")),
        (f"gateway: each of {STREAMS} open streams, relay", relay.show(1, " kB")),
    ]
    note = "Resident (VmRSS), as /proc tells it."
    bench.results.tables.append(Table("Memory", note, ("", "median (least-most)"), rows))
    each_token = (known.median - started.median) / MANY * 1e3
    bench.results.sizing |= {
        "sidecar, memory of each worker": f"{started.median:.0f} MB",
        "sidecar, memory of each known token": f"{each_token:.1f} kB",
        "nginx, memory of each open stream": f"{gateway.median:.0f} kB",
        "relay, memory of each open stream": f"{relay.median:.0f} kB",
    }


def _ask_all(server: Server, tokens: Requests) -> None:
    """Send each at least once: wrk begins with the first of them again at each run."""
    for seconds in (3, 6, 12, 24):
        if load.run(server, tokens, seconds).requests >= tokens.count:
            return
    raise RuntimeError(f"{server.name} did not answer {tokens.count:,} requests within 24 s")


def _streams(
    bench: Bench, start: Callable[[], AbstractContextManager[Server]], process: str = "nginx: worker"
) -> Spread:
    """Return the kilobytes that this process takes for each open stream."""
    request = messages.stream(messages.bearer(bench.credentials.tokens[0]))
    each = []
    for _ in range(max(1, bench.rounds // 3)):
        with start() as server:
            until_it_answers(server, bench.posts())
            _until_streams_open(server.port, request)
            before = server.memory(process)
            with streams.opened(server.port, request, STREAMS):
                each.append((server.memory(process) - before) / STREAMS / 1e3)
    return Spread(tuple(each))


def _until_streams_open(port: int, request: bytes) -> None:
    """Open some: the relay is there a moment after the sidecar, which answers calls by then."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with streams.opened(port, request, 20):
                return
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # between two tries
