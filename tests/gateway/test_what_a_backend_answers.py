"""docs/what-a-backend-sees.md, row by row: what comes back of a backend's answer through real nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import cognito, raw
from support.document import BACKEND, literal, names
from support.door import Door, call, cookie, mint, refusal, rpc
from support.gateway import environment, run_to_end, running
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.backend import Backend, Behaviour, Exchange
    from support.gateway import Gateway
    from support.jwks_server import JwksServer

OWN = "session-of-the-backend"
MANY = [f"tool-{number:03}-{'x' * 20}" for number in range(300)]
SCOPES = f"""\
mcp/read:
  - server: time
    methods: [tools/list, prompts/list, resources/list, resources/templates/list, tools/call, prompts/get, resources/read,
              subscriptions/listen]
    tools: [granted]
    prompts: [granted]
    resources: ["doc://granted", "doc://granted/*"]
  - server: mute
    methods: [resources/read]
    resources: ["doc://granted"]
  - server: many
    methods: [tools/call]
    tools: {json.dumps(MANY)}
group_mappings:
  readers: [mcp/read]
"""
REFUSED = 502, "UPSTREAM_UNAVAILABLE"


@dataclass(eq=False)
class Doors:
    """Gateways with that policy, each started once."""

    start: Callable[[dict[str, str]], Gateway]
    backends: tuple[Backend, Backend]
    environ: dict[str, str]
    started: dict[str, Gateway] = field(default_factory=dict)

    def door(self, **changes: str) -> Door:
        """Return the one with these settings."""
        self.backends[0].reset()
        key = str(changes)
        if key not in self.started:
            self.started[key] = self.start(self.environ | changes)
        return Door(self.started[key], *self.backends, mint(), Path(self.environ["SCOPES_FILE"]))


@pytest.fixture(scope="module")
def doors(
    backends: tuple[Backend, Backend], key_server: JwksServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Doors]:
    """Stop them at the end."""
    folder = tmp_path_factory.mktemp("answers")
    (folder / "scopes.yml").write_text(SCOPES)
    servers = dict.fromkeys(("time", "mute", "many"), backends[0].url)
    with contextlib.ExitStack() as stack:

        def start(environ: dict[str, str]) -> Gateway:
            return stack.enter_context(running(servers, environ, "--nginx-workers", "1", cwd=folder))

        yield Doors(start, backends, environment(key_server.url, folder / "scopes.yml"))


@pytest.fixture
def lists(doors: Doors) -> Door:
    """A gateway whose policy lets all lists be asked for."""
    return doors.door()


def says(
    status: str = "200 OK", *headers: str, body: bytes = b'{"mine": 1}', kind: str = "application/json"
) -> Behaviour:
    """Return a backend's answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]

    async def behaviour(exchange: Exchange) -> None:
        await exchange.send("\r\n".join([*lines, "", ""]).encode() + body)

    return behaviour


def answers(door: Door, behaviour: Behaviour) -> Iterator[raw.Answer]:
    """Yield what comes back of it straight, and through the relay."""
    door.backend.behaviour = behaviour
    yield door.post(call())
    yield door.post(rpc("initialize", {}))


# ---------------------------------------------------------------------------------------------------- statuses

ROWS = [row[0] for row in BACKEND.table("you answer", "the client gets")]


def statuses(cell: str) -> list[str]:
    """Return the statuses that a cell names, as a status line has them."""
    return [f"{word.strip(',;:')} Said" for word in cell.split() if word.strip(",;:").isdigit()]


def any_other_status(door: Door) -> None:
    for status in (
        "200 OK",
        "202 Accepted",
        "400 Bad",
        "403 No",
        "404 No",
        "405 No",
        "429 Slow",
        "500 Oops",
        "503 Busy",
    ):
        for answer in answers(door, says(status, "X-Mine: a", "Retry-After: 7")):
            assert (answer.status, answer.body) == (int(status[:3]), b'{"mine": 1}')
            assert (answer.header("X-Mine"), answer.header("Retry-After")) == ("a", "7")


def challenges(door: Door) -> None:
    for status in statuses(ROWS[1]):
        for answer in answers(door, says(status, "WWW-Authenticate: Basic", "X-Mine: a")):
            refusal(answer, *REFUSED)
            assert answer.header("X-Mine") is None


def gateway_statuses(door: Door) -> None:
    for status in statuses(ROWS[2]):
        for answer in answers(door, says(status)):
            refusal(answer, int(status[:3]), "UPSTREAM_UNAVAILABLE")


def own_redirects(door: Door) -> None:
    assert len(statuses(ROWS[3])) == 5
    for status in statuses(ROWS[3]):
        for place in ("/mcp/a", f"{door.backend.url}/mcp/a"):
            for answer in answers(door, says(status, f"Location: {place}")):
                found = (answer.status, answer.header("Location"), answer.body)
                assert found == (int(status[:3]), "/time/mcp/a", b"")


def other_redirects(door: Door) -> None:
    elsewhere = ["https://evil.example/mcp", "/mcp/../x", "//evil.example/", "/mcp/%61"]
    tried = [("307 Said", f"Location: {place}") for place in elsewhere] + [("307 Said", "X-Mine: a")]
    tried += [(status, "Location: /mcp/") for status in statuses(ROWS[4])]
    assert len(tried) == len(elsewhere) + 1 + 3
    for status, header in tried:
        for answer in answers(door, says(status, header)):
            refusal(answer, *REFUSED)


def large_headers(door: Door) -> None:
    for size, status in ((3800, 200), (4200, 502)):
        for answer in answers(door, says("200 OK", f"X-Mine: {'x' * size}")):
            assert answer.status == status
            if status == 502:
                refusal(answer, *REFUSED)


def no_connection(door: Door) -> None:
    refusal(door.post(call(), target="/gone/mcp"), *REFUSED)
    refusal(door.get("/gone/mcp"), *REFUSED)


def page(door: Door) -> None:
    for answer in answers(door, says(body=b"<html>", kind="text/html")):
        assert (answer.status, answer.header("Content-Type"), answer.body) == (200, "text/html", b"<html>")
        assert answer.header("Content-Security-Policy") == "sandbox; default-src 'none'"


# An hour is not waited for: tests/test_what_a_backend_sees.py looks for it in nginx's file.
STATUSES = [any_other_status, challenges, gateway_statuses, own_redirects, other_redirects, large_headers]
STATUSES += [no_connection, None, page]  # type: ignore[list-item]


@pytest.mark.parametrize(("row", "check"), list(zip(ROWS, STATUSES, strict=True)), ids=ROWS)
def test_a_status(door: Door, row: str, check: Callable[[Door], None] | None) -> None:
    """What the client gets, straight and through the relay."""
    if check is not None:
        check(door)


def test_a_request_is_sent_once(door: Door) -> None:
    """Also where the backend breaks off without a word."""

    async def breaks_off(exchange: Exchange) -> None:
        exchange.writer.transport.abort()

    for answer in answers(door, breaks_off):
        refusal(answer, *REFUSED)
    assert len(door.backend.requests) == 2


# ----------------------------------------------------------------------------------------------------- headers

HIDDEN = BACKEND.tables("what", "names")[1]


@pytest.mark.parametrize("cells", HIDDEN, ids=lambda cells: cells[0])
def test_what_does_not_come_back(door: Door, cells: list[str]) -> None:
    """No header of this row, in an answer that comes straight or through the relay."""
    for answer in answers(door, says("200 OK", *[f"{name}: /x" for name in names(cells[1])], "X-Mine: a")):
        assert (answer.status, answer.body, answer.header("X-Mine")) == (200, b'{"mine": 1}', "a")
        assert [name for name in names(cells[1]) if answer.every(name)] == []


def test_what_each_answer_carries(door: Door) -> None:
    """The three, once, whatever the backend says there; and nginx's own Server, Date and Connection."""
    table = {literal(header): literal(value) for header, value in BACKEND.table("header", "value")}
    theirs = [f"{name}: unsafe-none" for name in [*table, "Server", "Date", "Connection"]]
    for answer in answers(door, says("200 OK", *theirs)):
        assert {name: answer.header(name) for name in table} == table
        assert (answer.header("Server") or "").startswith("nginx")
        assert answer.header("Date") != "unsafe-none"
        assert answer.header("Connection") == "keep-alive"


def test_browsers(door: Door) -> None:
    """Who opens the address gets the gateway's page; images, frames and other origins 403. The backend hears nothing."""
    session = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie()}"}
    opened = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = door.get(replace=session | opened)
    assert answer.status == 302
    for shown in ("image", "iframe", "script"):
        door.refuses(door.get(replace=session | {"Sec-Fetch-Dest": shown}), 403, "ORIGIN_MISMATCH")
    for who in (session, {}):
        other = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        door.refuses(door.post(call(), replace=who | other), 403, "ORIGIN_MISMATCH")


# ------------------------------------------------------------------------------------------------------- lists

LISTS = [[literal(cell) for cell in row] for row in BACKEND.table("request", "the list")]


@pytest.mark.parametrize("form", ["json", "events"])
@pytest.mark.parametrize(("method", "member", "naming", "deed"), LISTS)
def test_a_list(lists: Door, method: str, member: str, naming: str, deed: str, form: str) -> None:
    """What may be called stays, as it was; what may not, and what has no name, does not."""
    kind = {"name": "{}", "uri": "doc://{}", "uriTemplate": "doc://granted/{{{}}}"}[naming]
    kept = {"x": {"é": 1}, naming: kind.format("granted")}
    denied = {naming: kind.format("evil") if naming != "uriTemplate" else "db://{x}"}
    result = {member: [kept, denied, {"x": 1}], "nextCursor": "2", "_meta": {"a": 1}, "cacheScope": "public"}
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
    if form == "json":
        lists.backend.behaviour = says(body=text)
    else:
        lists.backend.behaviour = says(body=b"data: " + text + b"\n\n", kind="text/event-stream")
    answer = lists.post(rpc(method))
    data = answer.body.removeprefix(b"data: ")
    assert json.loads(data)["result"] == result | {member: [kept], "cacheScope": "private"}
    assert deed.startswith(method.partition("/")[0])


@pytest.mark.parametrize("case", ["compressed", "not JSON", "above 16 MiB"])
def test_a_list_that_cannot_be_read(lists: Door, case: str) -> None:
    """It goes to nobody."""
    good = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'
    behaviour = {
        "compressed": says("200 OK", "Content-Encoding: gzip", body=b"\x1f\x8b\x08\x00"),
        "not JSON": says(body=b"tools"),
        "above 16 MiB": says(body=good + b" " * 16 * 1024 * 1024),
    }[case]
    lists.backend.behaviour = behaviour
    refusal(lists.post(rpc("tools/list")), *REFUSED)


def test_filter_lists_off(doors: Doors) -> None:
    """Lists come back as they were."""
    door = doors.door(FILTER_LISTS="off")
    body = b'{ "jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"evil"}],"cacheScope":"public"}}'
    door.backend.behaviour = says(body=body)
    assert door.post(rpc("tools/list")).body == body


def test_allowed_tools(lists: Door) -> None:
    """Absent for who may call none; a long list ends after a whole name, and what it lacks is allowed all the same."""
    message = rpc("resources/read", {"uri": "doc://granted"})
    assert lists.passes(message, target="/mute/mcp").header("X-Allowed-Tools") is None
    lists.backend.requests.clear()
    seen = lists.passes(call(MANY[-1]), target="/many/mcp").header("X-Allowed-Tools") or ""
    shown = seen.split(",")
    assert shown == MANY[: len(shown)]
    assert 4096 - len(MANY[0]) - 1 <= len(seen) <= 4096


# ---------------------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("session", ["!", "~" * 1024, OWN])
def test_a_session(door: Door, session: str) -> None:
    """The client gets it sealed, and what it sends arrives opened; in the answer to a call it does not come back."""
    straight, begun = answers(door, says("200 OK", f"Mcp-Session-Id: {session}"))
    sealed = begun.header("Mcp-Session-Id") or ""
    assert straight.header("Mcp-Session-Id") is None
    assert sealed
    assert session not in sealed or session == "!"
    door.backend.reset()
    assert door.passes(call(), replace={"Mcp-Session-Id": sealed}).header("Mcp-Session-Id") == session
    door.backend.reset()
    other = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie()}", "Mcp-Session-Id": sealed}
    door.refuses(door.post(call(), replace=other), 404, "MCP_SESSION_UNKNOWN")
    answer = door.post(call(), target="/based/mcp", replace={"Mcp-Session-Id": sealed})
    door.refuses(answer, 404, "MCP_SESSION_UNKNOWN")
    door.backend.behaviour = says("404 Not Found")
    over = door.post(call(), replace={"Mcp-Session-Id": sealed})
    assert (over.status, over.body) == (404, b'{"mine": 1}')


@pytest.mark.parametrize("said", [["a b"], ["~" * 1025], ["a", "b"], ["ü"]])
def test_a_session_of_another_form(door: Door, said: list[str]) -> None:
    """It is 502."""
    door.backend.behaviour = says("200 OK", *[f"Mcp-Session-Id: {one}" for one in said])
    refusal(door.post(rpc("initialize", {})), *REFUSED)


# ----------------------------------------------------------------------------------------------- event streams

LISTEN = rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["doc://granted"]}})


async def ticks(exchange: Exchange) -> None:
    """Send an event every 200 ms, for 11 s in the answer to a call, until the client goes in any other."""
    is_call = b"tools/call" in exchange.seen.body
    await exchange.open_stream()
    gone = asyncio.ensure_future(exchange.until_gone())
    for _ in range(55 if is_call else 1000):
        if gone.done():
            return
        with contextlib.suppress(ConnectionError):
            await exchange.event("x")
        await asyncio.wait({gone}, timeout=0.2)
    gone.cancel()
    await exchange.close_stream()


def test_how_streams_end(doors: Doors) -> None:
    """With the credential, a revocation, and STREAM_MAX_AGE, each cleanly; the answer to a call does not."""
    door = doors.door(STREAM_MAX_AGE="8")
    door.backend.behaviour = ticks
    short = f"Bearer {mint(exp=int(time.time()) + 2)}"
    person = f"Bearer {mint('access')}"
    began = time.monotonic()
    ends: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        streams: dict[str, raw.Connection] = {}
        for who, token in {"short": short, "revoked": person, "long": f"Bearer {mint()}"}.items():
            for kind, message in {"GET": None, "listen": LISTEN}.items():
                connection = stack.enter_context(raw.Connection(door.gateway.address))
                bare = {"Content-Length": None, "Content-Type": None} if message is None else {}
                method = "GET" if message is None else "POST"
                replace = {"Authorization": token, **bare}
                connection.send(door.message(message or b"", method=method, replace=replace))
                assert connection.head()[0] == 200
                streams[f"{who} {kind}"] = connection
        straight = stack.enter_context(raw.Connection(door.gateway.address))
        straight.send(door.message(call(), replace={"Authorization": short}))
        assert straight.head()[0] == 200
        streams["call"] = straight
        assert run_to_end(["revoke", "--user", "ada"], doors.environ, cwd=door.scopes.parent).returncode == 0
        revoked = time.monotonic() - began
        for name, connection in streams.items():
            while connection.chunk():  # an empty one is the clean end
                pass
            ends[name] = time.monotonic() - began
    for kind in ("GET", "listen"):
        assert ends[f"short {kind}"] < 5
        assert ends[f"revoked {kind}"] < min(revoked + 5, 8)
        assert 7 < ends[f"long {kind}"] < 10.5
    assert ends["call"] >= 11


def test_events_go_on_as_they_are(door: Door) -> None:
    """Byte for byte, once whole; and a list's answer among them is cut."""
    sent = b": hi\r\n\r\nid:7\ndata: a\n\nevent: x\rdata\r\r"
    offered = {"tools": [{"name": "granted"}, {"name": "evil"}]}
    late = json.dumps({"jsonrpc": "2.0", "id": 9, "result": offered}).encode()
    door.backend.behaviour = says(body=sent + b"data: " + late + b"\n\n", kind="text/event-stream")
    body = door.get().body
    assert body.startswith(sent)
    assert json.loads(body.removeprefix(sent + b"data: "))["result"] == {"tools": [{"name": "granted"}]}


def test_a_stream_that_the_backend_breaks_off(door: Door) -> None:
    """It breaks off for the client too."""

    async def breaks_off(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("first")
        exchange.writer.transport.abort()

    door.backend.behaviour = breaks_off
    with pytest.raises(raw.ClosedError):
        door.get()
    with pytest.raises(raw.ClosedError):
        door.post(call())


@pytest.mark.parametrize("kind", ["stream", "call"])
def test_a_client_that_goes(door: Door, kind: str) -> None:
    """The backend sees its connection close."""

    async def silent(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("first")
        await exchange.until_gone()

    door.backend.behaviour = silent
    with raw.Connection(door.gateway.address) as connection:
        if kind == "stream":
            bare = {"Content-Length": None, "Content-Type": None}
            connection.send(door.message(b"", method="GET", replace=bare))
        else:
            connection.send(door.message(call()))
        assert connection.head()[0] == 200
    until(lambda: door.backend.gone == 1, "the backend hears of it")


@pytest.mark.parametrize("server", ["time", "based"])
@pytest.mark.parametrize(
    "said", ["/messages/?session_id=1", "{base}/messages/?session_id=1", "{url}/messages/?session_id=1"]
)
def test_the_deprecated_transport(door: Door, server: str, said: str) -> None:
    """The client gets the gateway's address of the endpoint, and what it posts there arrives."""
    base = "/api" if server == "based" else ""
    place = said.replace("{base}", base).replace("{url}", f"{door.backend.url}{base}")
    door.backend.behaviour = says(
        body=f"event: endpoint\ndata: {place}\n\n".encode(), kind="text/event-stream"
    )
    told = door.get(f"/{server}/sse").body.decode().splitlines()[1].removeprefix("data: ")
    assert told == f"/{server}/messages/?session_id=1"
    door.backend.reset()
    arrived = door.passes(call(), target=told).target
    assert arrived == f"{base}/messages/?session_id=1"


def test_an_endpoint_elsewhere(door: Door) -> None:
    """The stream ends, and nobody is told of it."""
    said = b"event: endpoint\ndata: https://evil.example/messages/?session_id=1\n\n"
    door.backend.behaviour = says(body=said, kind="text/event-stream")
    with raw.Connection(door.gateway.address) as connection:
        bare = {"Content-Length": None, "Content-Type": None}
        connection.send(door.message(b"", method="GET", target="/time/sse", replace=bare))
        with contextlib.suppress(raw.ClosedError):
            assert b"evil.example" not in connection.answer().body


def test_who_this_is_for() -> None:
    """The control: the callers above are those of the policy."""
    assert cognito.claims("agent")["scope"] == "mcp/read mcp/run"
