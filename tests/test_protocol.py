"""The usual question is answered without ASGI, and as ASGI would answer it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.cognito import mint
from support.raw import Answer, ClosedError, Connection
from support.sidecar import Sidecar, running

from auth_server import app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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
async def test_an_answer_is_the_same_whether_the_caller_was_known_or_not(
    sidecar: Sidecar, body: bytes
) -> None:
    """The first question goes to the application, the next is answered on the connection: byte for byte alike."""
    asked = question(body, token=good())
    (first,), (second,) = await said(sidecar, asked), await said(sidecar, asked)
    assert without_time(first) == without_time(second)


async def test_a_message_may_come_in_pieces(sidecar: Sidecar) -> None:
    """Headers and message are answered once they are whole."""
    asked = question(ALLOWED, token=good())
    (known,) = await said(sidecar, asked)
    (again,) = await said(sidecar, *(asked[at : at + 50] for at in range(0, len(asked), 50)))
    assert again.status == known.status == 200


async def test_answers_come_in_the_order_of_their_questions(sidecar: Sidecar) -> None:
    """A known caller's question does not overtake one that the application still works on."""
    token = good()
    asked, unknown = question(ALLOWED, token=token), question(DENIED, "X-Other: 1", token=token)
    await said(sidecar, asked)
    answers = await said(sidecar, ALIVE + asked + unknown + asked + ALIVE, answers=5)
    assert [answer.status for answer in answers] == [200, 200, 403, 200, 200]
    assert [answer.body[:9] for answer in answers[::4]] == [b'{"status"'] * 2


async def test_a_known_caller_who_hangs_up_after_the_answer_is_let_go(sidecar: Sidecar) -> None:
    """Connection: close is obeyed."""
    asked = question(ALLOWED, token=good())
    closing = asked.replace(b"Host:", b"Connection: close\r\nHost:", 1)
    await said(sidecar, asked)
    with pytest.raises(ClosedError):
        await said(sidecar, closing, asked, answers=2)


async def test_only_what_is_not_usual_reaches_the_application(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known caller's message is answered on the connection; a stranger's, or one with another Host, is not."""
    seen = []
    through = app.Sidecar.__call__

    async def watched(self: app.Sidecar, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await through(self, scope, receive, send)

    monkeypatch.setattr(app.Sidecar, "__call__", watched)
    token = good()
    asked = question(ALLOWED, token=token)
    await said(sidecar, asked)
    assert seen == ["/validate"]
    await said(sidecar, asked, asked, question(DENIED, token=token), answers=3)
    assert seen == ["/validate"]
    await said(sidecar, question(ALLOWED, token="unknown"), asked.replace(b"gw.", b"my.", 1), answers=2)
    await said(sidecar, ALIVE)
    assert seen == ["/validate", "/validate", "/validate", "/healthz"]
