"""Where the time goes: perf's samples of processor time, by program and by the library that it was in."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

from bench import load
from bench.results import Table
from bench.rounds import MANY, Contender, warm

if TYPE_CHECKING:
    from bench.processes import Server
    from bench.rounds import Bench

_SECONDS = 4
_LEAST = 0.01  # of the samples; what has less is added up


def profile(bench: Bench) -> None:
    """Sample nginx and the sidecar."""
    if shutil.which("perf") is None:
        raise RuntimeError("perf is not installed (Debian: apt-get install linux-perf)")
    shop = bench.workshop
    rows = []
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(shop.gateway("gateway"))
        sidecar = stack.enter_context(shop.sidecar("sidecar"))
        for contender in (
            Contender("gateway", gateway, bench.posts()),
            Contender("gateway, 1 MB", gateway, bench.posts(size=1_000_000)),
            Contender("/validate", sidecar, bench.questions()),
            Contender("/validate, 10,000 tokens in turn", sidecar, bench.questions(MANY)),
        ):
            warm(contender)
            rows.append((contender.name, _sampled(bench, contender)))
    note = "Samples of perf's task-clock, by the program and the library or kernel that was running."
    bench.results.tables.append(Table("Where the time goes", note, ("", "share of processor time"), rows))


def _sampled(bench: Bench, contender: Contender) -> str:
    data = bench.workshop.folder / "perf.data"
    pids = ",".join(str(pid) for pid in _busy(contender.server))
    command = ["perf", "record", "-q", "-e", "task-clock", "-F", "997", "-o", str(data), "-p", pids]
    with subprocess.Popen(
        [*command, "--", "sleep", str(_SECONDS - 1)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as perf:
        load.run(contender.server, contender.requests, _SECONDS)
        _, said = perf.communicate()
    if perf.returncode:
        raise RuntimeError(f"perf failed: {said.decode(errors='replace')[-300:]}")
    report = ["perf", "script", "-i", str(data), "-F", "comm,ip,dso"]
    lines = subprocess.run(report, capture_output=True, text=True, check=True).stdout.splitlines()
    counted = Counter(place for line in lines if (place := _place(line)))
    total = counted.total()
    often = [(place, count) for place, count in counted.most_common() if count >= total * _LEAST]
    rest = total - sum(count for _, count in often)
    shares = [f"{place} {count / total:.0%}" for place, count in often]
    return ", ".join([*shares, *([f"others {rest / total:.0%}"] if rest else [])])


def _place(line: str) -> str:
    """Read `python 55d0c0 (/usr/lib/libc.so.6)` as `python: libc.so.6`."""
    program, _, rest = line.strip().partition(" ")
    library = rest.rpartition("(")[2].rstrip(")").rpartition("/")[2]
    return f"{program}: {'kernel' if library.startswith('[kernel') else library}" if library else ""


def _busy(server: Server) -> list[int]:
    """Return the workers, not those that supervise them."""
    return server.processes("nginx: worker") + server.processes("auth_server serve")
