"""`auth-server gateway` as a user starts it: a process with an environment, its log, and a clean end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from support import cognito, processes
from support.clean_environment import clean_environment
from support.repository import ROOT
from support.shared_machine import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECRET_KEY = "9f2c4b7d1e8a6035c2d4f6a8b0e1937556c7d8e9f0a1b2c3d4e5f60718293a4b"


@dataclass(eq=False)
class Gateway:
    """A running `auth-server` command."""

    process: subprocess.Popen[bytes]
    log_path: Path
    port: int = 0

    @property
    def base_url(self) -> str:
        """Where nginx listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """Where nginx listens, for a socket."""
        return ("127.0.0.1", self.port)

    @property
    def clients(self) -> list[str]:
        """The addresses that requests of this machine may come from, as nginx sees it."""
        return ["127.0.0.1"]

    @property
    def log(self) -> str:
        """All that it and its children have written."""
        return self.log_path.read_text(errors="replace")

    def children(self, part: str) -> list[int]:
        """Return the descendants whose command line holds this text."""
        return [pid for pid in processes.descendants(self.process.pid) if part in processes.command(pid)]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


def environment(jwks_url: str, scopes_file: Path, **changes: str) -> dict[str, str]:
    """Return the settings for tokens of tests/support/cognito.py."""
    return clean_environment() | {
        "PYTHONPATH": str(ROOT),
        "COGNITO_USER_POOL_ID": cognito.POOL.id,
        "COGNITO_JWKS_URL": jwks_url,
        "COGNITO_CLIENT_ID": cognito.CLIENT,
        "COGNITO_ALLOWED_CLIENT_IDS": cognito.AGENT,
        "SECRET_KEY": SECRET_KEY,
        "SCOPES_FILE": str(scopes_file),
        "LOG_FORMAT": "json",
        "STATE_DIRECTORY": tempfile.mkdtemp(dir=os.environ["STATE_DIRECTORY"]),  # two gateways share nothing
        **changes,
    }


def arguments(port: int, servers: Mapping[str, str], *options: str) -> list[str]:
    """Return the arguments of `gateway` for these servers."""
    named = [argument for name, url in servers.items() for argument in ("--server", f"{name}={url}")]
    return ["gateway", "--listen", f"127.0.0.1:{port}", *named, *options]


@contextlib.contextmanager
def command(argv: list[str], environ: Mapping[str, str], *, cwd: Path) -> Iterator[Gateway]:
    """Start an `auth-server` command with its output in a file; kill what is left of it at the end."""
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = _start(argv, environ, out, cwd)
        gateway = Gateway(process, log)
        family = [process.pid]
        try:
            yield gateway
            family += processes.descendants(process.pid)
            if process.poll() is None:
                gateway.stop()
        finally:
            for pid in [*processes.descendants(process.pid), *processes.alive(family)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(10)


@contextlib.contextmanager
def running(
    servers: Mapping[str, str],
    environ: Mapping[str, str],
    *options: str,
    port: int = 0,
    cwd: Path | None = None,
) -> Iterator[Gateway]:
    """Start the gateway in front of these servers and wait until it says that it is ready."""
    port = port or free_port()
    with command(arguments(port, servers, *options), environ, cwd=cwd or Path("/")) as gateway:
        gateway.port = port
        wait_for(gateway, "gateway ready")
        yield gateway


def wait_for(gateway: Gateway, line: str, *, seconds: float = 30) -> None:
    """Wait until the log has this text, or fail with the log where the command ends before."""

    def said() -> bool:
        if line in gateway.log:
            return True
        assert gateway.process.poll() is None, f"the command ended before it said {line!r}:\n{gateway.log}"
        return False

    until(said, f"the line {line!r}", seconds=seconds)


def run_to_end(argv: list[str], environ: Mapping[str, str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that should end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "auth_server", *argv],
        env=dict(environ),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _start(argv: list[str], environ: Mapping[str, str], out: IO[bytes], cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "auth_server", *argv],
        env=dict(environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
    )
