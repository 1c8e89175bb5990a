"""Nobody's megabytes are read before it is known whose they are, and nobody holds a connection by being slow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from support import raw
from support.door import LIMIT, call, compact, mint

if TYPE_CHECKING:
    from support.door import Door

LARGE: dict[str, dict[str, str | None]] = {
    "a long body": {"Content-Length": str(LIMIT - 1)},
    "a body above 64 kB": {"Content-Length": str(65_537)},
    "chunks": {"Content-Length": None, "Transfer-Encoding": "chunked"},
}
SECONDS = 10  # for headers, and between two parts of a body
SLACK = 4


@pytest.mark.parametrize("length", LARGE)
@pytest.mark.parametrize(
    ("credential", "status", "code"),
    [
        (None, 401, "TOKEN_MISSING"),
        ("Bearer x.y.z", 401, "TOKEN_MALFORMED"),
        ("no grant", 403, "ACCESS_DENIED"),
    ],
)
def test_a_large_body_is_asked_about_first(
    door: Door, length: str, credential: str | None, status: int, code: str
) -> None:
    """A stranger, and who may do nothing on this server, is refused before a byte of the body has come."""
    if credential == "no grant":
        credential = f"Bearer {mint(scope='openid')}"
    headers = door.message(b"", replace=LARGE[length] | {"Authorization": credential})
    door.refuses(door.send(headers), status, code)


@pytest.mark.parametrize("body", [b"{", b"x" * 60_000, b'{"a":' * 10_000])
def test_a_small_body_of_a_stranger_is_not_parsed(door: Door, body: bytes) -> None:
    """Without a credential that counts, the answer is the same for every body."""
    door.refuses(door.post(body, replace={"Authorization": None}), 401, "TOKEN_MISSING")
    door.refuses(door.post(body), 400, "REQUEST_INVALID")


def test_a_stranger_with_a_large_body_is_told_what_others_are(door: Door) -> None:
    """The refusal of a large body has the challenge, and a body of its own."""
    answer = door.send(door.message(b"", replace=LARGE["chunks"] | {"Authorization": None}))
    assert "resource_metadata=" in (answer.header("WWW-Authenticate") or "")
    assert answer.json()["error"]["details"]["discovery_url"]


@pytest.mark.parametrize("sent", ["headers", "a body", "a body in chunks"])
def test_who_is_slow_is_let_go(door: Door, sent: str) -> None:
    """Whoever sends half of something and then nothing has 10 s; others are served meanwhile."""
    body = compact(call())
    half = {
        "headers": door.message(body)[:100],
        "a body": door.message(body)[:-10],
        "a body in chunks": door.message(b"5\r\n{", replace=LARGE["chunks"]),
    }[sent]
    with raw.Connection(door.gateway.address, timeout=SECONDS + SLACK) as connection:
        connection.send(half)
        started = time.monotonic()
        assert door.post(body).status == 200
        connection.rest()
    assert SECONDS - 1 < time.monotonic() - started < SECONDS + SLACK
    assert len(door.backend.requests) == 1
