"""A person's session as its command sees it, with gateways that answer well and otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from support.asgi_server import read_body, serving

from auth_server.client.gateway import GatewayError, SessionOverError, end_session, open_session, show_session

SESSION = {"username": "uma", "groups": ["readers"], "expires_at": "2027-01-15T08:00:00Z"}
UNTIL = datetime(2027, 1, 15, 8, tzinfo=UTC)


@dataclass
class Gateway:
    """Answers everything with what a test gave it, and keeps what it was asked."""

    base: str = ""
    status: int = 200
    answer: Any = field(default_factory=dict)
    asked: list[tuple[str, str, str, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        cookie = dict(scope["headers"]).get(b"cookie", b"").decode()
        self.asked.append((scope["method"], scope["path"], cookie, await read_body(receive)))
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    """Run one for all."""
    gateway = Gateway()
    with serving(lambda _base: gateway) as gateway.base:
        yield gateway


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """Return it with no memory."""
    running.status, running.answer, running.asked = 200, dict(SESSION), []
    return running


def test_a_token_becomes_a_session(gateway: Gateway) -> None:
    """The ID token goes in the body, and the cookie comes back in the answer; its value shows in no repr."""
    gateway.answer = SESSION | {"cookie": {"value": "the-cookie"}}
    session = asyncio.run(open_session(gateway.base, "e.y.J"))
    assert (session.username, session.groups, session.expires_at) == ("uma", ("readers",), UNTIL)
    assert session.cookie == "the-cookie"
    assert "the-cookie" not in repr(session)
    assert gateway.asked == [("POST", "/session", "", b'{"id_token":"e.y.J"}')]


def test_a_session_is_shown_and_ended(gateway: Gateway) -> None:
    """Either sends the cookie alone."""
    assert asyncio.run(show_session(gateway.base, "c")).username == "uma"
    gateway.status, gateway.answer = 204, b""
    asyncio.run(end_session(gateway.base, "c"))
    assert gateway.asked == [
        ("GET", "/session", "mcp_gateway_session=c", b""),
        ("DELETE", "/session", "mcp_gateway_session=c", b""),
    ]


@pytest.mark.parametrize("until", ["2027-01-15T08:00:00+00:00", "2027-01-15T09:00:00+01:00", 1_800_000_000])
def test_the_end_of_a_session(gateway: Gateway, until: object) -> None:
    """A time is read with its zone, or as seconds."""
    gateway.answer = SESSION | {"expires_at": until}
    assert asyncio.run(show_session(gateway.base, "c")).expires_at == UNTIL


@pytest.mark.parametrize(
    "changes",
    [
        {"username": None},
        {"groups": "readers"},
        {"groups": [1]},
        *({"expires_at": until} for until in ("soon", "2027-01-15T08:00:00", True, 1e300, None)),
    ],
)
def test_what_is_no_session(gateway: Gateway, changes: dict[str, object]) -> None:
    """Something else that answers there is not taken for this product's gateway."""
    gateway.answer = SESSION | changes
    with pytest.raises(GatewayError, match=r"is no session; is it this product's gateway\?"):
        asyncio.run(show_session(gateway.base, "c"))


@pytest.mark.parametrize("cookie", [None, "the-cookie", {}, {"value": 5}])
def test_an_answer_without_a_cookie(gateway: Gateway, cookie: object) -> None:
    """A session that nobody can use is none."""
    gateway.answer = SESSION | {"cookie": cookie}
    with pytest.raises(GatewayError, match="answered without a cookie"):
        asyncio.run(open_session(gateway.base, "e.y.J"))


@pytest.mark.parametrize(
    ("status", "kind"), [(401, SessionOverError), (403, GatewayError), (503, GatewayError)]
)
def test_a_refusal(gateway: Gateway, status: int, kind: type[GatewayError]) -> None:
    """The gateway's own code and words are repeated, not without end; 401 says that the session is over."""
    error = {"message": "m" * 1000, "details": {"error_code": "REVOKED"}}
    gateway.status, gateway.answer = status, {"error": error}
    with pytest.raises(GatewayError, match=f"^the gateway refused with REVOKED: {'m' * 300}$") as caught:
        asyncio.run(show_session(gateway.base, "c"))
    assert type(caught.value) is kind
    assert caught.value.code == "REVOKED"


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", {"error": "no"}, {"error": {"message": "m", "details": {"error_code": 5}}}]
)
def test_a_refusal_of_somebody_else(gateway: Gateway, answer: object) -> None:
    """An error that is not the contract's says the status alone."""
    gateway.status, gateway.answer = 500, answer
    with pytest.raises(GatewayError, match=r"has status 500; is it this product's gateway\?"):
        asyncio.run(show_session(gateway.base, "c"))
