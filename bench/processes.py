"""Processes: started, asked what they cost (by /proc), and stopped for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Server:
    """Something that listens on a port of this machine; `pid` is the first of its processes."""

    name: str
    port: int
    pid: int
    log: Path

    def cpu(self) -> dict[str, float]:
        """Return the seconds of processor time that it has used so far, by the name of its programs."""
        used: dict[str, float] = {}
        for pid in family(self.pid):
            with contextlib.suppress(OSError):
                program = _program(pid)
                used[program] = used.get(program, 0.0) + cpu(pid)
        return used

    def memory(self, part: str = "") -> int:
        """Return the resident bytes (VmRSS) of those of its processes whose command line holds this text."""
        return sum(resident(pid) for pid in self.processes(part))

    def processes(self, part: str) -> list[int]:
        """Return those of its processes whose command line holds this text."""
        return [pid for pid in family(self.pid) if part in _command(pid)]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(**ours: str) -> dict[str, str]:
    """Return what a child inherits: nothing of this machine's settings for the product."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**inherited, "PYTHONPATH": str(Path(__file__).parent.parent), **ours}


@contextlib.contextmanager
def started(  # noqa: PLR0913 - all of them keyword options but the first four
    name: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    ready: Callable[[Path], bool] | None = None,
) -> Iterator[Server]:
    """Run a server until it listens, or `ready` says so of its log; end it and its descendants after."""
    log = folder / f"{name}-{port}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            env=dict(environ or environment()),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=errors if ready else subprocess.DEVNULL,  # access logs are written, and kept nowhere
            stderr=errors,
            start_new_session=True,
        )
    server = Server(name, port, process.pid, log)
    try:
        deadline = time.monotonic() + 60
        while not (ready(log) if ready else listens(port)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)  # between two looks at another process
        yield server
    finally:
        _stop(process)


def listens(port: int) -> bool:
    """Tell whether a connection to this port is accepted."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(pid: int) -> list[int]:
    """Return this process and all its descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for known in found:  # grows while it is walked
        found.extend(child for child, parent in parents.items() if parent == known)
    return found


def cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def others() -> float:
    """Return the seconds of processor time that programs not started from here have used so far."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    busy = (sum(ticks) - idle - waiting) / os.sysconf("SC_CLK_TCK")
    running = sum(cpu(pid) for pid in family(os.getpid()))
    return busy - running - of_ended_children()


def of_ended_children() -> float:
    """Return the seconds of processor time that this process's children used which have ended."""
    ended = os.times()
    return ended.children_user + ended.children_system


def cpu(pid: int) -> float:
    """Return the processor time of all threads, in seconds, to the nanosecond."""
    used = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that ends meanwhile
            used += int(task.read_text().split()[0])
    return used / 1e9


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has now (VmRSS)."""
    return _memory(pid, "VmRSS")


def peak(pid: int) -> int:
    """Return the most that it ever had (VmHWM), or had since `forget_peak`."""
    return _memory(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin anew, from what the process has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _stop(process: subprocess.Popen[bytes]) -> None:
    left = family(process.pid)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(10)


def _memory(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))


def _program(pid: int) -> str:
    """Return the program's name. nginx says its own, also where another program has started it."""
    return "nginx" if "nginx: " in _command(pid) else Path(f"/proc/{pid}/comm").read_text().strip()


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
