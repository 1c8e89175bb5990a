"""The `auth-server` command: arguments in, one line per error out; the only place that exits."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from auth_server import __version__
from auth_server.cli.errors import CommandError, WrongUseError
from auth_server.cli.output import complain
from auth_server.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILURE, WRONG_USE, PIPE_CLOSED, INTERRUPTED = 1, 2, 141, 130

# Each is a module of that name (with “_” for “-”) that has `add_options(parser)` and `run(arguments)`; what
# the latter returns is the exit code.
COMMANDS = {
    "serve": "run the sidecar alone; settings come from the environment",
    "gateway": "run nginx and the sidecar in front of MCP servers",
    "demo": "gateway with a stand-in for Cognito and two example MCP servers",
    "nginx-conf": "print nginx's part of the settings, for an nginx elsewhere",
    "check": "say every mistake in the settings and in scopes.yml",
    "explain": "say whether a call would be allowed, and by which rule",
    "decode": "show what a token says, without believing it",
    "revoke": "end a session, or all that a user or a client holds",
    "token": "get a token for an agent (client credentials)",
    "login": "sign in, and keep a session cookie for agents that act for you",
    "whoami": "say who is signed in, and until when",
    "logout": "end the session, here and at the gateway",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every command does, and where to read on."""

    def __init__(self, **options: Any) -> None:
        # Abbreviated, an option that does not exist (--client-secret) would be one that does (…-file).
        super().__init__(**{"allow_abbrev": False} | options)

    def error(self, message: str) -> NoReturn:
        """Exit for wrong use. What follows an unknown option may be a secret, and is not repeated."""
        head, unknown, rest = message.partition("unrecognized arguments: ")
        if unknown:
            options = [word.partition("=")[0] for word in rest.split() if word.startswith("-")]
            message = f"{head}{unknown}{' '.join(options) or 'too many'}"
        complain(f"{self.prog}: {message}; see {self.prog} --help")
        sys.exit(WRONG_USE)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command. Exits with 0, with 1 for a failure, with 2 for wrong use."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
    except ConfigurationError as error:
        for mistake in error.mistakes:
            complain(f"auth-server: {mistake}")
        code = FAILURE
    except CommandError as error:
        complain(f"auth-server: {error}")
        code = WRONG_USE if isinstance(error, WrongUseError) else FAILURE
    except BrokenPipeError:
        # Whoever read the answer has seen enough. What is left in the buffer must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="auth-server", description="The door in front of MCP servers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name in words:  # the others are not imported, so that each starts quickly, and --help at once
            module = import_module(f"auth_server.cli.{name.replace('-', '_')}")
            module.add_options(command)
            command.set_defaults(run=module.run)
    return parser
