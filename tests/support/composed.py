"""The gateway as containers, for tests that also know it as `auth-server gateway`: the same tests, another start.

Backends and the pool's keys stay in the test's own process, on loopback, which containers do not reach. Each is
forwarded from a Unix socket in a folder that the containers see.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from auth_server import nginx_files
from support.compose import Stack, checkout
from support.demo import Demo
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OVERRIDE = """\
x-auth-server: &auth-server
  entrypoint:
    - sh
    - -c
    - 'python -m auth_server.demo.forward /sockets/keys.sock & exec container-entrypoint "$$@"'
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


class ComposedGateway:
    """What tests ask of a gateway, answered by a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.port = stack.port
        self.address = ("127.0.0.1", stack.port)
        self.base_url = f"http://127.0.0.1:{stack.port}"

    @property
    def log(self) -> str:
        """All that the containers have written."""
        return self.stack.logs()


@contextlib.contextmanager
def running(
    servers: Mapping[str, str], environ: Mapping[str, str], *options: str, cwd: Path
) -> Iterator[ComposedGateway]:
    """Start the stack in front of these servers, as tests/support/gateway.py starts `auth-server gateway`."""
    folder = checkout(cwd)
    sockets = folder / "sockets"
    sockets.mkdir()
    sockets.chmod(0o777)
    (folder / "override.yml").write_text(OVERRIDE)
    (folder / "scopes.yml").write_text(Path(environ["SCOPES_FILE"]).read_text())
    keys = urlsplit(environ["COGNITO_JWKS_URL"])
    settings = {name: value for name, value in environ.items() if name.startswith(("COGNITO_", "SECRET_KEY"))}
    settings["COGNITO_JWKS_URL"] = keys._replace(netloc="127.0.0.1:9000").geturl()
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    passing = [after for before, after in itertools.pairwise(options) if before == "--forward-credentials"]
    workers = [after for before, after in itertools.pairwise(options) if before == "--nginx-workers"]
    named = [nginx_files.McpServer(name, url.rstrip("/"), name in passing) for name, url in servers.items()]
    stack = Stack(folder, files=("override.yml",))
    stack.variables = {
        "GATEWAY_URL": f"http://127.0.0.1:{stack.port}",
        "NGINX_WORKERS": (workers or ["auto"])[0],
    }
    with Forwarder() as forwarder:
        conf = nginx_files.servers_conf(named)
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
def running_demo() -> Iterator[Demo]:
    """Start the demo profile, as tests/support/demo.py starts `auth-server demo`."""
    with tempfile.TemporaryDirectory(prefix="compose-demo-") as folder:
        stack = Stack(checkout(Path(folder)), profiles=("demo",))
        try:
            stack.up()
            yield introduced(stack)
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
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def forward(self, path: Path, port: int) -> None:
        """Pass connections to the socket on to the port."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            for end in (writer, far_writer):
                end.close()

        def start() -> None:
            self._loop.create_task(asyncio.start_unix_server(connected, path))

        self._call(start)
        until(path.is_socket, f"{path} listens")
        path.chmod(0o666)

    def _call(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
