"""The endpoint of HTTP+SSE is one of the gateway's."""

from __future__ import annotations

import pytest

from auth_server.relay.endpoint import through_the_gateway


@pytest.mark.parametrize(
    ("said", "url", "expected"),
    [
        ("/messages/?session_id=1", "http://h:8000", "/time/messages/?session_id=1"),
        ("/messages/?session_id=1", "http://h:8000/", "/time/messages/?session_id=1"),
        ("/api/messages?a=b&c", "http://h:8000/api", "/time/messages?a=b&c"),
        ("/messages", "http://h:8000/api", "/time/messages"),
        ("/apis/messages", "http://h:8000/api", "/time/apis/messages"),
        ("/api", "http://h:8000/api", "/time"),
        ("messages?a", "http://h:8000/api", "/time/messages?a"),
        ("?a=1", "http://h:8000/api", "/time/sse?a=1"),
        ("http://h:8000/messages", "http://h:8000", "/time/messages"),
        ("http://H/messages", "http://h", "/time/messages"),
        ("https://h:443/messages", "https://h", "/time/messages"),
        ("/messages#part", "http://h", "/time/messages"),
    ],
)
def test_where_messages_go(said: str, url: str, expected: str) -> None:
    """The base path off, the server's name before it; what is relative is so to the stream's own address."""
    found = through_the_gateway(said.encode(), backend_url=url, server="time", target="/time/sse?x=1")
    assert found.decode() == expected


@pytest.mark.parametrize(
    "said",
    [
        "http://evil/messages",
        "//evil/messages",
        "http://h:81/messages",
        "/a b",
        "/é",
        "http://[",
        "http://h:x/",
    ],
)
def test_an_endpoint_elsewhere(said: str) -> None:
    """A client would take its messages, and its token, there."""
    with pytest.raises(ValueError):  # noqa: PT011 - some words are the library's own
        through_the_gateway(said.encode(), backend_url="http://h", server="time", target="/time/sse")
