"""The `auth-server` command: arguments in, one line per error out; the only place that exits."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from auth_server import __version__
from auth_server.cli import agent, questions, run
from auth_server.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILURE, WRONG_USE = 1, 2


class CommandError(Exception):
    """A command could not do its work; the text is one line with the remedy."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command. Exits with 0, with 1 for a failure, with 2 for wrong use."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        sys.exit(arguments.command(arguments))
    except ConfigurationError as error:
        for mistake in error.mistakes:
            print(f"auth-server: {mistake}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        sys.exit(FAILURE)
    except CommandError as error:
        print(f"auth-server: {error}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        sys.exit(FAILURE)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="auth-server", description="The door in front of MCP servers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (run, questions, agent):
        module.register(commands)
    return parser
