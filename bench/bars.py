"""What the gateway must reach, what it aims at, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.results import Measured


@dataclass(frozen=True, slots=True)
class Bar:
    """What the median of a figure must reach, and what would be good: values not to fall below, or to exceed.

    `by_cpu` says that the figure is one of processor time.
    """

    key: str
    what: str
    least: float
    aim: float
    by_cpu: bool = False
    digits: int = 2
    unit: str = ""

    def said(self, limit: float) -> str:
        """Write one of the two as it is read: ≥ 0.38, ≤ 1.60."""
        return f"{'≤' if self.aim < self.least else '≥'} {limit:.{self.digits}f}{self.unit}"

    def verdict(self, measured: Measured | None) -> str:
        """Return aim, least, falls short or not measured."""
        if measured is None:
            return "not measured"
        figure = measured.by_cpu if self.by_cpu else measured.by_time
        if figure is None:
            raise ValueError(f"{self.key} was measured, but not by what its bar is about")
        sign = -1 if self.aim < self.least else 1
        if sign * figure.median >= sign * self.aim:
            return "aim"
        return "least" if sign * figure.median >= sign * self.least else "falls short"


BARS = (
    Bar("gateway", "gateway ÷ bare nginx", 0.38, 0.45),
    Bar("nginx", "nginx's processor time ÷ bare nginx's", 1.8, 1.6, by_cpu=True),
    Bar("sidecar", "sidecar's processor time, known token ÷ Starlette hello world's", 1.1, 0.9, by_cpu=True),
    Bar("envoy", "gateway ÷ Envoy with JWT cache and a tool check in Lua", 1.6, 2.0),
    Bar("p50", "added latency at 2,000/s: p50", 0.15, 0.10, digits=3, unit=" ms"),
    Bar("p99", "added latency at 2,000/s: p99", 1.0, 0.5, digits=3, unit=" ms"),
    Bar("1-mb", "messages of 1 MB, gateway ÷ bare nginx", 0.30, 0.45),
    Bar("first-seen", "first-seen tokens, time ÷ PyJWT decode", 2.0, 1.6),
    Bar("workers", "two sidecar workers ÷ one", 1.6, 1.9),
    Bar("policy", "policy of 1,000 × 50 × 200 ÷ policy of 5", 0.95, 1.0),
    Bar("lines", "lines of all files in nginx/", 400, 250, digits=0),
)
