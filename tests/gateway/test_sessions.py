"""A session of an MCP server is of use to the one who began it, on that server alone, whatever is done in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import cognito
from support.door import Door, call, cookie, mint, refusal, rpc
from support.gateway import SECRET_KEY, environment, running

from auth_server.model import AuthMethod, Identity
from auth_server.validate.sessions import Sessions, principal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.backend import Backend, Exchange
    from support.jwks_server import JwksServer

OWN = "session-of-the-backend"
OTHER_KEY = "b" * 20 + "7Qx2" * 10


async def keeps_a_session(exchange: Exchange) -> None:
    """Answer as the SDKs do: every answer names the session."""
    said = (f"Mcp-Session-Id: {OWN}",)
    if exchange.seen.method == "GET":
        await exchange.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{said[0]}\r\n".encode())
        await exchange.send(b"Transfer-Encoding: chunked\r\n\r\n")
        await exchange.event("secret")
        await exchange.close_stream()
    else:
        await exchange.json({"jsonrpc": "2.0", "id": 1, "result": {"tools": [], "secret": 1}}, headers=said)


@pytest.fixture
def session(door: Door) -> str:
    """Begin a session as the agent, and return what the agent knows of it."""
    door.backend.behaviour = keeps_a_session
    sealed = door.post(rpc("initialize", {})).header("Mcp-Session-Id")
    assert sealed
    door.backend.requests.clear()
    return sealed


def who(name: str) -> dict[str, str | None]:
    """Return the headers of somebody who may call the same."""
    people: dict[str, Callable[[], str]] = {
        "person": lambda: mint("access", username="ada", scope="mcp/read"),
        "other person": lambda: mint("access", username="bob", scope="mcp/read"),
        "agent": mint,
        # An app client of people's, with a token of its own.
        "other agent": lambda: mint("agent", client_id="1example23456789", sub="1example23456789"),
        "person of the agent's name": lambda: mint(
            "access", username="7agent00000000client", scope="mcp/read"
        ),
    }
    if name == "cookie":
        return {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie('ada')}"}
    return {"Authorization": f"Bearer {people[name]()}"}


DEEDS: dict[str, Any] = {
    "call": lambda door, headers: door.post(call(), replace=headers),
    "list": lambda door, headers: door.post(rpc("tools/list"), replace=headers),
    "stream": lambda door, headers: door.get(replace=headers),
    "replay": lambda door, headers: door.get(replace=headers | {"Last-Event-ID": "0"}),
    "delete": lambda door, headers: door.get(method="DELETE", replace=headers),
    "cancel": lambda door, headers: door.post(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}, replace=headers
    ),
    "answer": lambda door, headers: door.post(
        {"jsonrpc": "2.0", "id": "elicit-1", "result": {"action": "accept"}}, replace=headers
    ),
    "begin": lambda door, headers: door.post(rpc("initialize", {}), replace=headers),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_in_ones_own_session(door: Door, session: str, deed: str) -> None:
    """All goes on, also with a new token of the same agent; the backend sees its own id, the client never."""
    answer = DEEDS[deed](door, who("agent") | {"Mcp-Session-Id": session})
    assert answer.status == 200
    assert door.backend.only().header("Mcp-Session-Id") == OWN
    assert answer.header("Mcp-Session-Id") in {None, session}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("name", ["person", "other agent", "cookie", "person of the agent's name"])
def test_in_anothers(door: Door, session: str, deed: str, name: str) -> None:
    """Nothing of it reaches the backend, and it is the same answer as for a session that never was."""
    door.refuses(DEEDS[deed](door, who(name) | {"Mcp-Session-Id": session}), 404, "MCP_SESSION_UNKNOWN")


@pytest.mark.parametrize("deed", DEEDS)
def test_of_one_person_in_that_of_another(door: Door, deed: str) -> None:
    """Nor between people: bob in ada's."""
    door.backend.behaviour = keeps_a_session
    ada = door.post(rpc("initialize", {}), replace=who("person")).header("Mcp-Session-Id")
    door.backend.requests.clear()
    door.refuses(DEEDS[deed](door, who("other person") | {"Mcp-Session-Id": ada}), 404, "MCP_SESSION_UNKNOWN")
    assert DEEDS[deed](door, who("cookie") | {"Mcp-Session-Id": ada}).status == 200


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("kind", ["own", "cut", "changed", "empty", "other key", "other server"])
def test_with_a_forged_one(door: Door, session: str, deed: str, kind: str) -> None:
    """The backend's own id, a sealed one that was changed, and one sealed with another key or for another server."""
    agent = principal_of_the_agent()
    forged = {
        "own": OWN,
        "cut": session[:-4],
        "changed": ("B" if session[0] == "A" else "A") + session[1:],
        "empty": "",
        "other key": Sessions([OTHER_KEY]).seal(agent, "time", OWN),
        "other server": Sessions([SECRET_KEY]).seal(agent, "based", OWN),
    }[kind]
    answer = DEEDS[deed](door, who("agent") | {"Mcp-Session-Id": forged})
    door.refuses(answer, 404, "MCP_SESSION_UNKNOWN")


def principal_of_the_agent() -> str:
    """Say it as /validate does, so that the test above fails by the key and the server alone."""
    return principal(Identity(AuthMethod.JWT, 0, client_id=cognito.AGENT), cognito.POOL.id)


def test_the_control_of_the_forgeries(door: Door, session: str) -> None:
    """Sealed here for the agent on this server, it is the very id that the gateway gave."""
    assert Sessions([SECRET_KEY]).seal(principal_of_the_agent(), "time", OWN) == session


def test_on_another_server(door: Door, session: str) -> None:
    """A session of one server is none of another, though the same backend is behind both."""
    answer = door.post(call(), target="/based/mcp", headers=(("Mcp-Session-Id", session),))
    door.refuses(answer, 404, "MCP_SESSION_UNKNOWN")


def test_sent_twice(door: Door, session: str) -> None:
    """Nobody knows which of two the backend would take."""
    twice = (("Mcp-Session-Id", session), ("mcp-session-id", OWN))
    door.refuses(door.post(call(), headers=twice), 400, "REQUEST_INVALID")


def test_without_credentials(door: Door, session: str) -> None:
    """It proves nothing by itself."""
    answer = door.post(call(), replace={"Authorization": None, "Mcp-Session-Id": session})
    door.refuses(answer, 401, "TOKEN_MISSING")


def test_a_session_outlives_a_key_and_a_restart(
    backends: tuple[Backend, Backend], key_server: JwksServer, scopes: Path, tmp_path: Path
) -> None:
    """The new key seals, the old one still opens; without any SECRET_KEY, a session lasts as long as the gateway."""
    first, second = backends

    def sealed(**changes: str) -> tuple[str, set[int]]:
        first.reset()
        first.behaviour = keeps_a_session
        environ = {k: v for k, v in (environment(key_server.url, scopes) | changes).items() if v}
        options = ("--workers", "2", "--nginx-workers", "1")
        with running({"time": first.url}, environ, *options, cwd=tmp_path) as gateway:
            door = Door(gateway, first, second, mint(), scopes)
            got = door.post(rpc("initialize", {})).header("Mcp-Session-Id") or ""
            known = [door.post(call(), headers=(("Mcp-Session-Id", s),)).status for s in [*given, got] * 4]
            return got, {*known}

    given: list[str] = []
    old, statuses = sealed()
    assert statuses == {200}
    given = [old]
    new, statuses = sealed(SECRET_KEY=f"{OTHER_KEY},{SECRET_KEY}")
    assert statuses == {200}
    assert new != old
    given = []
    none, statuses = sealed(SECRET_KEY="", COGNITO_CLIENT_ID="")
    assert statuses == {200}
    given = [none]
    assert sealed(SECRET_KEY="", COGNITO_CLIENT_ID="")[1] == {200, 404}


def test_a_refused_initialize_names_no_session(door: Door) -> None:
    """The backend's own refusals pass, with a session's id sealed as any."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.json({"error": 1}, status="400 Bad Request", headers=(f"Mcp-Session-Id: {OWN}",))

    door.backend.behaviour = behaviour
    answer = door.post(rpc("initialize", {}))
    assert answer.status == 400
    assert OWN not in str(answer)


def test_two_ids_in_one_answer(door: Door) -> None:
    """Clients differ in which of them counts."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.json({}, headers=("Mcp-Session-Id: a", "Mcp-Session-Id: b"))

    door.backend.behaviour = behaviour
    refusal(door.post(rpc("initialize", {})), 502, "UPSTREAM_UNAVAILABLE")
