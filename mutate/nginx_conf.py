"""The mutants of one of nginx's files: each directive away, and each number and switch in it another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mutate import Mutant

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*) | (?P<end>[;{}])
    | (?: "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \$\{\w+\} | [^\s;{}"'] )+ """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?<![\w$.@])\d+(?=[kmsh]?\b)")
_OTHER = {"on": "off", "off": "on"}


def mutants(file: str, source: bytes) -> Iterator[Mutant]:
    """Yield the mutants of this file."""
    words: list[re.Match[str]] = []
    for token in _TOKEN.finditer(text := source.decode("latin-1")):  # a character for each byte
        if token["end"] == ";":
            line = text.count("\n", 0, words[0].start()) + 1
            said = text[words[0].start() : token.end()]
            for start, end, after in _changes(text, words, token.end()):
                yield Mutant(file, line, said, start, end, text[start:end], after)
        if token["end"]:
            words = []
        elif not token["comment"]:
            words.append(token)


def _changes(text: str, words: list[re.Match[str]], end: int) -> Iterator[tuple[int, int, str]]:
    yield words[0].start(), end, ""
    for word in words[1:]:
        for number in _NUMBER.finditer(text, word.start(), word.end()):
            yield *number.span(), str(int(number[0]) + 1)
        if word[0] in _OTHER:
            yield *word.span(), _OTHER[word[0]]
