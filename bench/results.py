"""What a run found: tables, shares for the chart, and the figures that stand against a bar."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

QUIET = 0.05  # of the machine: what other programs may use while something is measured


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over several rounds; its median stands for it."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.values)

    def show(self, digits: int, unit: str = "", factor: float = 1) -> str:
        """Write median, least and most."""
        low, high = min(self.values) * factor, max(self.values) * factor
        return f"{self.median * factor:,.{digits}f}{unit} ({low:,.{digits}f}-{high:,.{digits}f})"


def ratio(over: Spread, under: Spread) -> Spread:
    """Divide round by round, so that a slow moment of the machine is in both."""
    return Spread(tuple(a / b for a, b in zip(over.values, under.values, strict=True)))


def difference(of: Spread, minus: Spread) -> Spread:
    """Subtract round by round."""
    return Spread(tuple(a - b for a, b in zip(of.values, minus.values, strict=True)))


@dataclass(frozen=True, slots=True)
class Measured:
    """What stands against a bar: by throughput or latency, by processor time, or both."""

    by_time: Spread | None = None
    by_cpu: Spread | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind; the first column names what was measured."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Share:
    """One bar of the chart: a throughput as a share of something else's."""

    panel: str
    name: str
    figure: Spread
    ours: bool


@dataclass(slots=True)
class Results:
    """All that was found, in the order in which it is told."""

    measured: dict[str, Measured] = field(default_factory=dict)  # by the key of the bar
    tables: list[Table] = field(default_factory=list)
    sizing: dict[str, str] = field(default_factory=dict)  # what a deployment is sized by
    shares: list[Share] = field(default_factory=list)
    disturbance: list[float] = field(default_factory=list)  # others' share of the machine, run by run

    @property
    def disturbed(self) -> bool:
        """Whether other programs used so much of the machine that its figures are not its own."""
        return bool(self.disturbance) and statistics.median(self.disturbance) > QUIET
