"""The official suite as a command, and what its runs found."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.clean_environment import clean_environment
from support.repository import ROOT

# What `make` installs, by requirements/node.lock and package-lock.json.
HOME = ROOT / ".state" / "conformance"
NODE = HOME / "bin" / "node"
SUITE = HOME / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

# 2025-06-18 has no list of requirements of its own.
REVISIONS = {
    "2025-06-18": ("--suite", "all", "--spec-version", "2025-06-18"),
    "2025-11-25": ("--requirements", "2025-11-25"),
    "2026-07-28": ("--requirements", "2026-07-28"),
}
GOOD = "SUCCESS"
_BAD = frozenset({"FAILURE", "WARNING"})


@dataclass(frozen=True)
class Check:
    """What the suite says of one requirement. A scenario may check one of them several times."""

    scenario: str
    id: str
    number: int
    status: str
    why: str = ""

    @property
    def name(self) -> str:
        """What tells it from all others of a run."""
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.scenario}: {self.id}{again}"


@dataclass(frozen=True)
class Run:
    """One run of the suite."""

    checks: tuple[Check, ...]
    exit_code: int

    @property
    def passed(self) -> frozenset[str]:
        """The names of the checks that passed."""
        return frozenset(check.name for check in self.checks if check.status == GOOD)

    @property
    def failed(self) -> frozenset[str]:
        """The names of the checks that failed, or that the suite warns of."""
        return frozenset(check.name for check in self.checks if check.status in _BAD)


def run(url: str, revision: str, *more: str) -> Run:
    """Run the suite against a server."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(NODE), str(SUITE), "server", "--url", url, *REVISIONS[revision], *more]
        done = subprocess.run(
            [*command, "--output-dir", folder],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        checks = read(Path(folder))
    if not checks:
        raise RuntimeError(f"the suite checked nothing:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Run(checks, done.returncode)


def read(folder: Path) -> tuple[Check, ...]:
    """Read what a run left in its folder: for each scenario a folder, whose name ends in the time."""
    found: list[Check] = []
    for file in sorted(folder.glob("server-*/checks.json")):
        scenario = file.parent.name.removeprefix("server-")[: -len("-2026-01-01T00-00-00-000Z")]
        seen: Counter[str] = Counter()
        for check in json.loads(file.read_text()):
            seen[check["id"]] += 1
            why = str(check.get("errorMessage") or "")
            found.append(Check(scenario, check["id"], seen[check["id"]], check["status"], why))
    return tuple(found)
