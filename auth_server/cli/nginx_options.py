"""What the commands that run nginx share, gateway and demo: where it listens, with how many workers."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from auth_server.cli.arguments import positive
from auth_server.gateway.nginx import Plan

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.gateway.nginx import McpServer

_PORTS = range(1, 65536)


def add_listen(parser: argparse.ArgumentParser) -> None:
    """Add where nginx listens."""
    parser.add_argument(
        "--listen",
        type=_address,
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="where nginx listens (default %(default)s)",
    )


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add how many workers there are."""
    parser.add_argument(
        "--workers", type=positive, default=1, help="workers of the sidecar (default %(default)s)"
    )
    parser.add_argument(
        "--nginx-workers",
        type=_nginx_workers,
        default="auto",
        help="workers of nginx, a number or auto (default %(default)s)",
    )


def plan(arguments: argparse.Namespace, servers: list[McpServer], settings: Settings) -> Plan:
    """Return what these options and settings ask for, in front of these servers."""
    return Plan(
        listen=arguments.listen,
        servers=servers,
        settings=settings,
        workers=arguments.workers,
        nginx_workers=arguments.nginx_workers,
    )


def url_of(listen: str) -> str:
    """Return the URL by which this machine reaches what listens there."""
    host, _, port = listen.rpartition(":")
    return f"http://{'localhost' if host in {'', '*', '0.0.0.0', '[::]'} else host}:{port}"  # noqa: S104 - read, not bound


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not port.isdigit()
        or int(port) not in _PORTS
        or not re.fullmatch(r"[A-Za-z0-9.*-]*|\[[0-9a-f:.]+\]", host)
    ):
        raise argparse.ArgumentTypeError(f"expected HOST:PORT such as 127.0.0.1:8080, not {text!r}")
    return text if host else port


def _nginx_workers(text: str) -> str:
    return text if text == "auto" else str(positive(text))
