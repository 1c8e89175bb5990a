"""The relay's process, kept running beside the sidecar that it belongs to."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from auth_server.children import die_with_parent, next_pause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger("auth_server")

_STOP_LIMIT = 6.0


@contextlib.contextmanager
def kept_running(uds: Path, inner: str) -> Iterator[None]:
    """Run it, again whenever it dies, until the block ends; SIGTERM ends the block as well."""
    signal.signal(signal.SIGTERM, _leave)  # uvicorn raises the signal again that has ended it
    command = [sys.executable, "-m", "auth_server.relay", "--uds", str(uds), "--inner", inner]
    stopping = threading.Event()
    keeper = threading.Thread(target=_keep, args=(command, stopping), name="relay", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        keeper.join()


def _leave(*_: object) -> None:
    sys.exit(0)


def _keep(command: list[str], stopping: threading.Event) -> None:
    pause = 0.0
    while not stopping.is_set():
        started = time.monotonic()
        process = subprocess.Popen(command, preexec_fn=die_with_parent)  # noqa: S603, PLW1509 - our own; one call
        while process.poll() is None and not stopping.wait(0.1):
            pass
        if stopping.is_set():
            _stop(process)
            return
        pause = next_pause(pause, ran=time.monotonic() - started)
        fields = {"process": "relay", "exit": process.returncode, "restart_in": pause}
        log.error("died", extra={"fields": fields})
        stopping.wait(pause)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
