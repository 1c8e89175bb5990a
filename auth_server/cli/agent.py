"""The commands of an agent: token."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands and their options."""
    token = commands.add_parser(
        "token",
        help="get a token for an agent (client credentials)",
        description="Get an access token for an agent. What is not given comes from the environment or .env: "
        "COGNITO_CLIENT_ID, COGNITO_CLIENT_SECRET (or COGNITO_CLIENT_SECRET_FILE), COGNITO_DOMAIN, "
        "COGNITO_USER_POOL_ID. The secret is never an option: others could see it in the list of processes.",
    )
    token.add_argument("--client-id", metavar="ID", help="the agent's app client")
    token.add_argument("--client-secret-file", metavar="PATH", help="a file that holds its secret")
    token.add_argument(
        "--scope",
        action="append",
        default=[],
        help="a scope to ask for, as RESOURCE-SERVER/NAME; may be repeated; none asks for all",
    )
    where = token.add_mutually_exclusive_group()
    where.add_argument("--domain", metavar="DOMAIN", help="the hosted UI's prefix or URL")
    where.add_argument("--token-url", metavar="URL", help="the token endpoint itself")
    form = token.add_mutually_exclusive_group()
    form.add_argument(
        "--header", action="store_true", help='print it for curl -H "$(auth-server token --header)"'
    )
    form.add_argument(
        "--json", action="store_true", help="answer in JSON, with the seconds that the token lasts"
    )
    token.set_defaults(command=_token)


def _token(arguments: argparse.Namespace) -> int:
    from auth_server.cli import token

    return token.run(arguments)
