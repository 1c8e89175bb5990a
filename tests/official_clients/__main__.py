"""Run each client against a server, direct and through a gateway, and write the table: `make clients`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from conformance.report import put
from support.clean_environment import clean_environment
from support.door import mint
from support.repository import ROOT

from official_clients import inspector, surroundings, verdict

HERE = Path(__file__).parent
HOME = ROOT / ".state" / "clients"
NODE = ROOT / ".state" / "conformance" / "bin" / "node"

# Each client's name, as the table has it, the command that it is started by, and the eras that it speaks.
CLIENTS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "Python, mcp 2": ([sys.executable, str(HERE / "python2.py")], ("legacy", "modern")),
    "Python, mcp 1": ([str(HOME / "mcp1/bin/python"), str(HERE / "elsewhere/python1.py")], ("legacy",)),
    "TypeScript 2": ([str(NODE), str(HOME / "typescript2.mjs")], ("legacy", "modern")),
    "TypeScript 1": ([str(NODE), str(HOME / "typescript1.mjs")], ("legacy",)),
    "fastmcp": (
        [str(HOME / "fastmcp/bin/python"), str(HERE / "elsewhere/with_fastmcp.py")],
        ("legacy", "modern"),
    ),
    "Inspector's CLI": ([], ("legacy", "modern")),
}
BEGIN, END = "<!-- written by `make clients` -->", "<!-- end of what `make clients` wrote -->"


def main() -> int:
    """Return 1 where a client can do something direct and not through the gateway."""
    parser = argparse.ArgumentParser(prog="official_clients")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), help="one alone; may be repeated")
    parser.add_argument("--out", type=Path, help="the page whose table is written anew")
    options = parser.parse_args()
    rows: list[verdict.Row] = []
    with ExitStack() as stack:
        os.environ["STATE_DIRECTORY"] = stack.enter_context(tempfile.TemporaryDirectory())
        direct, through, ended = stack.enter_context(surroundings.started())
        for name in options.client or CLIENTS:
            for era in CLIENTS[name][1]:
                seen = []
                for url in (direct, through):
                    before = ended()
                    found = run(name, url, era)
                    seen.append(found | {"DELETE": ended() > before})
                rows.append(
                    verdict.Row(name, era, *(verdict.of(s, era, cut=i == 1) for i, s in enumerate(seen)))
                )
                print(rows[-1].told(), flush=True)
    if options.out:
        put(options.out, BEGIN, END, verdict.table(rows))
    return 1 if any(row.unexplained for row in rows) else 0


def run(name: str, url: str, era: str) -> dict[str, object]:
    """Return what a client says it saw."""
    command = CLIENTS[name][0]
    if not command:
        return inspector.run(NODE, HOME, url, mint(), era)
    done = subprocess.run(
        [*command, url, mint(), era],
        env=clean_environment() | {"PYTHONPATH": str(HERE.parent)},  # for `steps`
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"error": done.stderr[-1500:]}
    found: dict[str, object] = json.loads(lines[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
