"""The servers that the suite is run against, and the way to them through a gateway."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from support import cognito
from support.clean_environment import clean_environment
from support.door import mint
from support.gateway import environment, running
from support.jwks_server import jwks_server_beside
from support.repository import ROOT
from support.shared_machine import free_port
from support.waiting import until

from conformance.forwarder import forwarding
from conformance.suite import HOME, NODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EVERYTHING = HOME / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"

# Everything is granted: what is lost is lost by what stands between, and not by a policy.
SCOPES = """\
mcp/read:
  - {server: "*", methods: ["*"], tools: ["*"], prompts: ["*"], resources: ["*"]}
"""


def commands(port: int) -> dict[str, list[str]]:
    """Return each server's name, as the table has it, and the command that serves it on this port."""
    return {
        "Python SDK": [sys.executable, "-m", "conformance.python_server", str(port)],
        "TypeScript SDK": [str(NODE), str(HOME / "typescript_server.mjs"), str(port)],
        "server-everything": [str(NODE), str(EVERYTHING), "streamableHttp"],
    }


NAMES = tuple(commands(0))


@contextlib.contextmanager
def serving(name: str) -> Iterator[str]:
    """Start a server and yield its base URL."""
    port = free_port()
    environ = clean_environment() | {"PYTHONPATH": str(ROOT / "tests"), "PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            commands(port)[name], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            until(lambda: _listens(process, port), f"{name} listens on {port}", seconds=60)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def behind_a_gateway(bases: Mapping[str, str]) -> Iterator[str]:
    """Start a gateway in front of these servers, and what adds a token in front of it; yield its base URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as made, jwks_server_beside(cognito.jwks()) as keys:
        folder = Path(made)
        (folder / "scopes.yml").write_text(SCOPES)
        environ = environment(keys.url, folder / "scopes.yml", GATEWAY_URL=url)
        with running(bases, environ, "--nginx-workers", "1", cwd=folder) as gateway:
            with forwarding(port, gateway.port, mint()):
                yield url


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, f"{process.args!r} ended"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
