"""What a run found, in words and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.suite import Run

BEGIN, END = "<!-- written by `make conformance` -->", "<!-- end -->"

# Checks that the contract does not let through, and why.
FORBIDDEN: dict[str, str] = {}


@dataclass(frozen=True)
class Result:
    """One server and revision, twice."""

    server: str
    revision: str
    direct: Run
    through: Run

    @property
    def lost(self) -> list[str]:
        """What passes direct and not through."""
        return sorted(self.direct.passed - self.through.passed)

    @property
    def unexplained(self) -> list[str]:
        """What of it the contract does not explain."""
        return [name for name in self.lost if name not in FORBIDDEN]


def told(result: Result) -> str:
    """Say it in lines, with the suite's reasons."""
    lines = [_row(result)]
    why = {check.name: f"{check.status}: {check.why}" for check in result.through.checks}
    lines += [f"  lost: {name}: {why.get(name, 'not checked')}" for name in result.lost]
    gained = sorted(result.through.passed - result.direct.passed)
    lines += [f"  passes through alone: {name}" for name in gained]
    return "\n".join(lines)


def table(results: list[Result]) -> str:
    """Return the table."""
    head = "| server | revision | checks passed direct | through | exit code direct, through | lost |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *map(_row, results)])


def write(page: Path, results: list[Result]) -> None:
    """Write the table into the page, between its marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")


def _row(result: Result) -> str:
    counts = [
        f"{len(run.passed)} of {len(run.passed | run.failed)}" for run in (result.direct, result.through)
    ]
    codes = f"{result.direct.exit_code}, {result.through.exit_code}"
    lost = "; ".join(f"`{name}`" for name in result.lost) or "none"
    return f"| {' | '.join((result.server, result.revision, *counts, codes, lost))} |"
