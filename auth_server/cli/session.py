"""`auth-server whoami` and `auth-server logout`: the session that `login` has kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.cli.errors import CommandError
from auth_server.cli.output import complain, say, say_json
from auth_server.client.cookie import read_cookie, remove_cookie
from auth_server.client.errors import SessionCookieError
from auth_server.client.gateway import GatewayError, SessionOverError, end_session, show_session
from auth_server.config import values
from auth_server.config.settings import environment, some_settings
from auth_server.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    import argparse


def whoami(arguments: argparse.Namespace) -> int:
    """Say who the saved session speaks for, in the gateway's own eyes."""
    gateway = _gateway(arguments)
    try:
        cookie = read_cookie(Path(arguments.cookie_file).expanduser())
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


def logout(arguments: argparse.Namespace) -> int:
    """End the session at the gateway and remove the file; the file goes even where the gateway is silent."""
    gateway = _gateway(arguments)
    path = Path(arguments.cookie_file).expanduser()
    if not path.exists() and not path.is_symlink():
        say("nobody is signed in here")
        return 0
    kept = ""
    try:
        # One that others can read has all the more reason to end.
        asyncio.run(end_session(gateway, read_cookie(path, even_if_open=True)))
        said = "signed out; the session has ended"
    except SessionOverError:
        said = "signed out; the session was over already"
    except SessionCookieError as error:
        said, kept = "", f"{error}"
    except GatewayError as error:
        said, kept = "", f"{error}"
    try:
        remove_cookie(path)
    except SessionCookieError as error:
        raise CommandError(f"{said or kept}; {error}") from None
    if kept:
        raise CommandError(
            f"{path} is removed, but the session could not be ended and lasts until its time is over: {kept}"
        )
    say(said)
    return 0


def _gateway(arguments: argparse.Namespace) -> str:
    environ, flag = environment(), None
    if arguments.gateway is not None:
        flag = "--gateway"
        for name in ("GATEWAY_URL_FILE", "REGISTRY_URL", "REGISTRY_URL_FILE"):
            environ.pop(name, None)
        environ["GATEWAY_URL"] = arguments.gateway
    try:
        url = some_settings(environ, "GATEWAY_URL", "REGISTRY_URL").gateway_url
    except ConfigurationError as error:
        raise ConfigurationError(
            [Mistake(flag or found.place, found.message) for found in error.mistakes]
        ) from None
    if values.is_exposed(url):
        complain(f"warning: {url} is http on another machine: your session travels in clear text")
    return url
