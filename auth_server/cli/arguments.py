"""What options of several commands take: each form is read, or refused in one line (argparse's `type`)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_NUMBER = 6


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command answer in JSON."""
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def given(text: str) -> str:
    """Return a text that says something."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def positive(text: str) -> int:
    """Return a number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, not {text!r}")
    return int(text)


def number_in(allowed: range) -> Callable[[str], int]:
    """Return what reads a number of this range."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
        if not is_number or int(text) not in allowed:
            raise argparse.ArgumentTypeError(f"expected a number from {allowed[0]} to {allowed[-1]}")
        return int(text)

    return read
