"""What runs: descendants of a process by /proc, and how to tell that they are gone."""

from __future__ import annotations

import contextlib
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return all processes under this one, without it."""
    children = parents()
    found: list[int] = []
    todo = [pid]
    while todo:
        own = [child for child, parent in children.items() if parent == todo[0]]
        todo = [*todo[1:], *own]
        found += own
    return found


def parents() -> dict[int, int]:
    """Return the parent of every process that is not a zombie."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(stat.parent.name)] = int(parent)
    return found


def command(pid: int) -> str:
    """Return a process's command line; empty where it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return ""


def alive(pids: list[int]) -> list[int]:
    """Return those that still run."""
    running = parents()
    return [pid for pid in pids if pid in running]
