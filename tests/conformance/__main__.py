"""Run the suite against each server, direct and through a gateway, and write what it found: `make conformance`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from conformance import report, servers, suite


def main() -> int:
    """Return 1 where something passes direct and not through."""
    options = _options()
    results: list[report.Result] = []
    with ExitStack() as stack:
        os.environ["STATE_DIRECTORY"] = stack.enter_context(tempfile.TemporaryDirectory())
        bases = {name: stack.enter_context(servers.serving(name)) for name in options.server}
        paths = {name: name.lower().replace(" ", "-") for name in bases}
        gateway = stack.enter_context(
            servers.behind_a_gateway({paths[name]: base for name, base in bases.items()})
        )
        for name, base in bases.items():
            for revision in options.revision:
                direct = suite.run(f"{base}/mcp", revision)
                through = suite.run(f"{gateway}/{paths[name]}/mcp", revision)
                results.append(report.Result(name, revision, direct, through))
                print(report.told(results[-1]), flush=True)
    if options.out:
        report.write(options.out, results)
    return 1 if any(result.unexplained for result in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance")
    parser.add_argument("--server", action="append", choices=servers.NAMES, help="one alone; may be repeated")
    parser.add_argument("--revision", action="append", choices=list(suite.REVISIONS), help="likewise")
    parser.add_argument("--out", type=Path, help="the page whose table is written anew")
    options = parser.parse_args()
    options.server = options.server or list(servers.NAMES)
    options.revision = options.revision or list(suite.REVISIONS)
    return options


if __name__ == "__main__":
    sys.exit(main())
