"""`auth-server gateway`: nginx and the sidecar in front of MCP servers, on this machine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_server.cli import nginx_options
from auth_server.config.settings import Settings, environment
from auth_server.contract import MCP_ENDPOINTS
from auth_server.errors import ConfigurationError, Mistake
from auth_server.gateway import supervisor
from auth_server.gateway.nginx import McpServer
from auth_server.logs import configure
from auth_server.policy.scopes_file import load
from auth_server.stores import open_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection


_NAMES_OF_GATEWAY_URL = {"GATEWAY_URL", "GATEWAY_URL_FILE", "REGISTRY_URL", "REGISTRY_URL_FILE"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    nginx_options.add_listen(parser)
    parser.add_argument(
        "--server",
        action="append",
        required=True,
        metavar="NAME=URL",
        help="an MCP server: /NAME/rest goes to URL/rest; may be repeated",
    )
    parser.add_argument(
        "--forward-credentials",
        action="append",
        default=[],
        metavar="NAME",
        help="pass Authorization and the session cookie on to this server (MCP forbids it)",
    )
    parser.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="NAME=/PATH",
        help=f"a path of this server that is for MCP, with all below it, beside {', '.join(MCP_ENDPOINTS)}; "
        "may be repeated",
    )
    nginx_options.add_sizes(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal ends it; raises ConfigurationError before anything starts."""
    environ = environment()
    if not _NAMES_OF_GATEWAY_URL & environ.keys():
        environ["GATEWAY_URL"] = nginx_options.url_of(arguments.listen)
    settings = Settings.from_environ(environ)
    load(settings.scopes_file)
    open_store(settings.revocation_url).prepare()
    configure(settings)
    servers = _with_paths(
        _with_credentials(
            [McpServer.parse(text) for text in arguments.server], arguments.forward_credentials
        ),
        arguments.path,
    )

    async def announce() -> None:
        print(f"gateway ready on {settings.gateway_url}", flush=True)  # noqa: T201 - a command speaks to its user
        for server in servers:
            print(f"  {settings.gateway_url}/{server.name}/ → {server.url}", flush=True)  # noqa: T201 - as above

    plan = nginx_options.plan(arguments, servers, settings)
    asyncio.run(supervisor.run(plan, environ, on_ready=announce))
    return 0


def _with_credentials(servers: list[McpServer], names: list[str]) -> list[McpServer]:
    known = [server.name for server in servers]
    if len(set(known)) < len(known):
        raise ConfigurationError([Mistake("--server", "a name is given twice; each server needs its own")])
    for name in names:
        _check_known(name, known, option="--forward-credentials")
    return [replace(server, forward_credentials=server.name in names) for server in servers]


def _with_paths(servers: list[McpServer], texts: list[str]) -> list[McpServer]:
    found = {server.name: server for server in servers}
    for text in texts:
        name, _, path = text.partition("=")
        _check_known(name, found, option="--path")
        found[name] = found[name].with_path(path)
    return list(found.values())


def _check_known(name: str, known: Collection[str], *, option: str) -> None:
    if name not in known:
        raise ConfigurationError([Mistake(f"{option} {name}", f"is none of {', '.join(known)}")])
