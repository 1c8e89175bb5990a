"""`python -m bench.costs`: what one request can cost: processor time, memory, and the patience of others.

Each request is sent to a gateway that has just started: once alone, for what nginx's worker and the sidecar
use, and once while another client makes small calls, for how long the slowest of these takes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import credentials, hostile, load, messages, processes, report, servers
from bench.results import Table
from bench.rounds import until_it_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.hostile import Request
    from bench.processes import Server

MOST_CPU = 0.250  # seconds of any process
MOST_MEMORY = 64 * 1024 * 1024  # bytes by which any process grows
MOST_TIME = 12.0  # seconds for which a slow client is waited for
MOST_WAIT = 0.500  # seconds that another client's call takes; all programs share the processors

_PARTS = {"nginx": "nginx: worker", "sidecar": "auth_server serve"}
_NO_CREDENTIAL = "X-No: credential"
_PAUSE = 0.02  # seconds between another client's calls
_COLUMNS = ("request", "credential", *_PARTS, *(f"{name} grows" for name in _PARTS))


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time and memory by process, what became of the request, and others' slowest call."""

    cpu: dict[str, float]
    memory: dict[str, int]
    status: str
    took: float
    others: float

    def beyond(self, *, lasts: bool = False) -> list[str]:
        """Say which bounds it breaks; `lasts` where it may take as long as it likes."""
        found = [f"{name}'s time" for name, used in self.cpu.items() if used > MOST_CPU]
        found += [f"{name}'s memory" for name, grown in self.memory.items() if grown > MOST_MEMORY]
        if self.took > MOST_TIME and not lasts:
            found.append("time")
        return [*found, "others"] if self.others > MOST_WAIT else found


def main() -> int:
    """Print the table; the exit code says whether each request stays within the bounds."""
    signed = credentials.load()
    servers.open_files()
    small = messages.post(messages.bearer(signed.tokens[0]), messages.tools_call(130))
    callers = {"no": _NO_CREDENTIAL, "yes": messages.bearer(signed.tokens[1])}
    rows, beyond = [], False
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=memory) as folder,
        servers.workshop(Path(folder), signed.jwks) as own,
    ):
        shop = own.other_nginx() or own
        asked = load.write(shop.folder, [small])
        for request in hostile.REQUESTS:
            for said, credential in callers.items():
                with shop.gateway("gateway") as gateway:
                    until_it_answers(gateway, asked)
                    cost = measure(gateway, request, credential, small)
                rows.append((request.name, said, *_told(cost, request)))
                beyond = beyond or bool(cost.beyond(lasts=request.lasts))
                print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
        version = shop.nginx_version()
    note = (
        f"{version}. Bounds: {MOST_CPU * 1e3:.0f} ms and {MOST_MEMORY / 2**20:.0f} MB of any process, "
        f"{MOST_TIME:.0f} s until a slow client is left, {MOST_WAIT * 1e3:.0f} ms for others' small calls. "
        "nginx leaves a client that sends nothing of its body for 10 s; one that sends a byte now and then "
        "holds a connection, and costs no more than the row says."
    )
    columns = (*_COLUMNS, "answer", "after", "others' slowest", "beyond")
    print(report.text([Table("The cost of one request", note, columns, rows)]))
    return 1 if beyond else 0


def measure(gateway: Server, request: Request, credential: str, small: bytes) -> Cost:
    """Send it alone, and then beside another client's calls."""
    pids = {name: gateway.processes(part)[0] for name, part in _PARTS.items()}
    for pid in pids.values():
        processes.forget_peak(pid)
    cpu = {name: processes.cpu(pid) for name, pid in pids.items()}
    held = {name: processes.resident(pid) for name, pid in pids.items()}
    status, took = send(gateway, request, credential)
    used = {name: processes.cpu(pid) - cpu[name] for name, pid in pids.items()}
    grown = {name: max(0, processes.peak(pid) - held[name]) for name, pid in pids.items()}
    with another_client(gateway, small) as times:
        send(gateway, request, credential)
    return Cost(used, grown, status, took, max(times))


def send(gateway: Server, request: Request, credential: str) -> tuple[str, float]:
    """Return the status of the answer, “closed” or “open”, and after how many seconds."""
    over = threading.Event()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=MOST_TIME + 1) as client:

        def write() -> None:
            with contextlib.suppress(OSError):  # the gateway has heard enough
                for piece in request.pieces(credential):
                    client.sendall(piece)
                    if over.wait(request.pause):
                        return

        writer = threading.Thread(target=write)
        began = time.monotonic()
        writer.start()
        try:
            answer = load.read_answer(client)
            status = answer.split(b" ", 2)[1].decode() if answer else "closed"
        except ConnectionError:
            status = "closed"
        except TimeoutError:
            status = "open"
        took = time.monotonic() - began
        over.set()
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        writer.join()
    return status, took


@contextlib.contextmanager
def another_client(gateway: Server, small: bytes) -> Iterator[list[float]]:
    """Make small calls until the block ends; yields the seconds that each took, at least one."""
    over = threading.Event()
    times: list[float] = []

    def calls() -> None:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=3 * MOST_TIME) as client:
            while not (over.is_set() and times):
                began = time.monotonic()
                client.sendall(small)
                if not load.read_answer(client).startswith(b"HTTP/1.1 200 "):
                    return
                times.append(time.monotonic() - began)
                over.wait(_PAUSE)

    caller = threading.Thread(target=calls)
    caller.start()
    try:
        yield times
        if not caller.is_alive():
            raise load.WrongAnswerError("another client's call was refused")
    finally:
        over.set()
        caller.join()


def _told(cost: Cost, request: Request) -> tuple[str, ...]:
    cpu = [f"{cost.cpu[name] * 1e3:.1f} ms" for name in _PARTS]
    memory = [f"{cost.memory[name] / 2**20:.1f} MB" for name in _PARTS]
    beyond = ", ".join(cost.beyond(lasts=request.lasts))
    return (*cpu, *memory, cost.status, f"{cost.took:.2f} s", f"{cost.others * 1e3:.0f} ms", beyond)


if __name__ == "__main__":
    sys.exit(main())
