"""Every kind of message is judged by what it is about, and by the body alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.door import call, cookie, mint, rpc

if TYPE_CHECKING:
    from support.door import Door


def ref(kind: str, value: str) -> dict[str, Any]:
    """Return the params of a completion."""
    member = "name" if kind == "prompt" else "uri"
    return {"ref": {"type": f"ref/{kind}", member: value}, "argument": {"name": "x", "value": "y"}}


def listen(*uris: str) -> dict[str, Any]:
    """Return the params of subscriptions/listen."""
    return {"notifications": {"toolsListChanged": True, "resourceSubscriptions": list(uris)}}


GRANTED = [
    rpc("tools/list"),
    call("granted"),
    call("team-"),
    call("team-blue"),
    rpc("prompts/get", {"name": "greet"}),
    rpc("prompts/get", {"name": "grüße"}),
    rpc("resources/read", {"uri": "doc://open"}),
    rpc("resources/read", {"uri": "doc://tree/leaf"}),
    rpc("resources/subscribe", {"uri": "doc://open"}),
    rpc("resources/unsubscribe", {"uri": "doc://open"}),
    rpc("completion/complete", ref("prompt", "greet")),
    rpc("completion/complete", ref("resource", "doc://open")),
    rpc("subscriptions/listen", {"notifications": {}}),
    rpc("subscriptions/listen", listen()),
    rpc("subscriptions/listen", listen("doc://open")),
    rpc("subscriptions/listen", listen("doc://open", "doc://other", "doc://tree/a")),
    rpc("subscriptions/listen"),
    rpc("tasks/get", {"taskId": "any"}),
    rpc("tasks/result", {"taskId": "any"}),
    {"jsonrpc": "2.0", "method": "notifications/custom"},
]
DENIED = [
    call("evil"),
    call("Granted"),
    call("granted "),
    call("grante"),
    call("granted2"),
    call("team"),
    call("*"),
    call("greet"),
    call("doc://open"),
    rpc("prompts/list"),
    rpc("prompts/get", {"name": "granted"}),
    rpc("prompts/get", {"name": "evil"}),
    rpc("resources/list"),
    rpc("resources/read", {"uri": "doc://secret"}),
    rpc("resources/read", {"uri": "doc://open/../secret"}),
    rpc("resources/read", {"uri": "doc://tree/../secret"}),
    rpc("resources/read", {"uri": "doc://tree/%2e%2e/secret"}),
    rpc("resources/read", {"uri": "DOC://open"}),
    rpc("resources/read", {"uri": "granted", "name": "granted"}),
    rpc("resources/subscribe", {"uri": "doc://secret"}),
    rpc("resources/unsubscribe", {"uri": "doc://secret"}),
    rpc("completion/complete", ref("prompt", "evil")),
    rpc("completion/complete", ref("prompt", "doc://open")),
    rpc("completion/complete", ref("resource", "greet")),
    rpc("completion/complete", ref("resource", "doc://secret")),
    rpc("subscriptions/listen", listen("doc://secret")),
    rpc("subscriptions/listen", listen("doc://open", "doc://secret")),
    rpc("subscriptions/listen", listen("doc://secret", "doc://open")),
    rpc("subscriptions/listen", listen(*["doc://tree/a"] * 50, "doc://secret", "doc://open")),
    rpc("tasks/update", {"taskId": "any"}),
    rpc("tasks/cancel", {"taskId": "any"}),
    rpc("tasks/list"),
    rpc("logging/setLevel", {"level": "debug"}),
    rpc("sampling/createMessage"),
    rpc("unknown/method"),
    rpc("unknown/method", {"name": "granted"}),
    rpc("tools/Call", {"name": "granted"}),
    rpc("TOOLS/CALL", {"name": "granted"}),
    rpc("tools/call/", {"name": "granted"}),
    rpc("tools//call", {"name": "granted"}),
    rpc("toString"),
    rpc("__proto__"),
    rpc("constructor", {"name": "granted"}),
    rpc("*"),
    {"jsonrpc": "2.0", "method": "notifications/other"},
    {"jsonrpc": "2.0", "method": "notifications/"},
]
HANDSHAKE = [
    rpc("initialize", {"protocolVersion": "2025-11-25"}),
    rpc("server/discover"),
    rpc("ping"),
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}},
]
RESPONSES = [
    {"jsonrpc": "2.0", "id": 1, "result": {}},
    {"jsonrpc": "2.0", "id": "a", "result": {"name": "evil", "uri": "doc://secret"}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no"}},
]


@pytest.mark.parametrize("message", GRANTED, ids=str)
def test_granted(door: Door, message: dict[str, Any]) -> None:
    """What scopes.yml grants reaches the backend."""
    door.passes(message)


@pytest.mark.parametrize("message", DENIED, ids=lambda message: str(message)[34:160])
def test_not_granted(door: Door, message: dict[str, Any]) -> None:
    """What scopes.yml does not grant is 403, and the backend sees nothing."""
    door.refuses(door.post(message), 403, "ACCESS_DENIED")


@pytest.mark.parametrize("message", [*GRANTED, *HANDSHAKE], ids=str)
def test_nobody_gets_in_without_a_credential(door: Door, message: dict[str, Any]) -> None:
    """Everything needs a credential, the handshake too."""
    door.refuses(door.post(message, replace={"Authorization": None}), 401, "TOKEN_MISSING")


@pytest.mark.parametrize("message", [*HANDSHAKE, *RESPONSES], ids=str)
def test_the_handshake_needs_any_grant(door: Door, message: dict[str, Any]) -> None:
    """The handshake and a client's responses pass with any grant on that server, and on no other."""
    door.refuses(door.post(message, target="/secret/mcp"), 403, "ACCESS_DENIED")
    door.passes(message)


@pytest.mark.parametrize("message", [*HANDSHAKE[:3], *RESPONSES], ids=str)
def test_without_any_grant(door: Door, message: dict[str, Any]) -> None:
    """Who is known and has no grant does not get as far as the handshake."""
    for token in (
        mint(scope="openid"),
        mint("access", **{"cognito:groups": ["strangers"]}),
        mint(scope="mcp/read/x"),
    ):
        answer = door.post(message, replace={"Authorization": f"Bearer {token}"})
        door.refuses(answer, 403, "ACCESS_DENIED")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_streams_and_ends_of_sessions(door: Door, method: str) -> None:
    """An event stream and the end of a session need any grant on that server."""
    door.refuses(door.get(method=method, replace={"Authorization": None}), 401, "TOKEN_MISSING")
    door.refuses(door.get("/secret/mcp", method=method), 403, "ACCESS_DENIED")
    answer = door.get(method=method)
    assert answer.status == (200 if method == "GET" else 204)
    seen = door.backend.only()
    assert (seen.method, seen.body) == (method, b"")


@pytest.mark.parametrize(
    "server", ["nosuch", "session", "oauth2", "mcp", "127.0.0.1", "localhost", "x" * 128]
)
def test_unknown_servers(door: Door, server: str) -> None:
    """A server that nobody has named is 401 without a credential and 403 SERVER_UNKNOWN with one."""
    for body in (call(), rpc("initialize")):
        answer = door.post(body, target=f"/{server}/mcp", replace={"Authorization": None})
        door.refuses(answer, 401, "TOKEN_MISSING")
        door.refuses(door.post(body, target=f"/{server}/mcp"), 403, "SERVER_UNKNOWN")
    door.refuses(door.get(f"/{server}/mcp"), 403, "SERVER_UNKNOWN")


def test_a_server_in_the_policy_alone(door: Door) -> None:
    """A grant on a server that nginx does not have leads nowhere: 403 SERVER_UNKNOWN."""
    door.refuses(door.post(call(), target="/unrouted/mcp"), 403, "SERVER_UNKNOWN")


def test_wildcards_stay_on_their_server(door: Door) -> None:
    """All of one server is nothing of another."""
    door.token = mint(scope="mcp/secret")
    for message in (call("anything"), rpc("unknown/method"), rpc("tasks/list")):
        door.refuses(door.post(message), 403, "ACCESS_DENIED")
    assert door.post(call("anything"), target="/secret/mcp").status == 200
    assert len(door.secret.requests) == 1


def test_groups_count_through_the_mapping_alone(door: Door) -> None:
    """A group is no scope, even where it has a scope's name."""
    for groups in (["mcp/read"], ["by-group"], ["Readers"], ["readers "], ["*"], []):
        token = mint("access", **{"cognito:groups": groups})
        door.refuses(door.post(call(), replace={"Authorization": f"Bearer {token}"}), 403, "ACCESS_DENIED")
        session = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie('ada', tuple(groups))}"}
        door.refuses(door.post(call(), replace=session), 403, "ACCESS_DENIED")


def test_groups_with_any_letters(door: Door) -> None:
    """A group with commas, spaces and umlauts is one group."""
    door.token = mint("access", **{"cognito:groups": ["Ärzte, Kölner & Co"]})
    door.passes(call())


def test_headers_do_not_name_the_target(door: Door) -> None:
    """X-Mcp-*, X-Original-* and the like of a client decide nothing."""
    lies = (
        ("X-Mcp-Server", "time"),
        ("X-Mcp-Targets", '[{"tools":"granted"}]'),
        ("X-Original-URI", "/time/mcp"),
        ("X-Original-Method", "GET"),
        ("X-Forwarded-Uri", "/time/mcp"),
        ("X-Rewrite-URL", "/time/mcp"),
    )
    door.refuses(door.post(call("evil"), headers=lies), 403, "ACCESS_DENIED")
    door.refuses(door.post(call(), target="/secret/mcp", headers=lies), 403, "ACCESS_DENIED")


def test_an_error_carries_the_id_of_its_request(door: Door) -> None:
    """A denial is a JSON-RPC error with the request's id, so that an MCP client can show it."""
    for number in (7, "seven", 0, -1, ""):
        assert door.post(call("evil") | {"id": number}).json()["id"] == number
    assert door.post("{").json()["id"] is None


def test_a_decision_holds_for_the_same_question_alone(door: Door) -> None:
    """What one call was allowed opens nothing else: no other name, method, server, credential or pool."""
    uri = rpc("resources/read", {"uri": "doc://open"})
    session = cookie("ada", ("readers",))
    for message in (call(), uri, rpc("subscriptions/listen", listen("doc://open"))):
        for _ in range(2):
            assert door.post(message).status == 200
    with_cookie = {"Authorization": None, "Cookie": f"mcp_gateway_session={session}"}
    assert door.post(call(), replace=with_cookie).status == 200
    assert door.get().status == 200
    door.backend.reset()
    door.refuses(door.post(call("evil")), 403, "ACCESS_DENIED")
    door.refuses(door.post(rpc("prompts/get", {"name": "granted"})), 403, "ACCESS_DENIED")
    door.refuses(
        door.post(rpc("subscriptions/listen", listen("doc://open", "doc://x"))), 403, "ACCESS_DENIED"
    )
    door.refuses(door.post(call(), target="/secret/mcp"), 403, "ACCESS_DENIED")
    door.refuses(door.get("/secret/mcp"), 403, "ACCESS_DENIED")
    for token in (mint(scope="openid"), door.token[:-2], door.token + "A", door.token.lower()):
        answer = door.post(call(), replace={"Authorization": f"Bearer {token}"})
        door.refuses(answer, answer.status, answer.json()["error"]["details"]["error_code"])
        assert answer.status in {401, 403}
    for other in (session[:-1], session + "A", cookie("eve", ("strangers",))):
        answer = door.post(call(), replace=with_cookie | {"Cookie": f"mcp_gateway_session={other}"})
        assert answer.status in {401, 403}
    # An Authorization header that is worth nothing is still what decides, whatever the cookie was worth.
    answer = door.post(call(), replace=with_cookie | {"Authorization": ""})
    door.refuses(answer, 401, "TOKEN_MALFORMED")
    answer = door.post(call(), headers=(("X-User-Pool-Id", "us-east-1_Evil00000"),))
    door.refuses(answer, 401, "INVALID_ISSUER")


def test_a_decision_names_its_own_caller(door: Door) -> None:
    """Two callers with the same question are two callers to the backend."""
    for _ in range(2):
        for user in ("ada", "bob"):
            session = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie(user)}"}
            assert door.post(call(), replace=session).status == 200
        for name in ("granted", "team-a"):
            assert door.post(call(name)).status == 200
    given = [(seen.header("X-User"), seen.header("X-Tool-Name")) for seen in door.backend.requests]
    assert given == [("ada", "granted"), ("bob", "granted"), (None, "granted"), (None, "team-a")] * 2


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/validate"])
def test_what_the_sidecar_says_of_itself_stays_inside(door: Door, path: str) -> None:
    """To the outside these are names of MCP servers that nobody has."""
    door.refuses(door.get(path), 403, "SERVER_UNKNOWN")
    door.refuses(door.get(path, replace={"Authorization": None}), 401, "TOKEN_MISSING")
