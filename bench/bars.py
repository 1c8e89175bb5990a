"""What the gateway must reach, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.results import Spread


@dataclass(frozen=True, slots=True)
class Bar:
    """What the median of a figure must reach: at least `limit`, or at most."""

    key: str
    what: str
    at_least: bool
    limit: float
    digits: int = 2
    unit: str = ""

    @property
    def said(self) -> str:
        """The bar as it is read: ≥ 0.70."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:.{self.digits}f}{self.unit}"

    def verdict(self, figure: Spread | None) -> str:
        """Return pass, falls short or not measured."""
        if figure is None:
            return "not measured"
        holds = figure.median >= self.limit if self.at_least else figure.median <= self.limit
        return "pass" if holds else "falls short"


def _least(key: str, what: str, limit: float) -> Bar:
    return Bar(key, what, at_least=True, limit=limit)


def _most(key: str, what: str, limit: float, digits: int = 2, unit: str = "") -> Bar:
    return Bar(key, what, at_least=False, limit=limit, digits=digits, unit=unit)


BARS = (
    _least("hot", "gateway, hot decision ÷ bare nginx", 0.70),
    _least("hot-envoy", "gateway, hot decision ÷ Envoy jwt_authn with its cache", 1.10),
    _least("uncached", "gateway, decision cache off ÷ bare nginx", 0.45),
    _least("validate", "/validate, credential cached ÷ Starlette hello world", 0.92),
    _most("first-seen", "/validate, first-seen tokens: time ÷ PyJWT decode alone", 1.6),
    _most("p50", "added latency at 2,000/s, hot: p50", 0.10, 3, " ms"),
    _most("p99", "added latency at 2,000/s, hot: p99", 0.5, 3, " ms"),
    _least("policy", "/validate, policy 1,000 × 50 × 200 ÷ policy of 5 (the worse of two)", 0.95),
    _least("1-mb", "1 MB bodies, gateway ÷ bare nginx", 0.50),
    _most("memory", "memory per worker, 10,000 cached tokens (RSS)", 80, 1, " MB"),
    _most("start", "start to first 200 of `serve`", 0.8, 2, " s"),
)
