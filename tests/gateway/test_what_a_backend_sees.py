"""docs/what-a-backend-sees.md, row by row: what arrives at a backend through real nginx, and what never does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from support import cognito, raw
from support.document import BACKEND, literal, names
from support.door import Door, call, compact, cookie, mint, rpc
from support.waiting import until

from auth_server import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.backend import Exchange, Seen

NEVER = "\N{EN DASH}"
NAME = "zoë, 50% +1"
GROUPS = ["readers", "Ärzte, Kölner & Co"]
OWN = "session-of-the-backend"
WITHOUT = {"Content-Length": None, "Content-Type": None}

# What goes straight, and what the relay passes on.
REQUESTS: dict[str, Any] = {
    "call": call(),
    "list": rpc("tools/list"),
    "initialize": rpc("initialize", {}),
    "listen": rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["doc://open"]}}),
    "stream": None,
}
RELAYED = {"list", "initialize", "listen", "stream"}
IDENTITY = BACKEND.table("header", "what it says", "agent's token")
OTHERS = BACKEND.table("header", "what it says", "from", "absent")


def asked(
    door: Door,
    kind: str = "call",
    headers: Mapping[str, str | None] | None = None,
    *,
    target: str = "/time/mcp",
) -> Seen:
    """Send such a request, which must be allowed, and return what arrived of it."""
    door.backend.requests.clear()
    message = REQUESTS[kind]
    if message is None:
        answer = door.get(target, replace=dict(headers or {}))
    else:
        answer = door.post(message, target=target, replace=headers)
    assert answer.status == 200, (answer.status, answer.body)
    return door.backend.only()


# ------------------------------------------------------------------------------------- who asks, and for what


def credential(kind: str, changes: dict[str, Any]) -> dict[str, str | None]:
    """Return the headers of such a caller, where the credential says this."""
    if kind == "session cookie":
        session = {"username": "ada", "groups": ["readers"], "email": "ada@example.com"} | changes
        groups = tuple(session.pop("groups"))
        return {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie(groups=groups, **session)}"}
    token = {"agent's token": "agent", "person's access token": "access", "person's ID token": "id"}[kind]
    if token == "access":  # where groups are taken out, there is still something that it may do
        changes = {"scope": "openid mcp/read"} | changes
    return {"Authorization": f"Bearer {mint(token, **changes)}"}


CREDENTIALS = ["agent's token", "person's access token", "person's ID token", "session cookie"]
CELLS = [
    (literal(row[0]), kind, cell) for row in IDENTITY for kind, cell in zip(CREDENTIALS, row[2:], strict=True)
]


def told(door: Door, header: str, kind: str, **changes: Any) -> list[str | None]:
    """Return what a header says in a call, and in what the relay passes on."""
    headers = credential(kind, changes)
    return [asked(door, request, headers).header(header) for request in ("call", "list", "stream")]


def value_of(claim: str) -> tuple[Any, str, dict[str, Any]]:
    """Return what a claim may say, the header's value for it, and what has to be changed with it."""
    if claim in {"client_id", "aud"}:
        return cognito.AGENT, cognito.AGENT, {}
    if claim in {"cognito:groups", "groups"}:
        return GROUPS, "readers,%C3%84rzte%2C%20K%C3%B6lner%20&%20Co", {}
    return NAME, "zo%C3%AB%2C%2050%25%20+1", {}


@pytest.mark.parametrize(("header", "kind", "cell"), [cell for cell in CELLS if "`" in cell[2]])
def test_a_claim_fills_a_header(door: Door, header: str, kind: str, cell: str) -> None:
    """The claim that the table names is what arrives, whatever it says."""
    if header == "X-Scopes":
        scopes_of_groups = "mcp/read by-group"
        own = "mcp/run mcp/read extra" if "scope" in names(cell) else ""
        groups = names(cell.replace("`scope`", ""))
        changes: dict[str, Any] = {"scope": own} if own else {}
        changes |= {name: ["readers", "insiders"] for name in groups}
        expected = " ".join(filter(None, [own, scopes_of_groups if groups else ""]))
        expected = " ".join(dict.fromkeys(expected.split(" ")))
        assert told(door, header, kind, **changes) == [expected] * 3
        return
    value, expected, more = value_of(literal(cell))
    if kind == "agent's token":
        value = expected = cognito.CLIENT
        more = {"sub": cognito.CLIENT}
    assert told(door, header, kind, **{literal(cell): value} | more) == [expected] * 3


@pytest.mark.parametrize(
    ("header", "kind", "cell"),
    [cell for cell in CELLS if "`" in cell[2] and cell[0] in {"X-Email", "X-Groups"}],
)
def test_a_claim_that_is_missing(door: Door, header: str, kind: str, cell: str) -> None:
    """Its header is left out; so it is where the claim is empty."""
    is_list = header == "X-Groups"
    if is_list and kind != "person's access token":
        return  # without a group, nothing is granted
    for value in (
        ([] if is_list else "",) if kind == "session cookie" else ([] if is_list else "", cognito.ABSENT)
    ):
        assert told(door, header, kind, **{literal(cell): value}) == [None] * 3


@pytest.mark.parametrize(("header", "kind"), [cell[:2] for cell in CELLS if cell[2] == NEVER])
def test_never_with_this_credential(door: Door, header: str, kind: str) -> None:
    """Also where such a token has claims of other kinds."""
    foreign: dict[str, Any] = {"email": "x@example.com"} if kind != "session cookie" else {}
    if kind == "agent's token":
        foreign |= {"username": "x", "cognito:username": "x", "cognito:groups": ["x"]}
    assert told(door, header, kind, **foreign) == [None] * 3


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_what_the_call_says(door: Door, kind: str) -> None:
    """The other cells: how they proved it, your name, the tool, and the tools that they may call."""
    cells = {header: cell for header, of, cell in CELLS if of == kind and "`" not in cell and cell != NEVER}
    assert set(cells) == {"X-Auth-Method", "X-Server-Name", "X-Tool-Name", "X-Allowed-Tools"}
    assert told(door, "X-Auth-Method", kind) == [cells["X-Auth-Method"].strip("“”")] * 3
    assert told(door, "X-Server-Name", kind) == ["time"] * 3
    headers = credential(kind, {})
    assert asked(door, "call", headers, target="/based/mcp").header("X-Server-Name") == "based"
    assert told(door, "X-Tool-Name", kind) == ["granted", None, None]
    for request in ("call", "list", "stream"):
        tools = (asked(door, request, headers).header("X-Allowed-Tools") or "").split(",")
        assert sorted(map(unquote, tools)) == sorted(
            ["granted", "grüße 日本 🕰", "a,b c%", "back\\slash", 'quo"te', "team-*"]
        )


def test_whether_an_address_is_verified(door: Door) -> None:
    """It arrives either way, and nothing says which."""
    seen = [
        asked(door, "call", credential("person's ID token", {"email_verified": is_so}))
        for is_so in (True, False)
    ]
    assert [one.header("X-Email") for one in seen] == ["ada@example.com"] * 2
    assert (
        len({str(sorted((n, v) for n, v in one.headers if n.lower() != "x-request-id")) for one in seen}) == 1
    )


# --------------------------------------------------------------------------------- everything else that arrives

CHECKS: dict[str, Callable[[Door], None]] = {}
SENT = {
    "Mcp-Param-*": ("Mcp-Param-City", "=?base64?w7xseQ==?="),
    "Last-Event-ID": ("Last-Event-ID", "event-7"),
    "traceparent": ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    "tracestate": ("tracestate", "a=b"),
    "Accept": ("Accept", "text/event-stream;q=1, application/json;q=0.9"),
    "any other": ("X-Own-Header", "kept; as=it is"),
}


def row(name: str) -> Callable[[Callable[[Door], None]], Callable[[Door], None]]:
    """Note what checks the row of this header."""

    def noted(check: Callable[[Door], None]) -> Callable[[Door], None]:
        CHECKS[name] = check
        return check

    return noted


def title(cell: str) -> str:
    """Return the header of a row."""
    return literal(cell) if "`" in cell else cell


@pytest.mark.parametrize("name", [title(row[0]) for row in OTHERS])
def test_a_header(door: Door, name: str) -> None:
    """What the table says of it."""
    if name not in SENT:
        CHECKS[name](door)
        return
    sent, value = SENT[name]
    for kind in REQUESTS:
        assert asked(door, kind, {sent: value}).header(sent) == value


def test_no_row_is_left_over() -> None:
    """Nothing is checked that the table does not have."""
    assert {title(row[0]) for row in OTHERS} == CHECKS.keys() | SENT.keys()


@pytest.mark.parametrize("cells", OTHERS, ids=lambda cells: title(cells[0]))
def test_when_it_is_absent(door: Door, cells: list[str]) -> None:
    """The last column: never, or where there is nothing that it could come from."""
    name, absent = SENT.get(title(cells[0]), (title(cells[0]), ""))[0], cells[3]
    for kind in REQUESTS:
        seen = asked(door, kind, {"Accept": None})
        expected = absent == "never" or (absent == "there is no message" and kind != "stream")
        if name == "Accept-Encoding" and kind in RELAYED:
            expected = True
        assert (seen.header(name) is not None) == expected, (name, kind)


@row("X-Request-ID")
def _(door: Door) -> None:
    seen = {asked(door, kind, {"X-Request-ID": "mine"}).header("X-Request-ID") or "" for kind in REQUESTS}
    assert len(seen) == len(REQUESTS)
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in seen)


@row("X-Forwarded-For")
@row("X-Real-IP")
def _(door: Door) -> None:
    for kind in REQUESTS:
        seen = asked(door, kind, {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7"})
        assert seen.header("X-Forwarded-For") == seen.header("X-Real-IP")
        assert seen.header("X-Real-IP") in door.gateway.clients


@row("X-Forwarded-Host")
def _(door: Door) -> None:
    for kind in REQUESTS:
        seen = asked(door, kind, {"X-Forwarded-Host": "evil.example"})
        assert seen.header("X-Forwarded-Host") == door.host
        port = door.host.partition(":")[2]
        assert (
            asked(door, kind, {"Host": f"localhost:{port}"}).header("X-Forwarded-Host") == f"localhost:{port}"
        )


@row("X-Forwarded-Proto")
def _(door: Door) -> None:
    for kind in REQUESTS:
        assert asked(door, kind, {"X-Forwarded-Proto": "https"}).header("X-Forwarded-Proto") == "http"


@row("X-Forwarded-Prefix")
def _(door: Door) -> None:
    for kind in REQUESTS:
        assert asked(door, kind, {"X-Forwarded-Prefix": "/x"}).header("X-Forwarded-Prefix") == "/time"
    assert asked(door, target="/based/mcp").header("X-Forwarded-Prefix") == "/based"


@row("Host")
def _(door: Door) -> None:
    for kind in REQUESTS:
        assert asked(door, kind).header("Host") == door.backend.url.removeprefix("http://")


@row("Mcp-Session-Id")
def _(door: Door) -> None:
    async def begins(exchange: Exchange) -> None:
        await exchange.json({}, headers=(f"Mcp-Session-Id: {OWN}",))

    door.backend.behaviour = begins
    sealed = door.post(REQUESTS["initialize"]).header("Mcp-Session-Id") or ""
    assert OWN not in sealed
    for kind in REQUESTS:
        assert asked(door, kind, {"Mcp-Session-Id": sealed}).header("Mcp-Session-Id") == OWN
    door.backend.requests.clear()
    other = credential("session cookie", {}) | {"Mcp-Session-Id": sealed}
    door.refuses(door.post(call(), replace=other), 404, "MCP_SESSION_UNKNOWN")


def compared(door: Door, header: str, right: str, message: dict[str, Any]) -> None:
    """Check that the right one arrives, and that another is refused."""
    door.backend.requests.clear()
    assert door.passes(message, replace={header: right}).header(header) == right
    door.backend.requests.clear()
    door.refuses(door.post(message, replace={header: "another"}), 400, "HEADER_MISMATCH")


@row("MCP-Protocol-Version")
def _(door: Door) -> None:
    version = "2026-07-28"
    compared(door, "MCP-Protocol-Version", version, call(_meta={contract.META_VERSION: version}))
    assert asked(door, "stream", {"MCP-Protocol-Version": version}).header("MCP-Protocol-Version") == version


@row("Mcp-Method")
def _(door: Door) -> None:
    compared(door, "Mcp-Method", "tools/call", call())
    compared(door, "Mcp-Method", "tools/list", REQUESTS["list"])


@row("Mcp-Name")
def _(door: Door) -> None:
    compared(door, "Mcp-Name", "granted", call())
    compared(door, "Mcp-Name", "=?base64?Z3LDvMOfZSDml6XmnKwg8J+VsA==?=", call("grüße 日本 🕰"))


@row("Accept-Encoding")
def _(door: Door) -> None:
    for kind in REQUESTS:
        seen = asked(door, kind, {"Accept-Encoding": "gzip, br"})
        assert seen.header("Accept-Encoding") == ("identity" if kind in RELAYED else "gzip, br")


@row("Content-Type")
def _(door: Door) -> None:
    for value in ("application/json", "application/json; charset=utf-8"):
        for kind in REQUESTS.keys() - {"stream"}:
            assert asked(door, kind, {"Content-Type": value}).header("Content-Type") == value
    door.backend.requests.clear()
    for value in ("text/plain", "application/json; charset=latin-1"):
        door.refuses(door.post(call(), replace={"Content-Type": value}), 400, "REQUEST_INVALID")


@row("Content-Length")
def _(door: Door) -> None:
    for kind in REQUESTS.keys() - {"stream"}:
        body = b" " + compact(REQUESTS[kind]) + b"\n"
        chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
        plain = {"Content-Length": str(len(body))}
        for data, headers in (
            (body, plain),
            (chunks, {"Content-Length": None, "Transfer-Encoding": "chunked"}),
        ):
            door.backend.requests.clear()
            seen = door.passes(data, replace=headers)
            assert (seen.body, seen.header("Content-Length")) == (body, str(len(body)))
            assert seen.header("Transfer-Encoding") is None


@row("Cookie")
def _(door: Door) -> None:
    session = f"mcp_gateway_session={cookie()}"
    for kind in REQUESTS:
        assert asked(door, kind, {"Cookie": f"a=1; {session}; b=2"}).header("Cookie") == "a=1; b=2"
        assert asked(door, kind, {"Cookie": session, "Authorization": None}).header("Cookie") is None


def test_the_id_stands_in_log_and_refusals(door: Door) -> None:
    """A refusal names the request as the log does; nginx's log is written each second."""
    seen = asked(door).header("X-Request-ID") or ""
    refused = door.post(call("evil")).json()["error"]["request_id"]
    until(lambda: {seen, refused} <= set(re.findall("[0-9a-f]{32}", door.gateway.log)), "both are in the log")


def test_the_path(door: Door) -> None:
    """What follows the server's name, below the base path of its URL; the query too."""
    assert asked(door, target="/time/mcp?x=1").target == "/mcp?x=1"
    assert asked(door, target="/based/mcp?x=1").target == "/api/mcp?x=1"
    assert asked(door, "list", target="/time/mcp?x=1").target == "/mcp?x=1"


# --------------------------------------------------------------------------------------------- what never does

CLEARED = BACKEND.tables("what", "names")[0]
# What counts there, so that the gateway takes the request.
ACCEPTED = {
    "Origin": "http://{host}",
    "X-User-Pool-Id": cognito.POOL.id,
    "X-Region": cognito.POOL.region,
    "Expect": "100-continue",
    "Upgrade": "websocket",
    "Connection": "keep-alive",
}


@pytest.mark.parametrize("kind", ["call", "list", "stream"])
@pytest.mark.parametrize("cells", [row for row in CLEARED if row[0] != "cookies"], ids=lambda cells: cells[0])
def test_what_never_arrives(door: Door, cells: list[str], kind: str) -> None:
    """No header of this row, however it is written."""
    for name in names(cells[1]):
        if name == "Transfer-Encoding":
            continue  # see Content-Length
        value = ACCEPTED.get(name, "forged").replace("{host}", door.host)
        for written in (name, name.lower(), name.upper()):
            sent = {} if name == "Authorization" else {written: value}
            assert asked(door, kind, sent).every(name) == [], name


def test_cookies_that_never_arrive(door: Door) -> None:
    """Each of the gateway's own, beside one that does."""
    for name in names(CLEARED[-1][1]):
        for kind in ("call", "list", "stream"):
            sent = f"a=1; {name.replace('*', 'abc')}=x; b=2"
            assert asked(door, kind, {"Cookie": sent}).header("Cookie") == "a=1; b=2"


@pytest.mark.parametrize("name", ["X_User", "X_Own", "Mcp_Session_Id", "X-Own_Header"])
def test_names_with_an_underscore(door: Door, name: str) -> None:
    """None of them arrives."""
    for kind in ("call", "list", "stream"):
        assert not [found for found in asked(door, kind, {name: "x"}).names() if "_" in found]


def test_forward_credentials(door: Door) -> None:
    """A server that is to have them gets them as the client sent them, also from the relay."""
    session = f"a=1; mcp_gateway_session={cookie()}"
    for kind in ("call", "stream"):
        seen = asked(door, kind, {"Cookie": session}, target="/passing/mcp")
        assert (seen.header("Authorization"), seen.header("Cookie")) == (f"Bearer {door.token}", session)


def test_what_nobody_judged_arrives_nowhere(door: Door) -> None:
    """The control of the rest: the backend hears nothing of a caller without a credential."""
    answer: raw.Answer = door.post(call(), replace={"Authorization": None})
    door.refuses(answer, 401, "TOKEN_MISSING")
