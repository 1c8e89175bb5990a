"""`auth-server logout`: the end of the saved session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from auth_server.cli import saved_session
from auth_server.cli.errors import CommandError
from auth_server.cli.output import say
from auth_server.client.cookie import read_cookie, remove_cookie
from auth_server.client.errors import SessionCookieError
from auth_server.client.gateway import GatewayError, SessionOverError, end_session

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    saved_session.add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """End the session at the gateway and remove the file; the file goes even where the gateway is silent."""
    gateway = saved_session.gateway_url(arguments)
    path = saved_session.cookie_file(arguments)
    if not path.exists() and not path.is_symlink():
        say("nobody is signed in here")
        return 0
    said = lasts = ""
    try:
        # One that others can read has all the more reason to end.
        asyncio.run(end_session(gateway, read_cookie(path, even_if_open=True)))
        said = "signed out; the session has ended"
    except SessionOverError:
        said = "signed out; the session was over already"
    except (SessionCookieError, GatewayError) as error:
        lasts = str(error)
    try:
        remove_cookie(path)
    except SessionCookieError as error:
        raise CommandError(f"{said or lasts}; {error}") from None
    if lasts:
        raise CommandError(
            f"{path} is removed, but the session could not be ended and lasts until its time is over: {lasts}"
        )
    say(said)
    return 0
