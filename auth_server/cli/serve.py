"""`auth-server serve`: the sidecar alone, as a container runs it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from auth_server.app import create_app
from auth_server.asgi import SERVER
from auth_server.cli.arguments import positive
from auth_server.cli.errors import WrongUseError
from auth_server.config.settings import Settings, environment, share_process_key
from auth_server.gateway.nginx import relay_socket
from auth_server.logs import configure
from auth_server.protocol import Protocol
from auth_server.relay.process import kept_running

if TYPE_CHECKING:
    import argparse

    from auth_server.app import Sidecar


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")
    parser.add_argument("--uds", help="listen on this Unix socket instead")
    parser.add_argument(
        "--inner",
        metavar="ADDRESS",
        help="run the relay too, beside --uds (name.relay.sock); it sends on to nginx, here: unix:/path",
    )
    parser.add_argument("--workers", type=positive, default=1, help="worker processes (default %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it; raises ConfigurationError before anything listens."""
    settings = Settings.from_environ(environment())
    configure(settings)
    app = create_app(settings)  # every mistake is found before a worker starts
    if arguments.inner and not arguments.uds:
        raise WrongUseError("--inner goes with --uds: the relay listens beside it")
    share_process_key(settings)  # with workers and relay
    with contextlib.ExitStack() as stack:
        if arguments.uds:
            uds = Path(arguments.uds)
            _clear(uds)
            if arguments.inner:
                relay = relay_socket(uds)
                _clear(relay)
                stack.enter_context(kept_running(relay, arguments.inner.removeprefix("unix:")))
        _serve(app, arguments)
    return 0


def _serve(app: Sidecar, arguments: argparse.Namespace) -> None:
    many = arguments.workers > 1
    uvicorn.run(
        "auth_server.app:from_environment" if many else app,
        factory=many,
        host=arguments.host,
        port=arguments.port,
        uds=arguments.uds,
        workers=arguments.workers,
        lifespan="on",
        http=Protocol,
        **SERVER,
    )


def _clear(uds: Path) -> None:
    """Remove the socket that a killed process left: several workers could not be bound to it again.

    Raises WrongUseError for anything else, which uvicorn would remove in the end.
    """
    if uds.is_socket():
        uds.unlink(missing_ok=True)
    elif uds.exists():
        raise WrongUseError(f"--uds {uds}: something else than a socket is there; give another path")
