"""How figures are made: contenders in turn, in one order and then in the other, and what their runs say."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bench import load, messages, processes
from bench.results import QUIET, Results, Spread, Table, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.credentials import Credentials
    from bench.load import Requests, Run
    from bench.processes import Server
    from bench.servers import Workshop

T = TypeVar("T")

MANY = 10_000

_LOAD_COLUMNS = (
    "",
    "requests/s (least-most)",
    "÷ first row",
    "processor µs per request",
    "requests/s of a whole core",
    "of which",
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, and what it is sent."""

    name: str
    server: Server
    requests: Requests


@dataclass(frozen=True, slots=True)
class Bench:
    """How long to measure, and with what."""

    workshop: Workshop
    credentials: Credentials
    results: Results
    rounds: int
    seconds: float
    attempts: int
    patience: float  # the time.monotonic() after which nothing is measured twice

    def requests(self, made: Sequence[bytes], *, status: int = 200) -> Requests:
        """Write requests for wrk."""
        return load.write(self.workshop.folder, made, status=status)

    def posts(self, tokens: int = 1, size: int = 130) -> Requests:
        """Return calls of a tool through a proxy, with so many distinct tokens."""
        body = messages.tools_call(size)
        return self.requests(
            [messages.post(messages.bearer(token), body) for token in self.credentials.tokens[:tokens]]
        )

    def questions(self, tokens: int = 1) -> Requests:
        """Return what nginx asks the sidecar, with so many distinct tokens."""
        own, body = self.credentials.tokens[:tokens], messages.tools_call(130)
        return self.requests([messages.validate(messages.bearer(token), body) for token in own])

    def alternate(self, contenders: Sequence[Contender]) -> dict[str, list[Run]]:
        """Load each in turn, in one order and then in the other, for all rounds."""
        for contender in contenders:
            warm(contender)
        runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        for number in range(self.rounds):
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                runs[contender.name].append(self.quietest(partial(self._load, contender)))
        return runs

    def quietest(self, measure: Callable[[], T]) -> T:
        """Measure until other programs hardly disturb it, a few times at most; the least disturbed counts."""
        tries: list[tuple[float, T]] = []
        while not tries or (
            tries[-1][0] > QUIET and len(tries) < self.attempts and time.monotonic() < self.patience
        ):
            began, before = time.monotonic(), processes.others()
            found = measure()
            used = processes.others() - before
            tries.append((used / (time.monotonic() - began) / processes.cpus(), found))
        share, found = min(tries, key=lambda one: one[0])
        self.results.disturbance.append(share)
        return found

    def _load(self, contender: Contender) -> Run:
        return load.run(contender.server, contender.requests, self.seconds)

    def tell(self, title: str, note: str, runs: dict[str, list[Run]]) -> None:
        """Add a table of throughputs."""
        first = rates(next(iter(runs.values())))
        rows = [
            (
                name,
                rates(own).show(0),
                f"{ratio(rates(own), first).median:.2f}",
                f"{costs(own).median * 1e6:.0f}",
                f"{1 / costs(own).median:,.0f}",
                _programs(own),
            )
            for name, own in runs.items()
        ]
        self.results.tables.append(Table(title, note, _LOAD_COLUMNS, rows))


def rates(runs: Sequence[Run]) -> Spread:
    """Return the throughputs."""
    return Spread(tuple(run.rate for run in runs))


def costs(runs: Sequence[Run]) -> Spread:
    """Return the processor times of one request."""
    return Spread(tuple(run.cpu_each for run in runs))


def costs_of(runs: Sequence[Run], program: str) -> Spread:
    """Return this program's processor times of one request."""
    return Spread(tuple(run.cpu[program] for run in runs))


def per_core(runs: Sequence[Run], program: str) -> str:
    """Say what one core of this program alone can answer."""
    each = costs_of(runs, program).median
    return f"{1 / each:,.0f} requests/s ({each * 1e6:.0f} µs each)"


def warm(contender: Contender) -> None:
    """Wait until it answers, and load it once for nothing."""
    until_it_answers(contender.server, contender.requests)
    load.run(contender.server, contender.requests, 1)


def until_it_answers(server: Server, requests: Requests) -> None:
    """Ask until the answer is the one that is meant, half a minute at most."""
    deadline = time.monotonic() + 30
    while True:
        try:
            load.probe(server, requests)
        except (OSError, load.WrongAnswerError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)  # between two questions
        else:
            return


def _programs(runs: Sequence[Run]) -> str:
    names = {name for run in runs for name in run.cpu}
    each = {
        name: Spread(tuple(run.cpu.get(name, 0.0) for run in runs)).median * 1e6 for name in sorted(names)
    }
    return ", ".join(f"{name} {micro:.0f}" for name, micro in each.items() if micro >= 0.5)  # noqa: PLR2004 - rounds to 1
