"""Headers as they came: a second value is seen, and never guessed away."""

import pytest

from auth_server.errors import InvalidRequest
from auth_server.headers import Headers, listener, sent_twice


def headers(*pairs: tuple[str, str]) -> Headers:
    """Make headers as a server hands them over: lower-case names, bytes."""
    return Headers([(name.lower().encode(), value.encode("latin-1")) for name, value in pairs])


def test_a_header_is_read_without_the_blanks_around_it() -> None:
    """Blanks around a value are no part of it (RFC 9110, section 5.5); other white space is."""
    assert headers(("X-Request-ID", " \tabc ")).get(b"x-request-id") == "abc"
    assert headers(("X-Request-ID", "\xa0abc\x0b")).get(b"x-request-id") == "\xa0abc\x0b"


def test_a_header_that_did_not_come() -> None:
    """An absent header has no value, and an empty one an empty value."""
    found = headers(("Accept", ""))
    assert (found.get(b"accept"), found.get(b"cookie")) == ("", None)
    assert (found.every(b"accept"), found.every(b"cookie")) == ([""], [])


def test_a_repeated_header_is_refused_when_it_is_read() -> None:
    """A header that may come once has no first or last, though both say the same."""
    twice = headers(("Origin", "a"), ("Accept", "b"), ("Origin", "a"))
    with pytest.raises(InvalidRequest, match="origin was sent more than once; send it once"):
        twice.get(b"origin")
    assert twice.get(b"accept") == "b"


def test_headers_that_may_be_repeated() -> None:
    """Every value is there, in order, as it came."""
    found = headers(("Cookie", "a=1 "), ("Accept", "x"), ("Cookie", "b=2"))
    assert found.every(b"cookie") == ["a=1 ", "b=2"]


def test_what_came_twice_can_be_asked() -> None:
    """The names that came more than once, and no others."""
    assert headers(("A", "1"), ("B", "1"), ("a", "2"), ("C", "")).repeated() == {b"a"}
    assert headers(("A", "1"), ("B", "1")).repeated() == set()


def test_the_refusal_names_the_header() -> None:
    """Whoever sent it can find it."""
    assert "mcp-name" in sent_twice(b"mcp-name").message


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        (("127.0.0.1", 8888), "127.0.0.1"),
        (("::1", 8888), "::1"),
        (("/run/auth-server.sock", None), "unix:/run/auth-server.sock"),
        (None, "unix:"),
    ],
)
def test_the_listener_is_written_as_nginx_does(server: tuple[str, int | None] | None, shown: str) -> None:
    """A socket in a folder, or one that ASGI does not name, has no port."""
    assert listener({"type": "http", "server": server}) == shown
