"""Lists, through real nginx: what the caller may call, in both forms; and what else the relay does to an answer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from support import composed, raw
from support.door import Door, compact, mint, refusal, rpc
from support.gateway import environment, running
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend, Exchange
    from support.gateway import Gateway
    from support.jwks_server import JwksServer

    Both = tuple[tuple[Gateway, Path], tuple[Gateway, Path]]

OFFERED = {
    "tools": [{"name": name, "description": "é 🕰"} for name in ("granted", "evil", "team-a", "grüße 日本 🕰")],
    "prompts": [{"name": name} for name in ("greet", "evil")],
    "resources": [{"uri": uri} for uri in ("doc://open", "doc://shut", "doc://tree/a", "doc://tree/../a")],
    "resourceTemplates": [{"uriTemplate": uri} for uri in ("doc://tree/{path}", "db://{table}")],
}
KEPT = {
    "tools": ["granted", "team-a", "grüße 日本 🕰"],
    "prompts": ["greet"],
    "resources": ["doc://open", "doc://tree/a"],
    "resourceTemplates": ["doc://tree/{path}"],
}
METHOD_OF = {
    "tools": "tools/list",
    "prompts": "prompts/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
}
NOTE = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
SCOPES = """\
mcp/read:
  - server: time
    methods: [tools/list, prompts/list, resources/list, resources/templates/list, tools/call, prompts/get, resources/read]
    tools: [granted, "grüße 日本 🕰", "team-*"]
    prompts: [greet]
    resources: ["doc://open", "doc://tree/*"]
  - {server: gone, methods: [tools/list]}
  - {server: unrouted, methods: [tools/list]}
"""


@pytest.fixture
def listing(door: Door) -> Door:
    """The gateway, whose backend offers more than is granted, and whose policy lets lists be asked for."""
    door.backend.behaviour = offers
    return door


async def offers(exchange: Exchange) -> None:
    """Answer any list in the form that the client prefers."""
    asked = json.loads(exchange.seen.body)
    (member,) = [name for name, method in METHOD_OF.items() if method == asked["method"]]
    result = {member: OFFERED[member], "nextCursor": "page-2", "_meta": {"a": [1]}, "cacheScope": "public"}
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
    if (exchange.seen.header("Accept") or "").startswith("text/event-stream"):
        await exchange.open_stream()
        await exchange.event(NOTE)
        await exchange.event(json.dumps(answer))
        await exchange.close_stream()
    else:
        await exchange.json(answer)


def shown(result: dict[str, Any], member: str) -> list[str]:
    """Return the names in a list."""
    return [entry.get("name") or entry.get("uri") or entry["uriTemplate"] for entry in result[member]]


@pytest.fixture(scope="module")
def both(
    backends: tuple[Backend, Backend], key_server: JwksServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    """A gateway whose policy grants all lists, and one with FILTER_LISTS=off."""
    start: Any = composed.running if composed.CHOSEN else running
    servers = {"time": backends[0].url, "gone": "http://127.0.0.1:9"}
    with contextlib.ExitStack() as stack:
        started = []
        for filter_lists in ("on", "off"):
            scopes = tmp_path_factory.mktemp(filter_lists) / "scopes.yml"
            scopes.write_text(SCOPES)
            environ = environment(key_server.url, scopes, FILTER_LISTS=filter_lists)
            options = ("--nginx-workers", "1")
            gateway = stack.enter_context(start(servers, environ, *options, cwd=scopes.parent))
            started.append((gateway, scopes))
        yield started[0], started[1]


@pytest.fixture
def door(both: Both, backends: tuple[Backend, Backend]) -> Door:
    """Return the one that cuts lists."""
    backends[0].reset()
    gateway, scopes = both[0]
    return Door(gateway, *backends, mint(), scopes)


@pytest.fixture
def unfiltered(both: Both, backends: tuple[Backend, Backend]) -> Door:
    """Return the one that does not."""
    backends[0].reset()
    gateway, scopes = both[1]
    return Door(gateway, *backends, mint(), scopes)


@pytest.mark.parametrize("member", METHOD_OF)
@pytest.mark.parametrize("rpc_id", [1, "a-ü"])
def test_lists_as_json(listing: Door, member: str, rpc_id: Any) -> None:
    """Cut to the grants; pages and _meta stay, and no shared cache may keep it."""
    answer = listing.post(rpc(METHOD_OF[member], id=rpc_id))
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
    result = answer.json()["result"]
    assert shown(result, member) == KEPT[member]
    assert result | {member: []} == {
        member: [],
        "nextCursor": "page-2",
        "_meta": {"a": [1]},
        "cacheScope": "private",
    }
    assert listing.backend.only().header("Accept-Encoding") == "identity"


@pytest.mark.parametrize("member", METHOD_OF)
def test_lists_as_events(listing: Door, member: str) -> None:
    """Cut as well; the notification before is as it came."""
    answer = listing.post(rpc(METHOD_OF[member]), replace={"Accept": "text/event-stream, application/json"})
    assert (answer.status, answer.header("Content-Type")) == (200, "text/event-stream")
    note, event = answer.body.decode().strip().split("\n\n")
    assert note == f"data: {NOTE}"
    assert shown(json.loads(event.removeprefix("data: "))["result"], member) == KEPT[member]


def test_the_new_era(listing: Door) -> None:
    """2026-07-28: without a session, with headers that say what the message says."""
    version = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
    answer = listing.post(rpc("tools/list", version), replace=headers)
    assert shown(answer.json()["result"], "tools") == KEPT["tools"]
    assert listing.backend.only().header("MCP-Protocol-Version") == "2026-07-28"


def test_filter_lists_off(unfiltered: Door) -> None:
    """Lists come as the backend sends them; sessions are sealed all the same."""
    unfiltered.backend.behaviour = offers
    result = unfiltered.post(rpc("tools/list")).json()["result"]
    assert result["tools"] == OFFERED["tools"]
    assert result["cacheScope"] == "public"


def test_an_edit_of_the_policy_counts_for_the_next_list(listing: Door) -> None:
    """Without a restart, in the relay as in the sidecar."""
    before = listing.scopes.read_text()
    try:
        listing.scopes.write_text(before.replace("[granted,", "[granted, evil,"))
        until(lambda: lists_of(listing) == {True}, "the edit is in force")
    finally:
        listing.scopes.write_text(before)
    until(lambda: lists_of(listing) == {False}, "it is as before")


def lists_of(door: Door) -> set[bool]:
    """Return whether the relay of each replica shows what the edit grants: nginx asks them in turn."""
    return {"evil" in door.post(rpc("tools/list")).body.decode() for _ in range(8)}


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Type: application/json", b"[]"),
        ("Content-Type: application/json", b"\x1f\x8b\x08"),
        ("Content-Type: application/json", b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"evil"'),
        ("Content-Type: text/html", b"<p>evil</p>"),
        ("Content-Type: text/event-stream", b"data: [1]\n\n"),
        ("Content-Type: text/event-stream\r\nContent-Encoding: gzip", b"\x1f\x8b"),
        (
            "Content-Type: application/json\r\nMcp-Session-Id: a b",
            b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}',
        ),
        ("Content-Type: application/json", b" " * (17 * 1024 * 1024)),
    ],
    ids=["batch", "binary", "cut", "page", "event", "compressed", "session", "long"],
)
def test_an_answer_that_cannot_be_looked_at(door: Door, head: str, body: bytes) -> None:
    """Nothing of it is shown: 502, with the request's id."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.send(
            f"HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    door.backend.behaviour = behaviour
    answer = door.post(rpc("tools/list", id="x-1"))
    refusal(answer, 502, "UPSTREAM_UNAVAILABLE")
    assert answer.json()["id"] == "x-1"


def test_an_answer_that_breaks_off(door: Door) -> None:
    """It is no list."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        exchange.writer.close()

    door.backend.behaviour = behaviour
    refusal(door.post(rpc("tools/list")), 502, "UPSTREAM_UNAVAILABLE")


@pytest.mark.parametrize(
    ("status", "body"), [("404 Not Found", b"no"), ("202 Accepted", b""), ("400 Bad Request", b'{"a":1}')]
)
def test_other_statuses(door: Door, status: str, body: bytes) -> None:
    """Pass: clients tell the eras apart by them."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    door.backend.behaviour = behaviour
    answer = door.post(rpc("tools/list"))
    assert (answer.status, answer.body) == (int(status[:3]), body)


def test_a_backend_that_is_not_there(door: Door) -> None:
    """As for a call: 502. A server that only the policy knows is none."""
    refusal(door.post(rpc("tools/list"), target="/gone/mcp"), 502, "UPSTREAM_UNAVAILABLE")
    refusal(door.post(rpc("tools/list"), target="/unrouted/mcp"), 403, "SERVER_UNKNOWN")


def test_a_client_cannot_speak_to_the_relay(door: Door) -> None:
    """What the relay believes, nginx sets from /validate's answer; a client's own header of that name is gone."""
    ticket = '{"way":"stream","server":"secret","principal":"x","identity":{"method":"jwt","expires_at":9e9}}'
    forged = (("X-Relay", ticket), ("X-Backend-Session", "abc"), ("X-Backend-Url", "http://evil"))
    door.backend.behaviour = offers
    assert shown(door.post(rpc("tools/list"), headers=forged).json()["result"], "tools") == KEPT["tools"]
    seen = door.backend.only()
    assert not {"x-relay", "x-backend-session", "mcp-session-id"} & seen.names()


def test_a_large_message_is_listed_as_well(door: Door) -> None:
    """One that is asked about by its headers first, and one in chunks."""
    door.backend.behaviour = offers
    message = compact(rpc("tools/list", {"_meta": {"pad": "x" * 200_000}}))
    assert shown(door.post(message).json()["result"], "tools") == KEPT["tools"]
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(message), message)
    head = door.message(b"", replace={"Content-Length": None, "Transfer-Encoding": "chunked"})
    answer = raw.exchange(door.gateway.address, head + chunked)
    assert shown(answer.json()["result"], "tools") == KEPT["tools"]


def test_somebody_in_very_many_groups_has_a_list(listing: Door) -> None:
    """The longest token, with the dearest names, fits into the headers that tell nginx and the relay of it."""
    groups = [f"グループ{number}" for number in range(350)]
    token = mint("access", **{"cognito:groups": groups, "scope": "mcp/read"})
    assert 14_000 < len(token) < 16_384
    answer = listing.post(rpc("tools/list"), replace={"Authorization": f"Bearer {token}"})
    assert shown(answer.json()["result"], "tools") == KEPT["tools"]
