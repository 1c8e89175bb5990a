"""What one message can make the sidecar do is bounded, whoever sends it."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from auth_server.errors import InvalidRequest
from auth_server.validate import message

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 4 * 1024 * 1024


def call(text: str = "", *, beside: str = "") -> bytes:
    """Return a call with this text, written as JSON, in its arguments, and these members beside them."""
    params = f'{{"name":"now","arguments":{{"text":"{text}"}}{beside}}}'
    return f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'.encode()


def name_of(body: bytes) -> str:
    return message.describe(message.parse(body)).name


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("memory")
def test_half_a_character_among_millions_of_backslashes_takes_no_more_memory_than_the_message() -> None:
    """Looking for halves of surrogate pairs keeps nothing of what is none: once it took 280 MB."""
    body = call("\\\\" * (LARGE // 2 - 200) + "\\ud800")
    assert name_of(body) == "now"
    assert tracemalloc.get_traced_memory()[1] < 8 * LARGE


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (r"\ud800", r"\ufffd"),
        (r"\uDFFF\ud83d\ude00\uD83D", r"\ufffd\ud83d\ude00\ufffd"),
        (r"\ude00\ud83d", r"\ufffd\ufffd"),
        (r"\\ud800", r"\\ud800"),
        (r"\\\ud800", r"\\\ufffd"),
        (r"\\ud83d\ude00", r"\\ud83d\ufffd"),
        (r"\\\\\\\ud83d\ude00\\ud800", r"\\\\\\\ud83d\ude00\\ud800"),
        (r"\u0041\ud7ff\ue000", r"\u0041\ud7ff\ue000"),
    ],
)
def test_halves_of_surrogate_pairs_are_told_from_what_only_looks_like_one(text: str, whole: str) -> None:
    """A backslash that is itself escaped begins no escape, and a pair is one character."""
    assert message.without_lone_surrogates(text.encode()) == whole.encode()


def test_keys_are_not_compared_letter_by_letter_without_end() -> None:
    """One letter may stand for eighteen, and a thousand keys of a thousand such letters took a second and more."""
    letters = "\ufdfa" * 990
    unfolding = "".join(f',"{letters}{number}":1' for number in range(990))
    with pytest.raises(InvalidRequest, match="keys are too long"):
        message.describe(message.parse(call(beside=unfolding)))
