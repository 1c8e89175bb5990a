"""The session that `login` keeps, and whose gateway it is: what login, whoami and logout share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.cli.arguments import given
from auth_server.cli.output import complain
from auth_server.cli.overrides import Overrides
from auth_server.config import values
from auth_server.config.settings import some_settings

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says where the session is."""
    parser.add_argument("--gateway", metavar="URL", help="the gateway's public URL (default GATEWAY_URL)")
    parser.add_argument(
        "--cookie-file",
        metavar="PATH",
        type=given,
        default="~/.mcp/session_cookie",
        help="where the session cookie is kept (default %(default)s)",
    )


def cookie_file(arguments: argparse.Namespace) -> Path:
    """Return where the session cookie is kept."""
    return Path(arguments.cookie_file).expanduser()


def gateway_url(arguments: argparse.Namespace) -> str:
    """Return the gateway's URL; warns where a session would travel in clear text."""
    settings = Overrides()
    settings.put_gateway(arguments.gateway)
    with settings.named():
        url = some_settings(settings.environ, "GATEWAY_URL", "REGISTRY_URL").gateway_url
    if values.is_exposed(url):
        complain(f"warning: {url} is http on another machine: your session travels in clear text")
    return url
