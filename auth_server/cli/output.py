"""How commands speak: answers to standard output, everything else to standard error."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping


def say(text: str) -> None:
    """Print an answer."""
    _print(text, sys.stdout)


def say_json(value: Mapping[str, object]) -> None:
    """Print an answer for a program: one JSON object, in ASCII."""
    _print(json.dumps(value, indent=2), sys.stdout)


def complain(text: str) -> None:
    """Print one line about what is wrong."""
    _print(text.replace("\n", " "), sys.stderr)


def hush_logs() -> None:
    """Keep the logs of the parts quiet: what went wrong is said once, as the answer."""
    logging.getLogger("auth_server").addHandler(logging.NullHandler())


def _print(text: str, stream: TextIO) -> None:
    """Print what the stream can hold; what a terminal could take for a command is written as an escape."""
    plain = "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
    encoding = stream.encoding or "utf-8"
    print(plain.encode(encoding, "backslashreplace").decode(encoding), file=stream)
