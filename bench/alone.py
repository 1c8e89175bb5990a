"""Figures of the sidecar alone: beside Starlette and PyJWT, and its start."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt

from bench import load, processes, servers
from bench.credentials import ISSUER
from bench.results import Measured, Share, Spread, Table, ratio
from bench.rounds import MANY, Contender, costs, per_core, rates, until_it_answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bench.credentials import Credentials
    from bench.load import Requests, Run
    from bench.processes import Server
    from bench.rounds import Bench


@dataclass(frozen=True, slots=True)
class _Decode:
    """Seconds that PyJWT needs for one token."""

    wall: float
    cpu: float


def sidecar(bench: Bench) -> None:
    """Compare /validate with a Starlette application that only greets, and with a naive validator."""
    shop = bench.workshop
    one, many = bench.questions(), bench.questions(MANY)
    with contextlib.ExitStack() as stack:
        hello = stack.enter_context(shop.uvicorn("hello"))
        small = stack.enter_context(shop.sidecar("sidecar"))
        large = stack.enter_context(shop.sidecar("sidecar-large", SCOPES_FILE=str(shop.large_policy)))
        naive = stack.enter_context(shop.uvicorn("naive"))
        runs = bench.alternate(
            [
                Contender("Starlette hello world", hello, one),
                Contender("/validate, credential cached", small, one),
                Contender("/validate, policy of 1,000 servers", large, one),
                Contender("/validate, 10,000 tokens in turn", small, many),
                Contender("/validate, 10,000 tokens, policy of 1,000 servers", large, many),
                Contender("FastAPI + requests + PyJWT", naive, one),
            ]
        )
    note = "Over TCP, without nginx, one worker each. With 10,000 tokens each answer is worked out anew."
    bench.tell("The sidecar alone", note, runs)
    at = {name: rates(own) for name, own in runs.items()}
    hello_rate = at["Starlette hello world"]
    for name, figure in at.items():
        share = ratio(figure, hello_rate)
        bench.results.shares.append(Share("÷ Starlette hello world", name, share, name.startswith("/")))
    cached = at["/validate, credential cached"]
    same = ratio(at["/validate, policy of 1,000 servers"], cached)
    anew = ratio(
        at["/validate, 10,000 tokens, policy of 1,000 servers"], at["/validate, 10,000 tokens in turn"]
    )
    worse = min(same, anew, key=lambda spread: spread.median)
    by_cpu = ratio(costs(runs["Starlette hello world"]), costs(runs["/validate, credential cached"]))
    other = per_core(runs["/validate, 10,000 tokens in turn"], "python")
    bench.results.sizing["sidecar, known token, another question: one core"] = other
    bench.results.measured["validate"] = Measured(ratio(cached, hello_rate), by_cpu)
    bench.results.measured["policy"] = Measured(worse)


def first_seen(bench: Bench) -> None:
    """Compare tokens that nobody has seen with PyJWT's decode of the same tokens."""
    shop = bench.workshop
    questions = bench.questions(len(bench.credentials.tokens))
    posts = bench.posts(len(bench.credentials.tokens))
    pairs = [bench.quietest(lambda: _ask(bench, shop.sidecar, questions)) for _ in range(bench.rounds)]
    through = [bench.quietest(lambda: _ask(bench, shop.gateway, posts))[1] for _ in range(bench.rounds)]
    asked = [run for _, run in pairs]
    decode = Spread(tuple(one.wall for one, _ in pairs))
    decode_cpu = Spread(tuple(one.cpu for one, _ in pairs))
    wall = Spread(tuple(1 / run.rate for run in asked))
    rows = [
        ("PyJWT decode alone, time of one", decode.show(1, " µs", 1e6), "1.00"),
        ("PyJWT decode alone, processor time of one", decode_cpu.show(1, " µs", 1e6), "1.00"),
        ("/validate, time of one", wall.show(1, " µs", 1e6), f"{ratio(wall, decode).median:.2f}"),
        (
            "/validate, processor time of one",
            costs(asked).show(1, " µs", 1e6),
            f"{ratio(costs(asked), decode_cpu).median:.2f}",
        ),
        ("through the gateway, requests/s", rates(through).show(0), ""),
    ]
    note = "Every token is sent once, to a sidecar that has just started."
    bench.results.tables.append(
        Table("First-seen tokens", note, ("", "median (least-most)", "÷ PyJWT"), rows)
    )
    bench.results.sizing["sidecar, first-seen tokens: one core"] = per_core(asked, "python")
    bench.results.measured["first-seen"] = Measured(ratio(wall, decode), ratio(costs(asked), decode_cpu))


def _ask(
    bench: Bench, start: Callable[[str], AbstractContextManager[Server]], sent: Requests
) -> tuple[_Decode, Run]:
    """Send each token once to what has just started; beside it PyJWT, the mean of before and after."""
    before = _decode(bench.credentials)
    with start("new") as server:
        until_it_answers(server, sent)
        run = load.run(server, sent, 1, once=True)
    after = _decode(bench.credentials)
    return _Decode((before.wall + after.wall) / 2, (before.cpu + after.cpu) / 2), run


def start(bench: Bench) -> None:
    """Measure from the start of `serve` to its first 200."""
    shop = bench.workshop
    question = bench.questions()

    def once() -> float:
        port = processes.free_port()
        began = time.perf_counter()
        command, environ = servers.serve(port), shop.settings()
        with processes.started(
            "serve", command, port, shop.folder, environ=environ, ready=lambda _: True
        ) as server:
            until_it_answers(server, question)
            return time.perf_counter() - began

    figure = Spread(tuple(bench.quietest(once) for _ in range(bench.rounds)))
    bench.results.measured["start"] = Measured(figure)


def _decode(credentials: Credentials) -> _Decode:
    key, tokens = credentials.key, credentials.tokens[:2000]
    wall, cpu = time.perf_counter(), time.process_time()
    for token in tokens:
        jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER)
    return _Decode((time.perf_counter() - wall) / len(tokens), (time.process_time() - cpu) / len(tokens))
