"""What commands read besides their options: secrets from a safe place, and a part of the settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.cli.errors import CommandError
from auth_server.cli.output import complain
from auth_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_LENGTH = 64 * 1024  # of a token or a cookie, far above what any gateway accepts
_ANY_POOL = "us-east-1_NotAsked0"


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


def some_settings(environ: Mapping[str, str], *names: str) -> Settings:
    """Return the settings of these names alone, so that mistakes in others do not matter.

    Raises ConfigurationError for mistakes in these. A pool is put in where none is asked for.
    """
    kept = {key: environ[key] for name in names for key in (name, f"{name}_FILE") if key in environ}
    if not {"COGNITO_USER_POOL_ID", "COGNITO_USER_POOL_ID_FILE"} & kept.keys():
        kept["COGNITO_USER_POOL_ID"] = _ANY_POOL
    return Settings.from_environ(kept)
