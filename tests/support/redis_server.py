"""A real Valkey or Redis on loopback, which a test may kill, and start again with or without its data."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.shared_machine import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(eq=False)
class RedisServer:
    """One server, with its data in a folder of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What REVOCATION_URL says."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, empty: bool = False) -> None:
        """Start it; what it answered before it was killed is there again, unless it is to be empty."""
        binary = shutil.which("valkey-server") or shutil.which("redis-server")
        assert binary is not None, "the tests need valkey-server or redis-server: make redis"
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        options = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder} --appendonly yes"
        self.process = subprocess.Popen(
            [
                binary,
                *options.split(),
                "--appendfsync",
                "always",
                "--save",
                "",
            ],
            stdout=subprocess.DEVNULL,
        )
        until(self.answers, "the server answers")

    def answers(self) -> bool:
        """Tell whether it is up and has read its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def length(self, stream: str) -> int:
        """Return how many entries a stream has; 0 while the server does not answer."""
        answer = b""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as connection,
        ):
            connection.sendall(f"XLEN {stream}\r\n".encode())
            answer = connection.recv(64)
        return int(answer[1:]) if answer.startswith(b":") else 0

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[RedisServer]:
    """Run a server until the end."""
    server = RedisServer(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()
