"""One HTTP exchange; what may come back, and from whom, is told of Cognito in tests/cli/test_token.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from support.asgi_server import read_body, serving

from auth_server.oauth.exchange import MAX_BODY, ExchangeError, exchange


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what came, or as the path asks."""
    body, status, headers = await read_body(receive), 200, list[tuple[bytes, bytes]]()
    match scope["path"]:
        case "/redirect":
            status, headers = 302, [(b"location", b"/elsewhere")]
        case "/large":
            body = b"x" * (MAX_BODY + 1)
        case "/silent":
            await asyncio.sleep(5)  # longer than the test waits
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """Run the server."""
    with serving(lambda _base: echo) as found:
        yield found


def test_an_answer(base: str) -> None:
    """Status and body come back, whatever the status; a redirect is an answer like any other."""
    answer = asyncio.run(exchange("POST", f"{base}/", form={"code": "a b"}))
    assert (answer.status, answer.body) == (200, b"code=a+b")
    assert "code" not in repr(answer)
    assert asyncio.run(exchange("GET", f"{base}/redirect")).status == 302


def test_an_answer_without_end(base: str) -> None:
    """More than the bound is no answer."""
    with pytest.raises(ExchangeError, match=f"answered with more than {MAX_BODY} bytes"):
        asyncio.run(exchange("GET", f"{base}/large"))


def test_no_answer(base: str) -> None:
    """The time is that of the whole exchange."""
    with pytest.raises(ExchangeError, match="did not answer within 1 s"):
        asyncio.run(exchange("GET", f"{base}/silent", timeout=0.6))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://[/", "nowhere"])
def test_nobody_there(url: str) -> None:
    """What cannot be reached is named with the remedy; nothing that was to be sent is."""
    with pytest.raises(ExchangeError, match="cannot be reached") as caught:
        asyncio.run(exchange("POST", url, form={"secret": "do not show this"}))
    assert "do not show" not in str(caught.value)


def test_certificates_are_read_once(base: str) -> None:
    """An exchange costs less than reading whom this machine trusts, which stops every other call meanwhile."""

    async def several() -> float:
        await exchange("GET", base)
        began = time.process_time()
        for _ in range(5):
            await exchange("GET", base)
        return (time.process_time() - began) / 5

    began = time.process_time()
    httpx.create_ssl_context()
    reading = time.process_time() - began
    assert asyncio.run(several()) < reading / 2
