"""What the backend learns about the caller, and what it must never see."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from support import cognito, raw
from support.backend import Backend, Exchange
from support.door import LIMIT, Door, call, compact, cookie, mint, refusal, rpc
from support.gateway import environment, running
from support.jwks_server import jwks_server_beside
from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

CALL = compact(call())

# Set by the gateway from what it verified.
IDENTITY = ["X-User", "X-Username", "X-Email", "X-Client-Id", "X-Scopes", "X-Groups", "X-Auth-Method"]
IDENTITY += ["X-Server-Name", "X-Tool-Name", "X-Allowed-Tools"]
# Set by the gateway from the connection.
FORWARDED = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "X-Request-ID",
]
# Of these, what the call below always has.
ALWAYS = {"X-Client-Id", "X-Scopes", "X-Auth-Method", "X-Server-Name", "X-Tool-Name", "X-Allowed-Tools"}
ALWAYS |= set(FORWARDED)
# Names that other proxies set and frameworks trust: never passed on.
TRUSTED = ["X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username"]
TRUSTED += [
    "X-Forwarded-Access-Token",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Uri",
    "Forwarded",
]
TRUSTED += [
    "X-Original-URI",
    "X-Original-URL",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Remote-User",
    "Remote-User",
]
TRUSTED += [
    "X-Authorization",
    "Proxy-Authorization",
    "Proxy",
    "X-Mcp-Server",
    "X-Mcp-Targets",
    "X-Body",
    "X-Auth-Error",
]
TRUSTED += ["X-Auth-Error-Body"]


@pytest.mark.parametrize("name", IDENTITY + FORWARDED + TRUSTED)
@pytest.mark.parametrize("kind", ["once", "twice", "lower", "upper", "underscore", "mixed", "empty"])
def test_no_header_of_a_client_speaks_for_it(door: Door, name: str, kind: str) -> None:
    """A client's own identity or forwarding header is overwritten or dropped, however it is spelt."""
    forged: tuple[tuple[str, str], ...] = {
        "once": ((name, "forged"),),
        "twice": ((name, "forged"), (name, "forged-2")),
        "lower": ((name.lower(), "forged"),),
        "upper": ((name.upper(), "forged"),),
        "underscore": ((name.replace("-", "_"), "forged"),),
        "mixed": ((name.replace("-", "_", 1), "forged"), (name.swapcase(), "forged")),
        "empty": ((name, ""),),
    }[kind]
    answer = door.post(CALL, headers=forged)
    # Proxy-Authorization may come once: nginx 1.30 holds clients to that.
    if kind == "twice" and (name == "X-Client-Id" or (name, answer.status) == ("Proxy-Authorization", 400)):
        door.refuses(answer, 400, "REQUEST_INVALID")
        return
    if kind == "underscore" and "-" not in name:
        return
    assert answer.status == 200, answer
    seen = door.backend.only()
    assert not [pair for pair in seen.headers if "forged" in pair[1]]
    assert not [pair for pair in seen.headers if "_" in pair[0]]
    assert len(seen.every(name)) == (name in ALWAYS)


def test_identity_of_an_agent(door: Door) -> None:
    """An agent's token gives its client and scopes; the user's headers stay empty, and so are not sent."""
    seen = door.passes(CALL)
    assert {name: seen.header(name) for name in IDENTITY[:-1]} == {
        "X-User": None,
        "X-Username": None,
        "X-Email": None,
        "X-Client-Id": cognito.AGENT,
        "X-Scopes": "mcp/read mcp/run",
        "X-Groups": None,
        "X-Auth-Method": "jwt",
        "X-Server-Name": "time",
        "X-Tool-Name": "granted",
    }
    assert unquote(seen.header("X-Allowed-Tools") or "").startswith("a,b c%,back\\slash,granted")


@pytest.mark.parametrize("character", ["x", '"', "é", "日", "🕰"], ids=ascii)
def test_the_longest_names(door: Door, character: str) -> None:
    """The longest name that is judged fits into every header that tells of it, allowed or denied."""
    name = "team-" + character * (8180 // len(character.encode()))
    assert unquote(door.passes(call(name)).header("X-Tool-Name") or "") == name
    door.backend.reset()
    door.refuses(door.post(call(name[1:])), 403, "ACCESS_DENIED")


def test_identity_of_a_user(door: Door) -> None:
    """A user's ID token gives name, address and groups, and the scopes that the groups map to."""
    door.token = mint("id")
    seen = door.passes(CALL)
    assert {name: seen.header(name) for name in IDENTITY[:-1]} == {
        "X-User": "ada",
        "X-Username": "ada",
        "X-Email": "ada@example.com",
        "X-Client-Id": cognito.CLIENT,
        "X-Scopes": "mcp/read",
        "X-Groups": "readers",
        "X-Auth-Method": "jwt",
        "X-Server-Name": "time",
        "X-Tool-Name": "granted",
    }


def test_identity_of_a_session(door: Door) -> None:
    """A session cookie gives its user, and says that it was one."""
    value = cookie("ada", ("readers",), email="ada@example.com")
    seen = door.passes(CALL, replace={"Authorization": None, "Cookie": f"mcp_gateway_session={value}"})
    given = [seen.header(name) for name in ("X-User", "X-Email", "X-Groups", "X-Scopes", "X-Auth-Method")]
    assert given == ["ada", "ada@example.com", "readers", "mcp/read", "session_cookie"]
    assert seen.header("X-Client-Id") is None


NAMES = [
    "ärztin",
    "日本",
    "a b",
    "a,b",
    "50%",
    "x\r\nX-Scopes: all",
    "new\nline",
    "tab\there",
    "\x00",
    '"q"',
    "🕰",
    "%2C",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("kind", ["jwt", "cookie"])
def test_names_are_percent_encoded(door: Door, kind: str, name: str) -> None:
    """No user name or group splits a header or a list, and each can be read back."""
    groups = ["readers", name]
    replace: dict[str, str | None]
    if kind == "jwt":
        replace = {
            "Authorization": f"Bearer {mint('access', **{'username': name, 'cognito:groups': groups})}"
        }
    else:
        replace = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie(name, tuple(groups))}"}
    answer = door.post(CALL, replace=replace)
    if answer.status == 401:  # a name that no user of Cognito can have
        assert re.search("[\x00-\x1f]", name)
        door.refuses(answer, 401, answer.json()["error"]["details"]["error_code"])
        return
    seen = door.backend.only()
    assert unquote(seen.header("X-User") or "") == name
    assert [unquote(group) for group in (seen.header("X-Groups") or "").split(",")] == groups
    assert re.fullmatch(r"[!-~]+", seen.header("X-User") or "")


def test_tool_names_are_percent_encoded(door: Door) -> None:
    """The tool's name reaches the backend in ASCII."""
    seen = door.passes(call("grüße 日本 🕰"))
    assert re.fullmatch(r"[!-~]+", seen.header("X-Tool-Name") or "")
    assert unquote(seen.header("X-Tool-Name") or "") == "grüße 日本 🕰"


COOKIES = {
    "a=1; mcp_gateway_session={s}; b=2": "a=1; b=2",
    "mcp_gateway_session={s}": None,
    "mcp_gateway_session={s}; a=1": "a=1",
    "a=1;mcp_gateway_session={s};b=2": "a=1;b=2",
    "a=1;  mcp_gateway_session = {s} ; b=2": "a=1; b=2",
    'a=1; mcp_gateway_session="{s}"': "a=1",
    "a=1; __Host-mcp_gateway_session={s}; b=2": "a=1; b=2",
    "a=1;\tmcp_gateway_session={s}": "a=1",
    ";;mcp_gateway_session={s};; a=1": ";;; a=1",
    "mcp_gateway_session={s}; mcp_gateway_session={s}": None,
    "a=mcp_gateway_session; b=2": "a=mcp_gateway_session; b=2",
    "xmcp_gateway_session=1; mcp_gateway_session_x=2": "xmcp_gateway_session=1; mcp_gateway_session_x=2",
    "a=b=c; mcp_gateway_session={s}=": "a=b=c",
    "a=ü; b=2": "a=ü; b=2",
}


@pytest.mark.parametrize("sent", COOKIES)
def test_the_session_cookie_stays_here(door: Door, sent: str) -> None:
    """The session cookie never reaches a backend, beside a token either; other cookies do."""
    session = cookie()
    answer = door.post(CALL, replace={"Cookie": sent.format(s=session)})
    if sent.count("{s}") == 2:
        door.refuses(answer, 400, "REQUEST_INVALID")
        return
    assert answer.status == 200
    seen = door.backend.only()
    assert session not in str(seen.headers)
    expected = COOKIES[sent]
    assert seen.header("Cookie") == (expected and expected.encode().decode("latin-1"))


def test_several_cookie_headers(door: Door) -> None:
    """A session cookie in the second of two Cookie headers is found, and taken out."""
    session = cookie()
    cookies = (("Cookie", "a=1"), ("Cookie", f"mcp_gateway_session={session}"), ("Cookie", "b=2"))
    seen = door.passes(CALL, replace={"Authorization": None}, headers=cookies)
    assert seen.header("X-Auth-Method") == "session_cookie"
    assert session not in str(seen.headers)
    assert sorted(re.split("; *", "; ".join(seen.every("Cookie")))) == ["a=1", "b=2"]


def test_large_cookies(door: Door) -> None:
    """Cookies pass up to 16 kB; above, the request is refused as what it is, and a stranger's is 401 as ever."""
    many = tuple(("Cookie", f"c{number}={'x' * 4000}") for number in range(50))
    assert len(door.passes(CALL, headers=many[:4]).header("Cookie") or "") > 16_000
    door.backend.reset()
    door.refuses(door.post(CALL, headers=many), 400, "REQUEST_INVALID")
    answer = door.post(CALL, headers=many, replace={"Authorization": None})
    door.refuses(answer, 401, "TOKEN_MISSING")
    assert "resource_metadata=" in (answer.header("WWW-Authenticate") or "")


def test_tokens_stay_here(door: Door) -> None:
    """The token reaches no backend in any header."""
    seen = door.passes(CALL)
    assert door.token not in str(seen.headers)
    assert "authorization" not in seen.names()


def test_forward_credentials(door: Door) -> None:
    """A server that must have the credentials gets them, as the client sent them."""
    session = f"a=1; mcp_gateway_session={cookie()}"
    seen = door.passes(CALL, target="/passing/mcp", replace={"Cookie": session})
    assert seen.header("Authorization") == f"Bearer {door.token}"
    assert seen.header("Cookie") == session


def test_forward_credentials_is_one_servers_alone(door: Door) -> None:
    """What one server may have, the others do not get."""
    with raw.Connection(door.gateway.address) as connection:
        for target in ("/passing/mcp", "/time/mcp", "/default/mcp"):
            connection.send(door.message(CALL, target=target))
            assert connection.answer().status == 200
    assert [seen.header("Authorization") is not None for seen in door.backend.requests] == [
        True,
        False,
        False,
    ]


def test_where_a_request_came_from(door: Door) -> None:
    """The backend sees its own Host, and the client's in X-Forwarded-*, which no client can preset."""
    forged = tuple((name, "203.0.113.7, evil.example") for name in FORWARDED)
    seen = door.passes(CALL, headers=forged)
    client = seen.header("X-Real-IP")
    assert client in door.gateway.clients
    assert {name: seen.header(name) for name in ["Host", *FORWARDED[:-1]]} == {
        "Host": f"127.0.0.1:{door.backend.port}",
        "X-Forwarded-For": client,
        "X-Forwarded-Host": door.host,
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/time",
        "X-Real-IP": client,
    }
    assert re.fullmatch("[0-9a-f]{32}", seen.header("X-Request-ID") or "")


@pytest.mark.parametrize(
    "names", ["X-User", "X-User, X-Scopes, X-Forwarded-For, Host", "close, Authorization", "X-Auth-Method"]
)
def test_hop_by_hop_tricks(door: Door, names: str) -> None:
    """A client cannot have the gateway's headers dropped by naming them in Connection."""
    door.token = mint("access")
    seen = door.passes(CALL, headers=(("Connection", names), ("Keep-Alive", "timeout=1"), ("TE", "trailers")))
    assert seen.header("X-User") == "ada"
    assert seen.header("X-Scopes") == "openid email mcp/read"
    assert not seen.names() & {"keep-alive", "te", "upgrade", "authorization"}
    assert seen.header("Connection") in {None, "keep-alive", ""}


def test_upgrades_are_not_passed_on(door: Door) -> None:
    """No client opens a tunnel through the gateway."""
    seen = door.passes(CALL, headers=(("Connection", "Upgrade"), ("Upgrade", "websocket")))
    assert "upgrade" not in seen.names()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("Last-Event-ID", "event-7"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Param-City", "=?base64?w7xseQ==?="),
        ("Accept", "application/json, text/event-stream"),
        ("User-Agent", "a client"),
        ("X-Custom", "kept"),
    ],
)
def test_what_passes(door: Door, name: str, value: str) -> None:
    """Headers that mean something to MCP, and those that mean nothing here, pass unchanged."""
    assert door.passes(CALL, replace={name: value}).header(name) == value


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/based/mcp", "/api/mcp"),
        ("/based/mcp/", "/api/mcp/"),
        ("/based/mcp/a/b?x=1&y=%20", "/api/mcp/a/b?x=1&y=%20"),
        ("/based/sse?x", "/api/sse?x"),
        ("/slashed/mcp", "/mcp"),
        ("/open", "/all"),
        ("/open/", "/all/"),
        ("/open?x", "/all?x"),
        ("/open/a/b?x=1&y=%20", "/all/a/b?x=1&y=%20"),
        ("/endpoint/mcp", "/api/mcp"),
        ("/endpoint/sse", "/api/sse"),
        ("/sse/mcp", "/mcp"),
        ("/sse/messages/?session_id=1", "/messages/?session_id=1"),
        ("/default/mcp", "/mcp"),
        ("/mixed-case.v1_2/mcp", "/mcp"),
    ],
)
def test_base_paths(door: Door, target: str, expected: str) -> None:
    """`--server NAME=URL/base` puts the base in front of what follows the name; the query stays."""
    assert door.passes(CALL, target=target).target == expected


@pytest.mark.parametrize(
    "value", ["", " ", "Bearer", "Bearer ", "Basic YTpi", "Token x", "x", "Bearer x y", "Bearer a.b.c"]
)
def test_authorization_never_falls_back_to_the_cookie(door: Door, value: str) -> None:
    """An Authorization header alone decides, also one with nothing in it."""
    session = f"mcp_gateway_session={cookie()}"
    answer = door.post(CALL, replace={"Authorization": value, "Cookie": session})
    door.refuses(answer, 401, "TOKEN_MALFORMED")
    assert door.post(CALL, replace={"Authorization": None, "Cookie": session}).status == 200


def test_no_credential(door: Door) -> None:
    """Without a credential the challenge says where to find out more, and names no error (RFC 6750, 3.1)."""
    answer = door.post(CALL, replace={"Authorization": None})
    door.refuses(answer, 401, "TOKEN_MISSING")
    where = f"{door.gateway.base_url}/.well-known/oauth-protected-resource/time/mcp"
    assert answer.header("WWW-Authenticate") == f'Bearer resource_metadata="{where}"'


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1_700_000_000, "iat": 1_699_990_000, "auth_time": 1_699_990_000}, "TOKEN_EXPIRED"),
        ({"iss": cognito.OTHER_ISSUER}, "INVALID_ISSUER"),
        ({"client_id": "another"}, "INVALID_AUDIENCE"),
        ({"token_use": "refresh"}, "INVALID_TOKEN_USE"),
    ],
)
def test_bad_tokens(door: Door, changes: dict[str, Any], code: str) -> None:
    """A bad token is 401 with one challenge, the reason, and where the issuer describes itself."""
    answer = door.post(CALL, replace={"Authorization": f"Bearer {mint(**changes)}"})
    error = door.refuses(answer, 401, code)
    assert (answer.header("WWW-Authenticate") or "").startswith('Bearer error="invalid_token", ')
    assert error["details"]["discovery_url"] == f"{cognito.ISSUER}/.well-known/openid-configuration"


def test_bad_signature(door: Door) -> None:
    """A token that another key signed under this one's name is refused."""
    stranger = cognito.SigningKey(cognito.key().kid, cognito.key("stranger").private)
    token = cognito.mint(signer=stranger, now=int(time.time()))
    answer = door.post(CALL, replace={"Authorization": f"Bearer {token}"})
    door.refuses(answer, 401, "INVALID_SIGNATURE")


def test_a_scope_that_would_help(door: Door) -> None:
    """A 403 names the scope that would allow the call, once, where a token could carry it."""
    answer = door.post(CALL, target="/secret/mcp")
    door.refuses(answer, 403, "ACCESS_DENIED")
    challenge = answer.header("WWW-Authenticate") or ""
    assert challenge.startswith('Bearer error="insufficient_scope", scope="mcp/secret"')


def test_a_scope_that_would_not_help(door: Door) -> None:
    """A 403 has no challenge where no scope allows the call, or where a cookie is the credential."""
    answer = door.post(call("evil"))
    door.refuses(answer, 403, "ACCESS_DENIED")
    assert answer.header("WWW-Authenticate") is None
    session = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie()}"}
    answer = door.post(CALL, target="/secret/mcp", replace=session)
    door.refuses(answer, 403, "ACCESS_DENIED")
    assert answer.header("WWW-Authenticate") is None


@pytest.mark.parametrize("changed", ["x{}", "{}x", "{}.{}", "", "a.b.c"])
def test_bad_cookies(door: Door, changed: str) -> None:
    """A cookie that this gateway did not sign is 401."""
    value = changed.replace("{}", cookie())
    answer = door.post(CALL, replace={"Authorization": None, "Cookie": f"mcp_gateway_session={value}"})
    door.refuses(answer, 401, "SESSION_INVALID")


def test_a_credential_counts_only_where_it_belongs(door: Door) -> None:
    """A token is no session and a session no token, also just after each was let in where it belongs."""
    token, session = mint(), cookie()
    belongs = [
        {"Authorization": f"Bearer {token}"},
        {"Authorization": None, "Cookie": f"mcp_gateway_session={session}"},
    ]
    assert [door.post(CALL, replace=own).status for own in belongs] == [200, 200]
    door.backend.requests.clear()
    answer = door.post(CALL, replace={"Authorization": None, "Cookie": f"mcp_gateway_session={token}"})
    door.refuses(answer, 401, "SESSION_INVALID")
    answer = door.post(CALL, replace={"Authorization": f"Bearer {session}"})
    door.refuses(answer, 401, "TOKEN_MALFORMED")


@pytest.mark.parametrize(
    ("name", "value"), [("X-User-Pool-Id", "us-east-1_Evil00000"), ("X-Region", "us-east-1")]
)
def test_pool_headers_add_no_pool(door: Door, name: str, value: str) -> None:
    """The Registry's headers may name the pool of the token, and no other."""
    door.refuses(door.post(CALL, headers=((name, value),)), 401, "INVALID_ISSUER")
    honest = (("X-User-Pool-Id", cognito.POOL.id), ("X-Region", cognito.POOL.region))
    assert not door.passes(CALL, headers=honest).names() & {"x-user-pool-id", "x-region"}


@pytest.mark.parametrize(
    "body", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000]
)
def test_a_broken_backend(door: Door, body: bytes) -> None:
    """A backend that hangs up before its answer is whole is 502, and is not asked twice."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.send(body)
        exchange.writer.close()

    door.backend.behaviour = behaviour
    answer = door.post(CALL)
    refusal(answer, 502, "UPSTREAM_UNAVAILABLE")
    assert len(door.backend.requests) == 1


def test_a_backend_that_is_away(door: Door) -> None:
    """A server that does not answer is 502, after the decision: the refused are told nothing."""
    door.refuses(door.post(CALL, target="/gone/mcp"), 502, "UPSTREAM_UNAVAILABLE")
    door.refuses(door.post(call("evil"), target="/gone/mcp"), 403, "ACCESS_DENIED")
    door.refuses(door.post(CALL, target="/gone/mcp", replace={"Authorization": None}), 401, "TOKEN_MISSING")


def test_no_keys(door: Door, tmp_path: Path) -> None:
    """Before any keys are known a token is 503 with Retry-After, and a cookie still counts."""
    with jwks_server_beside({"keys": []}) as pool, Backend() as backend:
        pool.fault = "500 Internal Server Error"
        with running({"time": backend.url}, environment(pool.url, door.scopes), cwd=tmp_path) as gateway:
            there = Door(gateway, backend, door.secret, door.token, door.scopes)
            answer = there.post(CALL)
            there.refuses(answer, 503, "KEYS_UNAVAILABLE")
            assert int(answer.header("Retry-After") or "") > 0
            session = f"mcp_gateway_session={cookie()}"
            there.passes(CALL, replace={"Authorization": None, "Cookie": session})
            pool.document, pool.fault = cognito.jwks(), ""
            until(lambda: there.post(CALL).status == 200, "the keys are fetched", seconds=30, every=0.2)


def test_no_sidecar(door: Door, tmp_path: Path) -> None:
    """Where the sidecar does not answer, everything is 503 with Retry-After and nothing is let through."""
    with (
        jwks_server_beside(cognito.jwks()) as pool,
        Backend() as backend,
        running({"time": backend.url}, environment(pool.url, door.scopes), cwd=tmp_path) as gateway,
    ):
        there = Door(gateway, backend, door.secret, door.token, door.scopes)
        assert there.post(CALL).status == 200
        backend.reset()
        sidecars = gateway.children(" serve ")
        for pid in sidecars:
            os.kill(pid, signal.SIGSTOP)
        try:
            bodies = (CALL, compact(rpc("initialize")), compact(call("evil")))
            waiting = [raw.Connection(gateway.address) for _ in bodies]
            for connection, body in zip(waiting, bodies, strict=True):
                connection.send(there.message(body))
            for connection in waiting:
                with connection:
                    answer = connection.answer()
                there.refuses(answer, 503, "AUTH_UNAVAILABLE")
                assert int(answer.header("Retry-After") or "") > 0
        finally:
            for pid in sidecars:
                os.kill(pid, signal.SIGCONT)


def test_logs_hold_no_credential(door: Door) -> None:
    """Neither a token nor a cookie nor a query is in what the gateway writes."""
    session = cookie()
    door.passes(
        CALL, target="/time/mcp?key=query-secret", replace={"Cookie": f"mcp_gateway_session={session}"}
    )
    until(lambda: '"path":"/time/mcp"' in door.gateway.log, "the access log")
    for secret in (door.token, session, "query-secret"):
        assert secret not in door.gateway.log


def test_logs_hold_no_query_where_something_fails(door: Door) -> None:
    """What nginx says of a failed request names neither its query nor where it came from."""
    referrer = (("Referer", "http://127.0.0.1/?key=referrer-secret"),)
    target = "/gone/mcp?key=query-secret"
    assert door.post(CALL, target=target, headers=referrer).status == 502
    too_large: dict[str, str | None] = {"Content-Length": str(LIMIT + 1)}
    assert door.send(door.message(b"", target=target, headers=referrer, replace=too_large)).status == 413
    until(lambda: '"status":413' in door.gateway.log, "the access log")
    for secret in ("query-secret", "referrer-secret"):
        assert secret not in door.gateway.log
