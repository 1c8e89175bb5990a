"""The deprecated HTTP+SSE transport (MCP 2024-11-05): its first event says where messages are posted to."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

TYPE = b"endpoint"

_TARGET = re.compile(r"/[!-~]*")
_PORTS = {"http": 80, "https": 443}


def through_the_gateway(said: bytes, *, backend_url: str, server: str, target: str) -> bytes:
    """Return the endpoint as clients reach it: `/<server>`, and what follows the backend's base path.

    `target` is the request's, at the gateway: what the backend says may be relative to it. Raises ValueError
    where the endpoint is on another host, or no address.
    """
    backend = urlsplit(backend_url)
    base = backend.path.rstrip("/")
    here = f"{backend.scheme}://{backend.netloc}{base}{target.removeprefix(f'/{server}')}"
    there = urlsplit(urljoin(here, said.decode("ascii")))
    if (there.hostname, _port(there.scheme, there.port)) != (
        backend.hostname,
        _port(backend.scheme, backend.port),
    ):
        raise ValueError("the endpoint of the MCP server is on another host")
    path = there.path
    if base and (path == base or path.startswith(f"{base}/")):
        path = path[len(base) :]
    found = f"/{server}{path}" + (f"?{there.query}" if there.query else "")
    if not _TARGET.fullmatch(found):
        raise ValueError("the endpoint of the MCP server is no address")
    return found.encode()


def _port(scheme: str, port: int | None) -> int | None:
    return port or _PORTS.get(scheme)
