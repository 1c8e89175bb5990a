"""wrk: as many requests as a server takes, over 16 connections, every answer's status counted."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.processes import Server

CONNECTIONS = 16
_LONGEST = 8.0  # seconds
_SCRIPT = Path(__file__).with_name("load.lua")


class WrongAnswerError(Exception):
    """A server answered otherwise than the figure is about, so there is no figure."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in a file for wrk, and the status that each must have."""

    file: Path
    count: int
    first: bytes
    status: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of wrk gave.

    `cpu` is the processor time of each request, by program, in seconds; `generator` is how many cores wrk
    itself kept busy.
    """

    requests: int
    seconds: float
    cpu: dict[str, float]
    generator: float

    @property
    def rate(self) -> float:
        """Requests in a second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """Processor time of one request, in seconds, all programs of the server together."""
        return sum(self.cpu.values())


def write(folder: Path, messages: Sequence[bytes], *, status: int = 200) -> Requests:
    """Write requests to a file, in the order in which wrk sends them, round and round."""
    data = b"".join(b"%d\n%b" % (len(message), message) for message in messages)
    file = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.requests"
    file.write_bytes(data)
    return Requests(file, len(messages), messages[0], status)


def run(server: Server, requests: Requests, seconds: float, *, once: bool = False) -> Run:
    """Load a server; raises WrongAnswerError where any answer is not the one that is meant.

    With `once`, no request may have been sent twice.
    """
    probe(server, requests)
    while True:
        before, own = server.cpu(), processes.of_ended_children()
        said = _wrk(server.port, requests, seconds)
        after, wrk = server.cpu(), processes.of_ended_children() - own
        count = int(said["requests"])
        if count >= CONNECTIONS or seconds > _LONGEST:
            break
        seconds *= 2  # large bodies: each connection should have had an answer
    wrong = count if said["status"] != (0 if requests.status < 400 else count) else 0  # noqa: PLR2004 - errors
    broken = sum(int(said[name]) for name in ("connect", "read", "write", "timeout"))
    if count == 0:
        raise WrongAnswerError(f"{server.name}: no answer within {seconds:g} s")
    if wrong or broken:
        raise WrongAnswerError(f"{server.name}: not all answers were {requests.status}: {said}")
    if once and count + CONNECTIONS > requests.count:
        raise WrongAnswerError(f"{server.name}: {count} requests in one run, only {requests.count} prepared")
    probe(server, requests)
    used = {name: (after[name] - before.get(name, 0.0)) / count for name in after}
    return Run(count, said["seconds"], used, wrk / said["seconds"])


def probe(server: Server, requests: Requests) -> bytes:
    """Send the first request once, check its status to the digit, and return the whole answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(requests.first)
        answer = read_answer(client)
    status = int(answer.split(b" ", 2)[1])
    if status != requests.status:
        raise WrongAnswerError(f"{server.name}: expected {requests.status}, got {answer[:500]!r}")
    return answer


def read_answer(client: socket.socket) -> bytes:
    """Read one answer that has a length, or comes in chunks."""
    answer = b""
    while more := client.recv(1 << 16):
        answer += more
        head, gap, body = answer.partition(b"\r\n\r\n")
        if not gap:
            continue
        if answer.split(b" ", 2)[1] == b"204":
            break
        lines = head.lower().split(b"\r\n")
        lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
        if len(body) >= lengths[0] if lengths else body.endswith(b"0\r\n\r\n"):
            break
    return answer


def _wrk(port: int, requests: Requests, seconds: float) -> dict[str, float]:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is not installed (Debian, Ubuntu: apt-get install wrk)")
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
    command = [wrk, *options, "-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", str(requests.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("BENCH ")), "")
    if done.returncode or not line:
        raise RuntimeError(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    said: dict[str, float] = json.loads(line.removeprefix("BENCH "))
    return said
