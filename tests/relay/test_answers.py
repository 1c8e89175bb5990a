"""What an MCP server answers, as its caller gets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from auth_server.errors import UpstreamUnavailable
from auth_server.model import LISTS
from auth_server.policy import scopes_file
from auth_server.relay import answers
from auth_server.relay.answers import AsItComes, ListEvents, StreamEvents, whole
from auth_server.relay.lists import Rights

if TYPE_CHECKING:
    from auth_server.relay.answers import Reader

POLICY = "s:\n  - server: time\n    methods: [tools/call]\n    tools: [granted]\n"
BOTH = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"granted"},{"name":"evil"}]}}'
ONE = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"granted"}]}}'
NOTE = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"result":1}}'


def rights(scopes: tuple[str, ...] = ("s",)) -> Rights:
    return Rights.of(scopes_file.parse(POLICY), scopes, "time", LISTS)


def stream(*, filtered: bool = True) -> StreamEvents:
    def rewrite(data: bytes) -> bytes:
        if data == b"elsewhere":
            raise ValueError("on another host")
        return b"/time" + data

    return StreamEvents(rights if filtered else None, rewrite)


def read(reader: Reader, data: bytes, size: int = 0) -> bytes:
    """Feed it in pieces of one size, and take the rest."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    return b"".join([*map(reader.feed, pieces), reader.rest()])


@pytest.mark.parametrize(
    ("body", "status", "is_json", "expected"),
    [
        (BOTH, 200, True, ONE),
        (BOTH, 200, False, ONE),
        (BOTH, 400, True, ONE),
        (BOTH, 404, False, BOTH),
        (b"", 202, False, b""),
        (b"not found", 404, False, b"not found"),
        (b"Accepted", 202, False, b"Accepted"),
        (b"{", 500, True, b"{"),
    ],
)
def test_an_answer_as_a_whole(body: bytes, status: int, is_json: bool, expected: bytes) -> None:
    """A list is cut whatever its status; an error that is no list goes on as it is."""
    assert whole(body, rights(), "1", status=status, is_json=is_json) == expected


@pytest.mark.parametrize("body", [b"<html>", b"\x1f\x8b", b"[]", b"{"])
def test_an_answer_that_cannot_be_read(body: bytes) -> None:
    """Is refused: nobody knows what it shows."""
    with pytest.raises(UpstreamUnavailable):
        whole(body, rights(), "1", status=200, is_json=True)


def test_what_is_passed_on() -> None:
    """Is passed on."""
    assert read(AsItComes(), b"anything", 3) == b"anything"


@pytest.mark.parametrize("make", [lambda: ListEvents(rights(), "1"), stream])
def test_a_list_among_events(make: Any) -> None:
    """Split at every byte: the list is cut, every other byte is as it came, wherever the stream ends."""
    before = b": hello\r\n\r\nid: 1\ndata:\n\nevent: message\rdata: " + NOTE + b"\r\r"
    parts = (b'data: {"jsonrpc":"2.0","id":1,\ndata: ', BOTH[24:], b"\nid: 2\n\n")
    event = b"".join(parts)
    cut = read(make(), event)
    assert json.loads(
        b"".join(line[6:] for line in cut.splitlines() if line.startswith(b"data: "))
    ) == json.loads(ONE)
    assert cut.endswith(b"\nid: 2\n\n")
    sent = before + event + b"data: " + NOTE + b"\n\n: end"
    for size in range(1, len(sent)):
        assert read(make(), sent, size) == before + cut + b"data: " + NOTE + b"\n\n: end"
    unfinished = read(make(), b"data: " + BOTH)
    assert b"evil" not in unfinished
    assert b"granted" in unfinished


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: [1]\n\n", b"data: " + b"x" * 100 + b"\n\n"])
def test_a_list_event_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Or is longer than anybody reads: nothing of it goes on."""
    monkeypatch.setattr(answers, "MAX_BYTES", 50)
    with pytest.raises(UpstreamUnavailable):
        read(ListEvents(rights(), "1"), data)


def test_another_answer_among_events() -> None:
    """Is not the list that was asked for; on a stream nobody knows what was, and any list is cut."""
    other = b"data: " + BOTH.replace(b'"id":1', b'"id":7') + b"\n\n"
    assert read(ListEvents(rights(), "1"), other) == other
    assert b"evil" not in read(stream(), other)


@pytest.mark.parametrize(
    "data", [b"{", b'{"result":3}', b'[{"result":{"tools":[]}}]', b'{"result":{"content":"evil"}}']
)
def test_what_else_is_on_a_stream(data: bytes) -> None:
    """Goes on as it came."""
    event = b"data: " + data + b"\n\n"
    assert read(stream(), event) == event


def test_lists_that_are_not_cut() -> None:
    """FILTER_LISTS=off holds for what comes again as well."""
    event = b"data: " + BOTH + b"\n\n"
    assert read(stream(filtered=False), event) == event


def test_a_long_event_on_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes on in parts: the result of a call may be of any size."""
    monkeypatch.setattr(answers, "MAX_EVENT", 50)
    event = b"data: " + b"x" * 100 + b"\n\n"
    assert read(stream(), event, 7) == event


def test_the_first_event_may_be_an_endpoint() -> None:
    """It is rewritten, comments before it or not; a later one is an event as any other."""
    said = b": hi\n\nevent: endpoint\r\ndata: /messages\r\n\r\n"
    assert read(stream(), said + said) == said.replace(b"/messages", b"/time/messages") + said
    plain = b"data: first\n\n" + said
    assert read(stream(), plain) == plain
    with pytest.raises(UpstreamUnavailable):
        read(stream(), b"event: endpoint\ndata: elsewhere\n\n")
