"""Nobody's megabytes are read before it is known whose they are, and nobody holds a connection by being slow."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
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


def test_who_is_slow_is_let_go(door: Door) -> None:
    """Whoever sends half of something and then nothing has 10 s; others are served meanwhile."""
    body = compact(call())
    halves = {
        "headers": door.message(body)[:100],
        "a body": door.message(body)[:-10],
        "a body in chunks": door.message(b"5\r\n{", replace=LARGE["chunks"]),
    }

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(halves)) as pool:
        slow = [
            stack.enter_context(raw.Connection(door.gateway.address, timeout=SECONDS + SLACK)) for _ in halves
        ]
        for connection, half in zip(slow, halves.values(), strict=True):
            connection.send(half)
        started = time.monotonic()
        assert door.post(body).status == 200

        def let_go(connection: raw.Connection) -> float:
            connection.rest()
            return time.monotonic() - started

        waited = dict(zip(halves, pool.map(let_go, slow), strict=True))
    for sent, seconds in waited.items():
        assert SECONDS - 1 < seconds < SECONDS + SLACK, sent
    assert len(door.backend.requests) == 1
