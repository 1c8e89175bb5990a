"""The forms of options: what is read, and that everything else is refused."""

import argparse

import pytest

from auth_server.cli.arguments import given, number_in, positive


@pytest.mark.parametrize("text", ["1", "12", "007"])
def test_a_positive_number(text: str) -> None:
    """A number from 1 is itself."""
    assert positive(text) == int(text)


@pytest.mark.parametrize("text", ["0", "-1", "", "one", "1.5", " 1"])
def test_what_is_not_positive(text: str) -> None:
    """Anything else is refused and repeated."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number from 1, not"):
        positive(text)


@pytest.mark.parametrize("text", ["3", "7"])
def test_a_number_of_a_range(text: str) -> None:
    """Both ends of a range belong to it."""
    assert number_in(range(3, 8))(text) == int(text)


@pytest.mark.parametrize("text", ["2", "8", "", "-3", "٣", "0000003", "3 "])
def test_a_number_outside_a_range(text: str) -> None:
    """What lies outside, is not written in ASCII digits or is too long to be meant is refused."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number from 3 to 7"):
        number_in(range(3, 8))(text)


def test_a_text_that_says_something() -> None:
    """A text is itself; one of blanks, or with a NUL that no path can hold, is as if it were empty."""
    assert given(" uma ") == " uma "
    for nothing in ("", " \t", "a\0b"):
        with pytest.raises(argparse.ArgumentTypeError, match="empty"):
            given(nothing)
