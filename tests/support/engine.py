"""The container engine's API (docker's, or podman's in its place)."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

_SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")


def socket_path() -> str | None:
    """Return the engine's socket: DOCKER_HOST's, docker's, or podman's; None where there is none."""
    given = os.environ.get("DOCKER_HOST", "")
    if given:
        return given.removeprefix("unix://") if given.startswith("unix://") else None
    own = f"{os.environ.get('XDG_RUNTIME_DIR', '/nowhere')}/podman/podman.sock"
    return next((path for path in (*_SOCKETS, own) if Path(path).is_socket()), None)


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        path = socket_path()
        assert path is not None, "no container engine was found; set DOCKER_HOST"
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)


def get(path: str, missing: Any = ...) -> Any:
    """Ask the engine, and return its JSON, or `missing` for what does not exist."""
    connection = _Connection("localhost")
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 404 and missing is not ...:
            return missing
        assert answer.status == 200, (path, answer.status, body)
        return json.loads(body)
    finally:
        connection.close()
