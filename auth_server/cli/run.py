"""The commands that keep running: serve, gateway, demo."""

from __future__ import annotations

import argparse
import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.gateway.nginx import McpServer, Plan

_PORTS = range(1, 65536)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands and their options."""
    serve = commands.add_parser("serve", help="run the sidecar alone; settings come from the environment")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")
    serve.add_argument("--uds", help="listen on this Unix socket instead")
    serve.add_argument("--workers", type=_positive, default=1, help="worker processes (default %(default)s)")
    serve.set_defaults(command=_serve)

    gateway = commands.add_parser("gateway", help="run nginx and the sidecar in front of MCP servers")
    gateway.add_argument(
        "--listen",
        type=_listen,
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="where nginx listens (default %(default)s)",
    )
    gateway.add_argument(
        "--server",
        action="append",
        required=True,
        metavar="NAME=URL",
        help="an MCP server: /NAME/rest goes to URL/rest; may be repeated",
    )
    gateway.add_argument(
        "--forward-credentials",
        action="append",
        default=[],
        metavar="NAME",
        help="pass Authorization and the session cookie on to this server (MCP forbids it)",
    )
    _add_sizes(gateway)
    gateway.set_defaults(command=_gateway)

    demo = commands.add_parser("demo", help="gateway with a stand-in for Cognito and two example MCP servers")
    demo.add_argument(
        "--listen",
        type=_listen,
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="where nginx listens (default %(default)s)",
    )
    _add_sizes(demo)
    demo.set_defaults(command=_demo)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=_positive, default=1, help="workers of the sidecar (default %(default)s)"
    )
    parser.add_argument(
        "--nginx-workers",
        type=_nginx_workers,
        default="auto",
        help="workers of nginx, a number or auto (default %(default)s)",
    )


def _serve(arguments: argparse.Namespace) -> int:
    import uvicorn

    from auth_server.app import create_app
    from auth_server.logs import configure
    from auth_server.protocol import Protocol

    settings = _settings()
    configure(settings.log_format, settings.log_level)
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
    """Remove the socket that a killed process left: several workers could not be bound to it again."""
    if uds.is_socket():
        uds.unlink(missing_ok=True)


def _gateway(arguments: argparse.Namespace) -> int:
    from auth_server.config.settings import environment
    from auth_server.gateway import supervisor
    from auth_server.gateway.nginx import McpServer
    from auth_server.logs import configure
    from auth_server.policy.scopes_file import load
    from auth_server.stores import open_store

    environ = environment()
    environ.setdefault("GATEWAY_URL", environ.get("REGISTRY_URL", "") or _url_of(arguments.listen))
    settings = _settings(environ)
    load(settings.scopes_file)
    open_store(settings.revocation_url).prepare()
    configure(settings.log_format, settings.log_level)
    servers = _with_credentials(
        [McpServer.parse(text) for text in arguments.server], arguments.forward_credentials
    )

    async def announce() -> None:
        print(f"gateway ready on {settings.gateway_url}", flush=True)  # noqa: T201 - a command speaks to its user
        for server in servers:
            print(f"  {settings.gateway_url}/{server.name}/ → {server.url}/", flush=True)  # noqa: T201 - as above

    plan = _plan(arguments, servers, settings)
    asyncio.run(supervisor.run(plan, environ, on_ready=announce))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from auth_server.config.settings import environment, some_settings
    from auth_server.demo.runner import run

    environ = environment()
    gateway_url = _url_of(arguments.listen).replace("//127.0.0.1:", "//localhost:")
    settings = replace(some_settings(environ, "MAX_BODY_SIZE"), gateway_url=gateway_url)
    asyncio.run(run(_plan(arguments, [], settings), environ))
    return 0


def _plan(arguments: argparse.Namespace, servers: list[McpServer], settings: Settings) -> Plan:
    from auth_server.gateway.nginx import Plan

    return Plan(
        listen=arguments.listen,
        servers=servers,
        gateway_url=settings.gateway_url,
        max_body_size=settings.max_body_size,
        workers=arguments.workers,
        nginx_workers=arguments.nginx_workers,
    )


def _settings(environ: dict[str, str] | None = None) -> Settings:
    from auth_server.config.settings import Settings, environment

    return Settings.from_environ(environment() if environ is None else environ)


def _with_credentials(servers: list[McpServer], names: list[str]) -> list[McpServer]:
    known = [server.name for server in servers]
    if len(set(known)) < len(known):
        raise ConfigurationError([Mistake("--server", "a name is given twice; each server needs its own")])
    for name in names:
        if name not in known:
            raise ConfigurationError(
                [Mistake(f"--forward-credentials {name}", f"is none of {', '.join(known)}")]
            )
    return [replace(server, forward_credentials=server.name in names) for server in servers]


def _url_of(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    return f"http://{'localhost' if host in {'', '*', '0.0.0.0', '[::]'} else host}:{port}"  # noqa: S104 - read, not bound


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not port.isdigit()
        or int(port) not in _PORTS
        or not re.fullmatch(r"[A-Za-z0-9.*-]*|\[[0-9a-f:.]+\]", host)
    ):
        raise argparse.ArgumentTypeError(f"expected HOST:PORT such as 127.0.0.1:8080, not {text!r}")
    return text if host else port


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, not {text!r}")
    return int(text)


def _nginx_workers(text: str) -> str:
    return text if text == "auto" else str(_positive(text))
