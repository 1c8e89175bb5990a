"""The commands of a person: login, whoami, logout."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PORTS = range(1, 65536)
_LONGEST = 3600


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands and their options."""
    login = commands.add_parser(
        "login",
        help="sign in, and keep a session cookie for agents that act for you",
        description="Sign in at Cognito with a browser of this machine; the gateway's cookie is kept. "
        "What is not given comes from the environment or .env: COGNITO_USER_POOL_ID, COGNITO_CLIENT_ID, "
        "COGNITO_CLIENT_SECRET (or COGNITO_CLIENT_SECRET_FILE; none for a public client), COGNITO_DOMAIN, "
        "GATEWAY_URL. The gateway makes the cookie; its signing key never leaves it. No token is kept.",
    )
    login.add_argument("--client-id", metavar="ID", help="the app client that signs you in")
    login.add_argument("--client-secret-file", metavar="PATH", help="a file that holds its secret, if any")
    login.add_argument(
        "--username",
        metavar="NAME",
        type=_given,
        help="sign in without a browser; the password is asked for, or read from standard input",
    )
    login.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address instead of opening it"
    )
    login.add_argument(
        "--port",
        type=_number(_PORTS),
        default=9090,
        help="where the browser comes back to; the app client lists http://localhost:PORT/callback "
        "(default %(default)s)",
    )
    login.add_argument(
        "--timeout",
        type=_number(range(1, _LONGEST + 1)),
        default=300,
        metavar="SECONDS",
        help="how long to wait for the browser (default %(default)s)",
    )
    _add_common(login)
    login.set_defaults(command=_login)

    whoami = commands.add_parser("whoami", help="say who is signed in, and until when")
    _add_common(whoami)
    whoami.set_defaults(command=_whoami)

    logout = commands.add_parser("logout", help="end the session, here and at the gateway")
    _add_common(logout, json=False)
    logout.set_defaults(command=_logout)


def _add_common(parser: argparse.ArgumentParser, *, json: bool = True) -> None:
    parser.add_argument("--gateway", metavar="URL", help="the gateway's public URL (default GATEWAY_URL)")
    parser.add_argument(
        "--cookie-file",
        metavar="PATH",
        type=_given,
        default="~/.mcp/session_cookie",
        help="where the session cookie is kept (default %(default)s)",
    )
    if json:
        parser.add_argument("--json", action="store_true", help="answer in JSON")


def _given(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _number(allowed: range) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) not in allowed:  # noqa: PLR2004
            raise argparse.ArgumentTypeError(f"expected a number from {allowed[0]} to {allowed[-1]}")
        return int(text)

    return read


def _login(arguments: argparse.Namespace) -> int:
    from auth_server.cli import login

    return login.run(arguments)


def _whoami(arguments: argparse.Namespace) -> int:
    from auth_server.cli import session

    return session.whoami(arguments)


def _logout(arguments: argparse.Namespace) -> int:
    from auth_server.cli import session

    return session.logout(arguments)
