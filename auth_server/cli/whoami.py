"""`auth-server whoami`: who the saved session speaks for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from auth_server.cli import saved_session
from auth_server.cli.arguments import add_json
from auth_server.cli.errors import CommandError
from auth_server.cli.output import say, say_json
from auth_server.client.cookie import read_cookie
from auth_server.client.errors import SessionCookieError
from auth_server.client.gateway import GatewayError, SessionOverError, show_session

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    saved_session.add_options(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Say who the saved session speaks for, in the gateway's own eyes."""
    gateway = saved_session.gateway_url(arguments)
    try:
        cookie = read_cookie(saved_session.cookie_file(arguments))
        session = asyncio.run(show_session(gateway, cookie))
    except SessionOverError as error:
        raise CommandError(f"{error}; run auth-server login") from None
    except (SessionCookieError, GatewayError) as error:
        raise CommandError(str(error)) from None
    until = f"{session.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    if arguments.json:
        say_json({"username": session.username, "groups": list(session.groups), "expires_at": until})
    else:
        say(session.username)
        say(f"  groups  {', '.join(session.groups) or 'none'}")
        say(f"  until   {session.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    return 0
