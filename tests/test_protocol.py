"""A question that waits for nothing is answered without ASGI, and as ASGI would answer it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.cognito import key, mint
from support.raw import Answer, ClosedError, Connection
from support.sidecar import Sidecar, running

from auth_server import app
from auth_server.validate.validate import Validator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%b"}}'
ALLOWED, DENIED = CALL % b"now", CALL % b"later"
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path) as started:
        yield started


def good() -> str:
    """Return a token that is good now."""
    return mint(now=int(time.time()))


def question(body: bytes, *lines: str, token: str) -> bytes:
    """Return what nginx asks about this message."""
    head = [
        "POST /validate HTTP/1.1",
        "Host: gw.example",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "X-Mcp-Server: time",
        "X-Original-Method: POST",
        "X-Original-Uri: /time/mcp",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def said(sidecar: Sidecar, *pieces: bytes, answers: int = 1) -> list[Answer]:
    """Send pieces over one connection, and read so many answers."""

    def talk() -> list[Answer]:
        url = sidecar.client.base_url
        with Connection((url.host, url.port or 80)) as connection:
            for piece in pieces:
                connection.send(piece)
            return [connection.answer() for _ in range(answers)]

    return await asyncio.to_thread(talk)


def without_time(answer: Answer) -> tuple[object, ...]:
    headers = [pair for pair in answer.headers if pair[0] != "x-auth-error-body"]
    body = answer.json() if answer.body else {"error": {}}
    return answer.status, headers, {**body["error"], "timestamp": ""}


@pytest.mark.parametrize("body", [ALLOWED, DENIED, b"{}", b"", CALL % (b"a" * 300_000)])
@pytest.mark.parametrize("who", [good, lambda: "a.b.c"])
async def test_an_answer_is_the_same_whether_somebody_is_waited_for_or_not(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, body: bytes, who: Callable[[], str]
) -> None:
    """What is answered on the connection is answered by the application byte for byte alike."""
    asked = question(body, token=who())
    (at_once,) = await said(sidecar, asked)
    monkeypatch.setattr(Validator, "caller_at_once", lambda *_, **__: None)
    (waiting,) = await said(sidecar, asked)
    assert without_time(at_once) == without_time(waiting)


async def test_a_message_may_come_in_pieces(sidecar: Sidecar) -> None:
    """Headers and message are answered once they are whole."""
    asked = question(ALLOWED, token=good())
    (known,) = await said(sidecar, asked)
    (again,) = await said(sidecar, *(asked[at : at + 50] for at in range(0, len(asked), 50)))
    assert again.status == known.status == 200


async def test_answers_come_in_the_order_of_their_questions(sidecar: Sidecar) -> None:
    """A question that can be answered at once does not overtake one that the application still works on."""
    token = good()
    asked, denied = question(ALLOWED, token=token), question(DENIED, token=token)
    answers = await said(sidecar, ALIVE + asked + denied + asked + ALIVE, answers=5)
    assert [answer.status for answer in answers] == [200, 200, 403, 200, 200]
    assert [answer.body[:9] for answer in answers[::4]] == [b'{"status"'] * 2


async def test_a_caller_who_hangs_up_after_the_answer_is_let_go(sidecar: Sidecar) -> None:
    """Connection: close is obeyed."""
    asked = question(ALLOWED, token=good())
    closing = asked.replace(b"Host:", b"Connection: close\r\nHost:", 1)
    await said(sidecar, asked)
    with pytest.raises(ClosedError):
        await said(sidecar, closing, asked, answers=2)


async def test_what_has_to_wait_reaches_the_application(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is known or can be verified is answered on the connection, and whoever is refused."""
    seen = []
    through = app.Sidecar.__call__

    async def watched(self: app.Sidecar, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await through(self, scope, receive, send)

    monkeypatch.setattr(app.Sidecar, "__call__", watched)
    asked = question(ALLOWED, token=good())
    elsewhere = asked.replace(b"gw.", b"my.", 1)
    headers_alone = asked.replace(b"/validate", b"/validate/headers", 1)
    answers = await said(sidecar, asked, asked, elsewhere, headers_alone, answers=4)
    assert [answer.status for answer in answers] == [200, 200, 403, 200]
    assert seen == []
    stranger = question(ALLOWED, token=mint(now=int(time.time()), signer=key("unheard-of")))
    (unknown,) = await said(sidecar, stranger)
    assert unknown.header("X-Auth-Error") == "UNKNOWN_KEY"
    await said(sidecar, ALIVE)
    assert seen == ["/validate", "/healthz"]
