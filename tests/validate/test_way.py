"""Which way a request goes, and what the relay is told of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.model import AuthMethod, Identity
from auth_server.validate import way
from auth_server.validate.message import Message
from auth_server.validate.request import Question
from auth_server.validate.way import Ticket, Way

LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
TEXT = st.text(max_size=20)


@pytest.mark.parametrize(
    ("method", "asked", "expected"),
    [
        ("GET", None, Way.STREAM),
        ("DELETE", None, None),
        ("POST", None, None),
        ("POST", "initialize", Way.SESSION),
        ("POST", "subscriptions/listen", Way.STREAM),
        *(("POST", name, Way.LIST) for name in LISTS),
        ("POST", "tools/call", None),
        ("POST", "ping", None),
        ("POST", "notifications/cancelled", None),
        ("POST", "tasks/list", None),
    ],
)
def test_which_way(method: str, asked: str | None, expected: Way | None) -> None:
    """What begins a session, lists or streams is looked at; all else comes straight, lists too where they may."""
    question, message = Question("time", method), Message(asked)
    assert way.way_of(question, message, filter_lists=True) is expected
    unfiltered = None if expected is Way.LIST else expected
    assert way.way_of(question, message, filter_lists=False) is unfiltered


@given(TEXT, TEXT, st.lists(TEXT, max_size=3), st.sampled_from(Way))
def test_a_ticket_comes_back_as_it_was(name: str, method: str, names: list[str], over: Way) -> None:
    """Through a header: printable ASCII, whatever the names hold."""
    who = Identity(AuthMethod.JWT, 1.5, username=name, scopes=tuple(names), groups=tuple(names), issued_at=3)
    ticket = Ticket(over, "time", name, who, method, "1")
    written = way.write(ticket)
    assert written.isascii()
    assert written.decode().isprintable()
    assert way.read(written) == ticket


@pytest.mark.parametrize("value", [b"", b"list", b"{}", b"[]", b'{"way":"other"}', b"\xff"])
def test_what_is_no_ticket(value: bytes) -> None:
    """Is none."""
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own words
        way.read(value)
