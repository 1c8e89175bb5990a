"""What commands read besides their options: secrets from a safe place."""

from __future__ import annotations

import sys
from pathlib import Path

from auth_server.cli.errors import CommandError
from auth_server.cli.output import complain

SOURCES = "- reads it from standard input, @PATH from a file"

_MAX_LENGTH = 64 * 1024  # of a token or a cookie, far above what any gateway accepts


def read_secret(argument: str, what: str) -> str:
    """Return a token or a cookie: from standard input for `-`, from a file for `@path`, else as it is.

    A literal is taken with a warning: other users of the machine see it in the list of processes.
    """
    if argument == "-":
        if sys.stdin.isatty():
            complain(f"paste the {what}, then press Enter and Ctrl-D:")
        raw = sys.stdin.buffer.read(_MAX_LENGTH + 1)
        place = "standard input"
    elif argument.startswith("@"):
        place = argument[1:]
        try:
            with Path(place).open("rb") as file:
                raw = file.read(_MAX_LENGTH + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a usable path"
            raise CommandError(
                f"{place}: {reason}; give @ and the path of a file that holds the {what}"
            ) from None
    else:
        complain(
            f"warning: a {what} on the command line shows in the list of processes; use - or @file instead"
        )
        raw = argument.encode("utf-8", "surrogateescape")
        place = "the command line"
    if len(raw) > _MAX_LENGTH:
        raise CommandError(f"{place}: longer than {_MAX_LENGTH} bytes; this is no {what}")
    text = raw.decode("utf-8", "replace").strip()
    if not text:
        raise CommandError(f"{place}: empty; expected a {what}")
    return text
