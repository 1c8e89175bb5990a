"""`auth-server serve`: the sidecar alone, as a container runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from auth_server.app import create_app
from auth_server.cli.arguments import positive
from auth_server.cli.errors import WrongUseError
from auth_server.config.settings import Settings, environment
from auth_server.logs import configure
from auth_server.protocol import Protocol

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")
    parser.add_argument("--uds", help="listen on this Unix socket instead")
    parser.add_argument("--workers", type=positive, default=1, help="worker processes (default %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it; raises ConfigurationError before anything listens."""
    settings = Settings.from_environ(environment())
    configure(settings)
    app = create_app(settings)  # every mistake is found before a worker starts
    many = arguments.workers > 1
    if arguments.uds:
        _clear(Path(arguments.uds))
    uvicorn.run(
        "auth_server.app:from_environment" if many else app,
        factory=many,
        host=arguments.host,
        port=arguments.port,
        uds=arguments.uds,
        workers=arguments.workers,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # nothing here asks who the client is, or by which scheme it came
        lifespan="on",
        http=Protocol,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    return 0


def _clear(uds: Path) -> None:
    """Remove the socket that a killed process left: several workers could not be bound to it again.

    Raises WrongUseError for anything else, which uvicorn would remove in the end.
    """
    if uds.is_socket():
        uds.unlink(missing_ok=True)
    elif uds.exists():
        raise WrongUseError(f"--uds {uds}: something else than a socket is there; give another path")
