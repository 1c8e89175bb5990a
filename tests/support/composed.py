"""The gateway as containers, for tests that also know it as `auth-server gateway`: the same tests, another start.

Backends and the pool's keys stay in the test's own process, on loopback, which containers do not reach. Each is
forwarded from a Unix socket in a folder that the containers see.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from auth_server.gateway import nginx
from support import processes
from support.compose import Stack, checkout
from support.demo import Demo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHOSEN = os.environ.get("GATEWAY_STACK") == "compose"
"""Whether this run is one of `make test-compose`."""

_HANDED_ON = ("COGNITO_", "FILTER_LISTS", "SECRET_KEY", "REVOCATION_URL")

OVERRIDE = """\
x-auth-server: &auth-server
  entrypoint:
    - sh
    - -c
    - 'forward /sockets/keys.sock 9000 & exec container-entrypoint "$$@"'
    - sh
  volumes:
    - ./sockets:/sockets
services:
  auth-server: *auth-server
  auth-server-2: *auth-server
  nginx:
    volumes:
      - ./sockets:/sockets
"""


class ComposedValkey:
    """The Valkey of the profile `cluster`, to be killed and started as tests/support/redis_server.py's."""

    url = "redis://valkey:6379/0"

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def kill(self) -> None:
        """End it as a power cut would."""
        self.stack.compose("kill", "valkey")

    def start(self, *, empty: bool = False) -> None:
        """Start it; what it answered before it was killed is there again, unless it is to be empty."""
        if empty:
            remove = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "find", "valkey", "/data", "-delete")
            self.stack.compose(*remove, check=False)  # all but /data itself, which is a mount
        self.stack.compose("start", "valkey")
        self.stack.wait_until_healthy("valkey")

    def length(self, stream: str) -> int:
        """Return how many entries a stream has."""
        return int(self.stack.execute("valkey", "valkey-cli", "XLEN", stream))


class ComposedGateway:
    """What tests ask of a gateway, answered by a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.port = stack.port
        self.address = ("127.0.0.1", stack.port)
        self.base_url = f"http://127.0.0.1:{stack.port}"

    @property
    def clients(self) -> list[str]:
        """The addresses that requests of this machine may come from, as nginx sees it."""
        return self.stack.container("nginx").gateways

    def children(self, part: str) -> list[int]:
        """Return the processes in the containers whose command line holds this text."""
        parents = [container.pid for container in self.stack.containers()]
        family = {pid for parent in parents for pid in (parent, *processes.descendants(parent))}
        return [pid for pid in family if part in processes.command(pid)]

    @property
    def log(self) -> str:
        """All that the containers have written."""
        return self.stack.logs()


@contextlib.contextmanager
def running(
    servers: Mapping[str, str], environ: Mapping[str, str], *options: str, cwd: Path
) -> Iterator[ComposedGateway]:
    """Start the stack in front of these servers, as tests/support/gateway.py starts `auth-server gateway`."""
    scopes = Path(environ["SCOPES_FILE"]).read_text()  # before the checkout puts its own there
    folder = checkout(cwd)
    sockets = folder / "sockets"
    sockets.mkdir()
    sockets.chmod(0o777)
    (folder / "override.yml").write_text(OVERRIDE)
    (folder / "scopes.yml").write_text(scopes)
    keys = urlsplit(environ["COGNITO_JWKS_URL"])
    settings = {name: value for name, value in environ.items() if name.startswith(_HANDED_ON)}
    settings["COGNITO_JWKS_URL"] = keys._replace(netloc="127.0.0.1:9000").geturl()
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    passing = [after for before, after in itertools.pairwise(options) if before == "--forward-credentials"]
    paths = [after.split("=") for before, after in itertools.pairwise(options) if before == "--path"]
    workers = dict(itertools.pairwise(options))
    named = [
        nginx.McpServer(name, url.rstrip("/"), name in passing, tuple(p for of, p in paths if of == name))
        for name, url in servers.items()
    ]
    profiles = ("cluster",) if environ.get("REVOCATION_URL") == ComposedValkey.url else ()
    stack = Stack(folder, profiles=profiles, files=("override.yml",))
    stack.variables = {
        "GATEWAY_URL": f"http://127.0.0.1:{stack.port}",
        "NGINX_WORKERS": workers.get("--nginx-workers", "auto"),
        "AUTH_SERVER_WORKERS": workers.get("--workers", "1"),
    }
    with Forwarder() as forwarder:
        conf = nginx.servers_conf(named)
        for port in {s.address.rpartition(":")[2] for s in named if s.name != "gone"}:
            forwarder.forward(sockets / f"{port}.sock", int(port))
            conf = re.sub(rf"server [\w.]+:{port};", f"server unix:/sockets/{port}.sock;", conf)
        (folder / "nginx" / "servers.conf").write_text(conf)
        forwarder.forward(sockets / "keys.sock", int(keys.port or 80))
        try:
            stack.up()
            yield ComposedGateway(stack)
        finally:
            stack.down()


@contextlib.contextmanager
def running_demo_stack() -> Iterator[Stack]:
    """Start the demo profile in a fresh clone without .env, as the README says."""
    with tempfile.TemporaryDirectory(prefix="compose-demo-") as folder:
        stack = Stack(checkout(Path(folder)), profiles=("demo",))
        try:
            stack.up("--build")
            yield stack
        finally:
            stack.down()


def introduced(stack: Stack) -> Demo:
    """Return what tests need to know of a composed demo."""
    settings = stack.execute("auth-server", "cat", "/run/demo/.env")
    keys = [line.partition("=")[2] for line in settings.splitlines() if line.startswith("SECRET_KEY=")]
    return Demo(stack.logs("cognito"), keys[0])


class Forwarder:
    """Unix sockets that lead to ports of this process's loopback."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def forward(self, path: Path, port: int) -> None:
        """Pass connections to the socket on to the port."""
        asyncio.run_coroutine_threadsafe(_listen(path, port), self._loop).result(5)
        path.chmod(0o666)


async def _listen(path: Path, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            with contextlib.closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_unix_server(connected, path)
    _serving.add(asyncio.get_running_loop().create_task(_serve(server)))


_serving: set[asyncio.Task[None]] = set()


async def _serve(server: asyncio.Server) -> None:
    async with server:
        await server.serve_forever()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
