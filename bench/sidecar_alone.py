"""Figures of the sidecar alone, asked as nginx asks it: beside Starlette and PyJWT, and with two workers."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt

from bench import load, processes
from bench.credentials import ISSUER
from bench.results import Measured, Share, Spread, Table, ratio
from bench.rounds import MANY, Contender, costs, per_core, rates, until_it_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
                Contender("/validate", small, one),
                Contender("/validate, policy of 1,000 servers", large, one),
                Contender("/validate, 10,000 tokens in turn", small, many),
                Contender("FastAPI + requests + PyJWT", naive, one),
            ]
        )
    note = "Over TCP, without nginx, one worker each, all sent what nginx sends about a call of 130 bytes."
    bench.tell("The sidecar alone", note, runs)
    at = {name: rates(own) for name, own in runs.items()}
    for name, figure in at.items():
        share = ratio(figure, at["Starlette hello world"])
        bench.results.shares.append(Share("÷ Starlette hello world", name, share, name.startswith("/")))
    greeted, known = runs["Starlette hello world"], runs["/validate"]
    by_large = runs["/validate, policy of 1,000 servers"]
    bench.results.measured |= {
        "sidecar": Measured(ratio(rates(greeted), rates(known)), ratio(costs(known), costs(greeted))),
        "policy": Measured(ratio(rates(by_large), rates(known)), ratio(costs(known), costs(by_large))),
    }
    many_known = per_core(runs["/validate, 10,000 tokens in turn"], "python")
    bench.results.sizing["sidecar, many known tokens: one core"] = many_known


def workers(bench: Bench) -> None:
    """Compare two workers of the sidecar with one."""
    shop = bench.workshop
    asked = bench.questions()
    with shop.sidecar("one") as one, shop.sidecar("two", workers=2) as two:
        runs = bench.alternate(
            [Contender("one worker", one, asked), Contender("two workers", two, asked)],
        )
    bench.tell("Two workers of the sidecar", "Over TCP, without nginx: it would be the limit.", runs)
    single, double = runs["one worker"], runs["two workers"]
    undivided = ratio(_undivided(double, 2), _undivided(single, 1))
    rows = [
        ("throughput, two ÷ one, as measured", ratio(rates(double), rates(single)).show(2)),
        ("cores that the generator took beside two", Spread(tuple(run.generator for run in double)).show(2)),
        ("two ÷ one, had the generator taken none of the workers' cores", undivided.show(2)),
    ]
    note = (
        "Where there are no cores for the generator, it takes a part of the workers'. The last row extends "
        "the rate to whole cores by what the kernel counted for the generator; time in which a worker waits "
        "stays lost."
    )
    table = Table("Two workers: the generator's share", note, ("", "median (least-most)"), rows)
    bench.results.tables.append(table)
    bench.results.measured["workers"] = Measured(undivided)


def _undivided(runs: Sequence[Run], workers: int) -> Spread:
    """Return the throughputs, had the generator left each worker a whole core."""
    return Spread(tuple(run.rate * workers / min(workers, processes.cpus() - run.generator) for run in runs))


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


def _decode(credentials: Credentials) -> _Decode:
    key, tokens = credentials.key, credentials.tokens[:2000]
    wall, cpu = time.perf_counter(), time.process_time()
    for token in tokens:
        jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER)
    return _Decode((time.perf_counter() - wall) / len(tokens), (time.process_time() - cpu) / len(tokens))
