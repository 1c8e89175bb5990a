"""The commands that answer a question and end: check, explain, decode."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_FROM = "- reads it from standard input, @PATH from a file"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these commands and their options."""
    check = commands.add_parser("check", help="say every mistake in the settings and in scopes.yml")
    _add_json(check)
    check.set_defaults(command=_check)

    explain = commands.add_parser(
        "explain",
        help="say whether a call would be allowed, and by which rule",
        description="The decision for one call, by the code that decides in the gateway. "
        "Exit 0: allowed, 1: denied.",
    )
    explain.add_argument("--server", required=True, metavar="NAME", help="the MCP server, as in /NAME/mcp")
    explain.add_argument(
        "--method", help="the MCP method, such as tools/call; none: an event stream or a response"
    )
    explain.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="the tool, prompt or resource URI; may be repeated; for completion/complete "
        "prompt:NAME or resource:URI",
    )
    secret = explain.add_mutually_exclusive_group()
    secret.add_argument("--token", metavar="TOKEN", help=f"a Cognito JWT; {_FROM}")
    secret.add_argument("--cookie", metavar="COOKIE", help=f"a session cookie; {_FROM}")
    explain.add_argument(
        "--scope", action="append", default=[], help="instead: a scope held; may be repeated"
    )
    explain.add_argument(
        "--group", action="append", default=[], help="instead: a group held; may be repeated"
    )
    _add_json(explain)
    explain.set_defaults(command=_explain)

    decode = commands.add_parser(
        "decode",
        help="show what a token says, without believing it",
        description="Show a token's header, claims and time left. Nothing is verified without --verify.",
    )
    decode.add_argument("token", nargs="?", default="-", metavar="TOKEN", help=f"the token; {_FROM}")
    decode.add_argument("--verify", action="store_true", help="verify it too, as the gateway would")
    _add_json(decode)
    decode.set_defaults(command=_decode)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def _check(arguments: argparse.Namespace) -> int:
    from auth_server.cli import check

    return check.run(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    from auth_server.cli import explain

    return explain.run(arguments)


def _decode(arguments: argparse.Namespace) -> int:
    from auth_server.cli import decode

    return decode.run(arguments)
