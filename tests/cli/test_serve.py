"""`auth-server serve`: the sidecar alone, as a process."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.clean_environment import clean_environment
from support.command import SCOPES, SECRET_KEY
from support.repository import ROOT
from support.shared_machine import free_port
from support.waiting import until


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings of a sidecar whose pool cannot be reached."""
    (tmp_path / "scopes.yml").write_text(SCOPES)
    return clean_environment() | {
        "PYTHONPATH": str(ROOT),
        "COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI",
        "COGNITO_JWKS_URL": "http://127.0.0.1:9/jwks.json",
        "COGNITO_ALLOWED_CLIENT_IDS": "agent",
        "SECRET_KEY": SECRET_KEY,
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }


@contextlib.contextmanager
def served(folder: Path, environ: dict[str, str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run it, and end it as a supervisor does."""
    argv = [sys.executable, "-m", "auth_server", "serve", *options]
    process = subprocess.Popen(argv, env=environ, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait(10)


def listens(address: tuple[str, int] | Path) -> bool:
    """Tell whether somebody takes connections there."""
    family, where = (socket.AF_UNIX, str(address)) if isinstance(address, Path) else (socket.AF_INET, address)
    with socket.socket(family) as tried, contextlib.suppress(OSError):
        tried.connect(where)
        return True
    return False


def test_on_a_port(tmp_path: Path, environ: dict[str, str]) -> None:
    """It listens where it is told, says nothing of what it is made of, and ends when it is told to."""
    port = free_port()
    with (
        served(tmp_path, environ, "--port", str(port)),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        until(lambda: listens(("127.0.0.1", port)), "it listens", seconds=20)
        answer = client.get("/healthz")
        assert answer.status_code == 200
        assert not {"server", "date"} & answer.headers.keys()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_on_a_socket_that_was_left(tmp_path: Path, environ: dict[str, str], workers: str) -> None:
    """A socket that a killed sidecar left is in nobody's way."""
    path = tmp_path / "sidecar.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with (
        served(tmp_path, environ, "--uds", str(path), "--workers", workers),
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://sidecar") as client,
    ):
        until(lambda: listens(path), "it listens", seconds=20)
        assert client.get("/healthz").status_code == 200


def test_a_file_in_the_place_of_the_socket(tmp_path: Path, environ: dict[str, str]) -> None:
    """What is no socket is not removed: it is somebody's, and the path is a mistake."""
    path = tmp_path / "precious"
    path.write_text("data")
    argv = [sys.executable, "-m", "auth_server", "serve", "--uds", str(path)]
    done = subprocess.run(
        argv, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    said = f"auth-server: --uds {path}: something else than a socket is there; give another path\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert path.read_text() == "data"


def test_the_relay_beside_it(tmp_path: Path, environ: dict[str, str]) -> None:
    """With --inner it runs too, also where a killed one left its socket, and ends with the sidecar."""
    path, relay = tmp_path / "sidecar.sock", tmp_path / "sidecar.relay.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(relay))
    left.close()
    with served(tmp_path, environ, "--uds", str(path), "--inner", f"unix:{tmp_path}/inner.sock"):
        until(lambda: listens(path) and listens(relay), "both listen", seconds=20)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(relay)), base_url="http://relay") as client:
            told_nothing = client.get("/time/mcp")
            assert told_nothing.status_code == 503
            assert told_nothing.headers["X-Auth-Error"] == "AUTH_UNAVAILABLE"
    assert not listens(relay)


def test_a_relay_needs_a_place_of_its_own(tmp_path: Path, environ: dict[str, str]) -> None:
    """Beside a socket; without one there is none."""
    argv = [sys.executable, "-m", "auth_server", "serve", "--inner", "unix:/run/inner.sock"]
    done = subprocess.run(
        argv, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "auth-server: --inner goes with --uds: the relay listens beside it\n",
    )
