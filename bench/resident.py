"""What a worker holds with many tokens, and what an open stream costs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench import load, messages, streams
from bench.results import Measured, Spread, Table
from bench.rounds import MANY, until_it_answers

if TYPE_CHECKING:
    from bench.load import Requests
    from bench.processes import Server
    from bench.rounds import Bench

STREAMS = 500


def memory(bench: Bench) -> None:
    """Measure what a worker holds with 10,000 tokens, and what an open stream costs."""
    shop = bench.workshop
    tokens = bench.questions(MANY)
    empty, full, again = [], [], []
    for _ in range(max(1, bench.rounds // 3)):
        with shop.sidecar("sidecar") as server:
            until_it_answers(server, bench.questions())
            empty.append(server.memory() / 1e6)
            _ask_all(server, tokens)
            full.append(server.memory() / 1e6)
            again.append(load.run(server, tokens, 1).cpu_each * 1e6)
    rows = [
        ("worker of the sidecar, just started", Spread(tuple(empty)).show(1, " MB")),
        (f"worker of the sidecar, {MANY:,} cached tokens", Spread(tuple(full)).show(1, " MB")),
    ]
    rows.append((f"processor time of each of {MANY:,}, asked again", Spread(tuple(again)).show(0, " µs")))
    rows += _stream_rows(bench)
    bench.results.tables.append(
        Table(
            "Memory",
            "Resident (VmRSS), as /proc tells it. That the tokens are kept shows in the processor time when "
            "they are asked for again: compare it with that of first-seen ones.",
            ("", "median (least-most)"),
            rows,
        )
    )
    each_token = Spread(tuple((b - a) / MANY * 1e3 for a, b in zip(empty, full, strict=True))).median
    bench.results.sizing |= {
        "sidecar, memory of each worker": f"{Spread(tuple(empty)).median:.0f} MB",
        "sidecar, memory of each known token": f"{each_token:.1f} kB",
    }
    bench.results.measured["memory"] = Measured(Spread(tuple(full)))


def _ask_all(server: Server, tokens: Requests) -> None:
    """Send each at least once: wrk begins with the first of them again at each run."""
    for seconds in (3, 6, 12, 24):
        if load.run(server, tokens, seconds).requests >= tokens.count:
            return
    raise RuntimeError(f"{server.name} did not answer {tokens.count:,} requests within 24 s")


def _stream_rows(bench: Bench) -> list[tuple[str, str]]:
    shop = bench.workshop
    token = messages.bearer(bench.credentials.tokens[0])
    rows = []
    for server_of, name in ((shop.bare, "bare nginx"), (partial(shop.gateway, "gateway"), "gateway")):
        nginx, python = [], []
        for _ in range(max(1, bench.rounds // 3)):
            with server_of() as server:
                until_it_answers(server, bench.posts())
                with streams.opened(server.port, messages.stream(token), 20):
                    pass
                parts = ("nginx: worker", "auth_server serve")
                before = [server.memory(part) for part in parts]
                with streams.opened(server.port, messages.stream(token), STREAMS):
                    after = [server.memory(part) for part in parts]
                each = [(b - a) / STREAMS / 1e3 for a, b in zip(before, after, strict=True)]
                nginx.append(each[0])
                python.append(each[1])
        rows.append((f"{name}: each of {STREAMS} open streams, nginx", Spread(tuple(nginx)).show(1, " kB")))
        if name == "gateway":
            bench.results.sizing["nginx, memory of each open stream"] = (
                f"{Spread(tuple(nginx)).median:.0f} kB"
            )
            rows.append(
                (f"{name}: each of {STREAMS} open streams, sidecar", Spread(tuple(python)).show(1, " kB"))
            )
    return rows
