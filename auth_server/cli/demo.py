"""`auth-server demo`: the gateway with a stand-in for Cognito and two example MCP servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from auth_server.cli import nginx_options
from auth_server.cli.errors import CommandError
from auth_server.config.settings import environment, some_settings
from auth_server.gateway.nginx import SETTINGS

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    nginx_options.add_listen(parser)
    nginx_options.add_sizes(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal ends it; raises CommandError where the demo's parts are not installed."""
    # The production image has neither; a plain `pip install` lacks the second.
    if not all(map(find_spec, ("auth_server.demo", "mcp"))):
        raise CommandError("the demo is not installed: pip install 'mcp-auth-server[demo]', or use its image")
    from auth_server.demo import runner

    environ = environment()
    gateway_url = nginx_options.url_of(arguments.listen).replace("//127.0.0.1:", "//localhost:")
    settings = replace(some_settings(environ, *SETTINGS), gateway_url=gateway_url)
    asyncio.run(runner.run(nginx_options.plan(arguments, [], settings), environ))
    return 0
