"""`python -m bench`: measure, tell, and write bench/results.md and bench/results.svg."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import credentials, figures, report, servers
from bench.load import WrongAnswerError
from bench.results import Results
from bench.rounds import Bench

_ROUNDS, _SECONDS = 5, 2.0
_ATTEMPTS = 4  # of a run that other programs disturb
_PATIENCE = 600.0  # seconds, after which they are taken as they come
_QUICK_ROUNDS, _QUICK_SECONDS = 1, 1.0
_QUICK_FIGURES = ["proxies", "sidecar", "workers", "first-seen", "latency", "payloads", "lines"]


def main() -> int:
    """Run the figures that were asked for; the exit code says whether each could be measured, no more."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of what stops the servers
    servers.open_files()
    results = Results()
    failed = []
    began = time.monotonic()
    signed = credentials.load()
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=_memory()) as folder,
        servers.workshop(Path(folder), signed.jwks) as shop,
    ):
        attempts = 1 if arguments.quick else _ATTEMPTS
        bench = Bench(shop, signed, results, arguments.rounds, arguments.seconds, attempts, began + _PATIENCE)
        for name in arguments.figures:
            told = len(results.tables)
            print(f"[{time.monotonic() - began:4.0f} s] {name}", file=sys.stderr, flush=True)
            try:
                figures.FIGURES[name](bench)
            except (WrongAnswerError, RuntimeError, OSError) as error:
                failed.append(name)
                print(f"{name} could not be measured: {error}", file=sys.stderr)
            print(report.text(results.tables[told:]), flush=True)
    print(report.text([report.bars(results), *report.sizing(results)]))
    if disturbed := report.disturbance(results):
        print(disturbed, file=sys.stderr)
    if arguments.out:
        about = report.machine(arguments.rounds, arguments.seconds, disturbed)
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "results.md").write_text(report.markdown(results, about))
        if results.shares:
            from bench import chart  # matplotlib, which no figure needs

            chart.draw(results.shares, arguments.out / "results.svg")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the gateway beside others.")
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(figures.FIGURES)} (default all)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under two minutes")
    parser.add_argument("--rounds", type=int, help=f"rounds of each comparison (default {_ROUNDS})")
    parser.add_argument("--seconds", type=float, help=f"of load in each round (default {_SECONDS:g})")
    parser.add_argument(
        "--out", type=Path, help="folder for results.md and results.svg (default: print only)"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.figures) - figures.FIGURES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    quick = arguments.quick
    arguments.figures = arguments.figures or (_QUICK_FIGURES if quick else list(figures.FIGURES))
    arguments.rounds = arguments.rounds or (_QUICK_ROUNDS if quick else _ROUNDS)
    arguments.seconds = arguments.seconds or (_QUICK_SECONDS if quick else _SECONDS)
    return arguments


def _memory() -> str | None:
    """Return a folder in memory, as the gateway itself uses one: no figure waits for a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
