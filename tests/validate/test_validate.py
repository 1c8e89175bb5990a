"""/validate over a socket, asked as nginx asks: what the contract promises of each answer."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
import pytest
from support.cognito import AGENT, CLIENT, ISSUER, OTHER_ISSUER, POOL, jwks, key, mint
from support.door import call, rpc
from support.offline import OfflineSidecar
from support.sidecar import GATEWAY_URL, SCOPES, SECRET_KEY, UNSET, Sidecar, as_nginx_asks, running

from auth_server import contract
from auth_server.identity import session_cookie
from auth_server.validate import validate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

IDENTITY = [name.decode() for name in contract.IDENTITY]
NOW_CALL, CONVERT, ERASE = call("now"), call("convert"), call("erase")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path) as running_sidecar:
        yield running_sidecar


def bearer(kind: str = "agent", changes: dict[str, Any] | None = None) -> dict[str, str]:
    return {"authorization": f"Bearer {mint(kind, changes, now=int(time.time()))}"}


def cookie(username: str = "ada", groups: tuple[str, ...] = ("readers",)) -> dict[str, str]:
    session = session_cookie.Session(username, groups, "sid-1", "ada@example.com")
    return {"cookie": f"mcp_gateway_session={session_cookie.mint(session, [SECRET_KEY], now=time.time())}"}


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the error object of a refusal with which the client is told this status."""
    body = response.json()
    error: dict[str, Any] = body["error"]
    assert response.headers["x-auth-status"] == str(status)
    assert response.status_code == (status if status in {401, 403, 503} else 403)
    assert response.headers["x-auth-error"] == error["details"]["error_code"] == code
    assert json.loads(response.headers["x-auth-error-body"]) == body
    return error


# ------------------------------------------------------------------------------------------------------ who


async def test_an_agent_with_a_grant(sidecar: Sidecar) -> None:
    """An M2M token with the scope is let in, with every identity header and empty user headers."""
    response = await sidecar.ask(NOW_CALL, **bearer())
    assert response.status_code == 200
    assert {name: response.headers[name] for name in IDENTITY} == {
        "x-user": "",
        "x-username": "",
        "x-email": "",
        "x-client-id": AGENT,
        "x-scopes": "mcp/read mcp/run",
        "x-groups": "",
        "x-auth-method": "jwt",
        "x-server-name": "time",
        "x-tool-name": "now",
        "x-allowed-tools": "convert,get_*,now",
    }


async def test_a_user_with_a_group(sidecar: Sidecar) -> None:
    """A user's ID token brings name, mail and groups; the groups' scopes count."""
    response = await sidecar.ask(call("write"), server="notes", **bearer("id"))
    assert response.status_code == 200
    assert response.headers["x-user"] == response.headers["x-username"] == "ada"
    assert response.headers["x-email"] == "ada@example.com"
    assert response.headers["x-groups"] == "readers"
    assert response.headers["x-scopes"] == "by-group"
    assert response.headers["x-allowed-tools"] == "*"


async def test_either_app_client(sidecar: Sidecar) -> None:
    """Both the user's and the agent's app client count."""
    access = await sidecar.ask(NOW_CALL, **bearer("access", {"scope": "mcp/read"}))
    assert (access.status_code, access.headers["x-client-id"]) == (200, CLIENT)


async def test_a_session_cookie(sidecar: Sidecar) -> None:
    """A session cookie stands for its user and groups."""
    response = await sidecar.ask(NOW_CALL, server="notes", **cookie())
    assert response.status_code == 200
    assert response.headers["x-auth-method"] == "session_cookie"
    assert response.headers["x-username"] == "ada"
    assert response.headers["x-client-id"] == ""


async def test_names_outside_ascii_and_separators_are_encoded(sidecar: Sidecar) -> None:
    """A group with comma and space, a user name with a line break: none can forge another."""
    who = cookie("grüße\r\nX-User: root", ("a,b c", "z"))
    response = await sidecar.ask(NOW_CALL, server="notes", **who)
    assert response.status_code == 200
    assert response.headers["x-groups"] == "a%2Cb%20c,z"
    assert unquote(response.headers["x-user"]) == "grüße\r\nX-User: root"
    assert response.headers["x-user"].isascii()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "TOKEN_MISSING"),
        ({"authorization": ""}, "TOKEN_MALFORMED"),
        ({"authorization": "Basic dTpw"}, "TOKEN_MALFORMED"),
        ({"authorization": "Bearer"}, "TOKEN_MALFORMED"),
        ({"authorization": "Bearer a.b.c d"}, "TOKEN_MALFORMED"),
        ({"authorization": "Bearer x"}, "TOKEN_MALFORMED"),
        ({"cookie": "mcp_gateway_session=x"}, "SESSION_INVALID"),
    ],
)
async def test_no_or_bad_credential(sidecar: Sidecar, headers: dict[str, str], code: str) -> None:
    """No credential and a bad one are 401, with the challenge of RFC 6750 and RFC 9728."""
    response = await sidecar.ask(NOW_CALL, x_original_uri="/time/mcp?x=1", **headers)
    error = refused(response, 401, code)
    assert (error["type"], error["request_id"]) == ("AuthenticationError", "request-1")
    assert error["details"]["discovery_url"] == f"{ISSUER}/.well-known/openid-configuration"
    challenge = response.headers["www-authenticate"]
    assert 'resource_metadata="https://gw.example/.well-known/oauth-protected-resource/time/mcp"' in challenge
    assert ("invalid_token" in challenge) == (code != "TOKEN_MISSING")


@pytest.mark.parametrize("path", ["/time/" + "a" * 1025, "/time/<a>", "/notes/mcp", ""])
async def test_no_metadata_of_a_path_that_is_none(sidecar: Sidecar, path: str) -> None:
    """Nothing of a stranger's goes into a challenge that is not the path of this server."""
    response = await sidecar.ask(NOW_CALL, x_original_uri=path)
    assert "oauth-protected-resource" not in response.headers.get("www-authenticate", "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1}, "TOKEN_EXPIRED"),
        ({"nbf": 2**40}, "TOKEN_NOT_YET_VALID"),
        ({"iss": OTHER_ISSUER}, "INVALID_ISSUER"),
        ({"client_id": "stranger", "sub": "stranger"}, "INVALID_AUDIENCE"),
        ({"token_use": "refresh"}, "INVALID_TOKEN_USE"),
    ],
)
async def test_faulty_tokens(sidecar: Sidecar, changes: dict[str, Any], code: str) -> None:
    """Each fault of a token has its code."""
    refused(await sidecar.ask(NOW_CALL, **bearer(changes=changes)), 401, code)


async def test_a_bad_token_never_falls_back_to_the_cookie(sidecar: Sidecar) -> None:
    """Authorization, when present, alone decides."""
    response = await sidecar.ask(NOW_CALL, server="notes", authorization="Bearer x", **cookie())
    refused(response, 401, "TOKEN_MALFORMED")


async def test_duplicates_are_refused(sidecar: Sidecar) -> None:
    """Two Authorization headers, or two session cookies, have no one meaning."""
    good = ("authorization", bearer()["authorization"])
    refused(await sidecar.ask(NOW_CALL, good, good), 400, "REQUEST_INVALID")
    value = cookie()["cookie"]
    refused(await sidecar.ask(NOW_CALL, cookie=f"{value}; {value}"), 400, "REQUEST_INVALID")


async def test_naming_a_pool_chooses_and_never_adds(sidecar: Sidecar) -> None:
    """X-User-Pool-Id and X-Region must agree with the token; X-Client-Id is the token's own business."""
    named = {"x_user_pool_id": POOL.id, "x_region": POOL.region, "x_client_id": "other"}
    agree = await sidecar.ask(NOW_CALL, **bearer(), **named)
    assert (agree.status_code, agree.headers["x-client-id"]) == (200, AGENT)
    for other in ({"x_user_pool_id": "us-east-1_Mine00000"}, {"x_region": "us-east-1"}):
        refused(await sidecar.ask(NOW_CALL, **bearer(), **other), 401, "INVALID_ISSUER")


@pytest.mark.parametrize(
    ("audience", "server", "counts"),
    [
        (f"{GATEWAY_URL}/time/mcp", "time", True),
        (f"{GATEWAY_URL}/time", "time", True),
        (GATEWAY_URL, "time", True),
        (f"{GATEWAY_URL}/notes/mcp", "time", False),
        (f"{GATEWAY_URL}/timetable", "time", False),
        ("https://elsewhere.example/time/mcp", "time", False),
    ],
)
async def test_a_bound_token_is_held_to_its_server(
    sidecar: Sidecar, audience: str, server: str, counts: bool
) -> None:
    """A token bound to one server's URL (RFC 8707) is no credential for another, also where others may call."""
    assert (await sidecar.ask(NOW_CALL, server=server, **bearer())).status_code == 200
    response = await sidecar.ask(NOW_CALL, server=server, **bearer(changes={"aud": audience}))
    if counts:
        assert response.status_code == 200
    else:
        refused(response, 401, "INVALID_AUDIENCE")


async def test_rotated_keys_are_found(sidecar: Sidecar) -> None:
    """A token of a new key is accepted after one fetch."""
    sidecar.jwks.document = jwks("access", "id", "next")
    token = mint(signer=key("next"), now=int(time.time()))
    assert (await sidecar.ask(NOW_CALL, authorization=f"Bearer {token}")).status_code == 200


async def test_no_keys_yet(tmp_path: Path) -> None:
    """Without any keys nobody is let in and nobody is called unknown: 503, and it heals by itself."""
    async with running(tmp_path, fault="500") as sidecar:
        response = await sidecar.ask(NOW_CALL, **bearer())
        refused(response, 503, "KEYS_UNAVAILABLE")
        assert int(response.headers["retry-after"]) >= 1
        assert (await sidecar.client.get("/readyz")).status_code == 503
        assert (await sidecar.client.get("/healthz")).status_code == 200
        sidecar.jwks.fault = ""
        while (await sidecar.client.get("/readyz")).status_code != 200:
            pass
        assert (await sidecar.ask(NOW_CALL, **bearer())).status_code == 200


async def test_without_a_secret_key_no_cookie_counts(tmp_path: Path) -> None:
    """No SECRET_KEY: sessions are off, tokens go on."""
    async with running(tmp_path, SECRET_KEY=UNSET) as sidecar:
        refused(await sidecar.ask(NOW_CALL, server="notes", **cookie()), 401, "SESSION_INVALID")
        assert (await sidecar.ask(NOW_CALL, **bearer())).status_code == 200


# ----------------------------------------------------------------------------------------------------- what


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"x_mcp_server": ""}, 400, "REQUEST_INVALID"),
        ({"x_mcp_server": "../time"}, 400, "REQUEST_INVALID"),
        ({"x_original_uri": "/time/../notes/mcp"}, 400, "REQUEST_INVALID"),
        ({"x_original_method": "PUT"}, 405, "REQUEST_INVALID"),
        ({"content_type": "text/plain"}, 400, "REQUEST_INVALID"),
        ({"x_original_length": "1"}, 400, "REQUEST_INVALID"),
        ({"host": "evil.example"}, 421, "REQUEST_INVALID"),
        ({"origin": "https://evil.example"}, 403, "ORIGIN_MISMATCH"),
        ({"mcp_method": "tools/list"}, 400, "HEADER_MISMATCH"),
        ({"mcp_name": "=?base64?!?="}, 400, "HEADER_MISMATCH"),
    ],
)
async def test_malformed_questions(sidecar: Sidecar, changes: dict[str, str], status: int, code: str) -> None:
    """What cannot be judged leaves as 403, which auth_request carries, with the status that the client is told."""
    refused(await sidecar.ask(NOW_CALL, **bearer(), **changes), status, code)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        *((message, -32600) for message in (b"", b"{", b"[]", b"\xff", rpc("tools/call", {"name": ""}))),
        (rpc("tools/call"), -32602),
    ],
)
async def test_malformed_messages(sidecar: Sidecar, message: bytes | dict[str, Any], code: int) -> None:
    """A POST whose message did not come along, or has no one meaning, is never let through."""
    error = refused(await sidecar.ask(message, **bearer()), 400, "REQUEST_INVALID")
    assert error["code"] == code


async def test_a_body_that_nobody_would_judge(sidecar: Sidecar) -> None:
    """A GET or DELETE has none."""
    for method in ("GET", "DELETE"):
        response = await sidecar.ask(method=method, x_original_length="5", **bearer())
        refused(response, 400, "REQUEST_INVALID")


async def test_who_is_asked_before_what(sidecar: Sidecar) -> None:
    """A stranger's message is not read, and learns nothing of what there is."""
    for message in (b"{", call("now"), call("erase")):
        refused(await sidecar.ask(message, server="ghost"), 401, "TOKEN_MISSING")


async def test_a_strangers_message_is_taken_to_its_end(sidecar: Sidecar) -> None:
    """Or nginx may take the answer for a broken one; the connection goes on."""
    large = call("now", arguments={"text": "x" * 2_000_000})
    for _ in range(2):
        refused(await sidecar.ask(large), 401, "TOKEN_MISSING")
    assert (await sidecar.ask(large, **bearer())).status_code == 200


async def test_an_error_answers_its_request(sidecar: Sidecar) -> None:
    """The id is the message's own, once it is known; nobody who is unknown has it read."""
    message = call("erase") | {"id": "id-7"}
    denied = await sidecar.ask(message, **bearer())
    assert denied.json()["id"] == "id-7"
    mismatch = await sidecar.ask(message, mcp_name="now", **bearer())
    assert (mismatch.json()["id"], mismatch.json()["error"]["code"]) == ("id-7", -32020)
    assert (await sidecar.ask(message)).json()["id"] is None


async def test_the_clients_version_is_compared(sidecar: Sidecar) -> None:
    """MCP-Protocol-Version and what the message says in `_meta` are one."""
    message = rpc("ping", {"_meta": {contract.META_VERSION: "2026-07-28"}})
    agree = await sidecar.ask(message, mcp_protocol_version="2026-07-28", **bearer())
    assert agree.status_code == 200
    differ = await sidecar.ask(message, mcp_protocol_version="2025-06-18", **bearer())
    refused(differ, 400, "HEADER_MISMATCH")


# ------------------------------------------------------------------------------------------------------ may


LISTEN = {"notifications": {"resourceSubscriptions": ["file:///docs/a"]}}


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, 200),
        (rpc("initialize"), 200),
        (rpc("server/discover"), 200),
        ({"jsonrpc": "2.0", "method": "notifications/progress"}, 200),
        (rpc("logging/setLevel"), 403),
        (rpc("tasks/get", {"taskId": "task-1"}), 403),
        (rpc("completion/complete", {"ref": {"type": "ref/prompt", "name": "plan"}}), 200),
        (rpc("completion/complete", {"ref": {"type": "ref/resource", "uri": "plan"}}), 403),
        (rpc("subscriptions/listen", LISTEN), 200),
        (rpc("subscriptions/listen"), 200),
        (
            rpc(
                "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///docs/a", "b"]}}
            ),
            403,
        ),
        (
            rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///docs/../b"]}}),
            403,
        ),
        (call("get_rates"), 200),
        (call("Now"), 403),
    ],
)
async def test_what_each_message_needs(sidecar: Sidecar, message: dict[str, Any], status: int) -> None:
    """The handshake and what has no method need any grant; all else its method and every name."""
    assert (await sidecar.ask(message, **bearer())).status_code == status


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_stream_needs_a_grant_on_its_server(sidecar: Sidecar, method: str) -> None:
    """Any one; a grant elsewhere is none here."""
    assert (await sidecar.ask(method=method, **bearer())).status_code == 200
    refused(await sidecar.ask(method=method, server="notes", **bearer()), 403, "ACCESS_DENIED")


async def test_denied_with_a_scope_to_ask_for(sidecar: Sidecar) -> None:
    """A token that lacks a scope is told which; the message names the call."""
    response = await sidecar.ask(CONVERT, **bearer(changes={"scope": "mcp/read"}))
    error = refused(response, 403, "ACCESS_DENIED")
    assert error["type"] == "AuthorizationError"
    assert error["message"] == "no scope grants tools/call convert on time"
    assert 'error="insufficient_scope", scope="mcp/run"' in response.headers["www-authenticate"]


async def test_denied_where_only_a_group_could(sidecar: Sidecar) -> None:
    """No challenge where no token could carry the right, nor for a session."""
    by_group = await sidecar.ask(NOW_CALL, server="notes", **bearer())
    session = await sidecar.ask(NOW_CALL, **cookie())
    nowhere = await sidecar.ask(ERASE, **bearer())
    for response in (by_group, session, nowhere):
        refused(response, 403, "ACCESS_DENIED")
        assert "www-authenticate" not in response.headers


async def test_an_unknown_server(sidecar: Sidecar) -> None:
    """A server that no scope names is 403 SERVER_UNKNOWN."""
    refused(await sidecar.ask(NOW_CALL, server="ghost", **bearer()), 403, "SERVER_UNKNOWN")


async def test_a_groups_name_is_no_scope(sidecar: Sidecar) -> None:
    """A group called like a scope grants nothing."""
    who = cookie(groups=("by-group", "mcp/read"))
    refused(await sidecar.ask(NOW_CALL, server="notes", **who), 403, "ACCESS_DENIED")


async def test_a_good_edit_is_in_force_within_two_seconds(sidecar: Sidecar) -> None:
    """What the file takes away is gone."""
    assert (await sidecar.ask(NOW_CALL, **bearer())).status_code == 200
    sidecar.scopes_file.write_text("mcp/read: []\n")
    started = time.monotonic()
    while (await sidecar.ask(NOW_CALL, **bearer())).status_code == 200:
        assert time.monotonic() - started < 2


# -------------------------------------------------------------------------------------- by the headers alone


async def test_who_may_send_anything_is_asked_by_the_headers_alone(sidecar: Sidecar) -> None:
    """Before a large message is read, it is known that its sender has some grant on that server."""
    early = {
        "path": contract.VALIDATE_HEADERS,
        "x_original_length": "3000000",
        "content_type": "application/json",
    }
    assert (await sidecar.ask(method="POST", **bearer(), **early)).status_code == 200
    refused(await sidecar.ask(method="POST", **early), 401, "TOKEN_MISSING")
    refused(await sidecar.ask(method="POST", server="notes", **bearer(), **early), 403, "ACCESS_DENIED")
    foreign = {"host": "evil.example", "mcp_method": "erase"}
    refused(await sidecar.ask(method="POST", **bearer(), **early, **foreign), 421, "REQUEST_INVALID")


# ---------------------------------------------------------------------------------------- what nginx is told


async def test_what_nginx_logs_of_a_call(sidecar: Sidecar) -> None:
    """Method and name as they were judged, percent-encoded, also of a refused call."""
    name = "žluť x"
    for who, message in ((bearer(), call("now")), (bearer(), call(name))):
        response = await sidecar.ask(message, **who)
        assert response.headers["x-log-method"] == "tools/call"
        assert unquote(response.headers["x-log-name"]) == message["params"]["name"]
    unread = await sidecar.ask(NOW_CALL)
    assert not {"x-log-method", "x-log-name"} & unread.headers.keys()


async def test_which_cookies_go_on(sidecar: Sidecar) -> None:
    """The client's own, without the gateway's; none where it sent none."""
    session = cookie()["cookie"]
    response = await sidecar.ask(NOW_CALL, server="notes", cookie=f"a=b; {session}; c=d")
    assert response.headers["x-backend-cookie"] == "a=b; c=d"
    assert (await sidecar.ask(NOW_CALL, server="notes", cookie=session)).headers["x-backend-cookie"] == ""
    assert "x-backend-cookie" not in (await sidecar.ask(NOW_CALL, **bearer())).headers


PERSON = {"accept": "text/html,application/xhtml+xml;q=0.9", "sec_fetch_mode": "navigate"}


async def test_a_person_is_sent_to_sign_in(sidecar: Sidecar) -> None:
    """Who opens an address with a browser goes back to it afterwards."""
    raw = "/time/mcp?a=1&b=ü".encode().decode("latin-1")
    response = await sidecar.ask(x_original_uri=raw, **PERSON)
    expected = f"{GATEWAY_URL}/oauth2/login/cognito?redirect=%2Ftime%2Fmcp%3Fa%3D1%26b%3D%C3%BC"
    assert response.headers["x-auth-location"] == expected
    long = await sidecar.ask(x_original_uri=f"/time/mcp?{'a' * 1100}", **PERSON)
    assert long.headers["x-auth-location"].endswith("?redirect=%2F")
    old = await sidecar.ask(accept="text/html")
    assert "x-auth-location" in old.headers
    unclear = await sidecar.ask(x_original_uri="/time//mcp", **PERSON)
    refused(unclear, 400, "REQUEST_INVALID")
    assert "x-auth-location" not in unclear.headers


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        (NOW_CALL, PERSON),
        (None, PERSON | {"authorization": "Bearer x"}),
        (None, PERSON | {"sec_fetch_mode": "cors"}),
        (None, PERSON | {"accept": "application/json, text/event-stream"}),
        (None, PERSON | {"accept": "text/htmlx"}),
        (None, {}),
    ],
)
async def test_a_program_is_told_401(sidecar: Sidecar, message: Any, headers: dict[str, str]) -> None:
    """Programs post, offer a token, or ask for something else than a page."""
    response = await sidecar.ask(message, **headers)
    assert (response.status_code, "x-auth-location" in response.headers) == (401, False)


async def test_a_person_who_is_known_is_sent_to_the_gateways_page(sidecar: Sidecar) -> None:
    """An MCP server's address is no page: 403 for nginx, and where there is one; whatever the path or server."""
    for message in ({"server": "notes"}, {"server": "nosuch"}, {"x_original_uri": "/time/admin"}):
        response = await sidecar.ask(**cookie(), **PERSON, **message)
        refused(response, 403, "ORIGIN_MISMATCH")
        assert response.headers["x-auth-location"] == f"{GATEWAY_URL}/"
        assert "www-authenticate" not in response.headers


async def test_a_navigation_with_a_token_is_told_403(sidecar: Sidecar) -> None:
    """No person sends a token: nothing is there to go to."""
    response = await sidecar.ask(sec_fetch_mode="navigate", **bearer())
    refused(response, 403, "ORIGIN_MISMATCH")
    assert "x-auth-location" not in response.headers
    posted = await sidecar.ask(NOW_CALL, sec_fetch_mode="navigate", **cookie())
    refused(posted, 403, "ORIGIN_MISMATCH")
    assert "x-auth-location" not in posted.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "sec_fetch_dest": "empty"},
        {"sec_fetch_site": "same-origin", "sec_fetch_dest": "image"},
        {"service_worker": "script"},
    ],
)
async def test_what_a_browser_does_by_itself(sidecar: Sidecar, headers: dict[str, str]) -> None:
    """403, once the credential is known to be good, also where the message is still to come."""
    asked = await sidecar.ask(call("any"), server="notes", **cookie(), **headers)
    refused(asked, 403, "ORIGIN_MISMATCH")
    early = await sidecar.ask(
        call("any"), server="notes", path=contract.VALIDATE_HEADERS, **cookie(), **headers
    )
    refused(early, 403, "ORIGIN_MISMATCH")
    refused(await sidecar.ask(call("any"), server="notes", **headers), 401, "TOKEN_MISSING")
    honest = await sidecar.ask(call("any"), server="notes", sec_fetch_site="same-origin", **cookie())
    assert honest.status_code == 200


# ----------------------------------------------------------------------------------------------------- the path


async def test_a_path_that_is_not_for_mcp(sidecar: Sidecar) -> None:
    """404 for who has a grant on the server, before and after the message came; the others hear what they did."""
    for path in (contract.VALIDATE, contract.VALIDATE_HEADERS):
        for message in (NOW_CALL, ERASE, b"{"):
            response = await sidecar.ask(message, path=path, x_original_uri="/time/admin", **bearer())
            refused(response, 404, "PATH_UNKNOWN")
        stranger = bearer(changes={"scope": "openid"})
        response = await sidecar.ask(NOW_CALL, path=path, x_original_uri="/time/admin", **stranger)
        refused(response, 403, "ACCESS_DENIED")
        response = await sidecar.ask(NOW_CALL, path=path, x_original_uri="/time/admin")
        refused(response, 401, "TOKEN_MISSING")


async def test_a_path_that_nginx_names(sidecar: Sidecar) -> None:
    """By the server's entry; it is asked anew for each path, also by a caller who is known."""
    for _ in range(2):
        for path, named, status in (
            ("/time/rpc", "/rpc", 200),
            ("/time/rpc", "/x", 403),
            ("/time/rpc", "/x /rpc", 200),
            ("/time", "/", 200),
        ):
            response = await sidecar.ask(NOW_CALL, x_original_uri=path, x_mcp_paths=named, **bearer())
            assert response.status_code == status


# --------------------------------------------------------------------------------------- failing, and the log


async def test_an_error_of_ours_lets_nobody_in(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong inside, at any step, is 503 AUTH_UNAVAILABLE, and the log holds no token."""
    headers = bearer()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(headers["authorization"])

    for step in ("request.read", "message.parse", "grants.decide"):
        with monkeypatch.context() as patched:
            patched.setattr(f"auth_server.validate.validate.{step}", fail)
            refused(await sidecar.ask(NOW_CALL, **headers), 503, "AUTH_UNAVAILABLE")
    with monkeypatch.context() as patched:
        patched.setattr("auth_server.validate.validate.grants.decide", fail)
        early = await sidecar.ask(
            method="POST", path=contract.VALIDATE_HEADERS, content_type="application/json", **headers
        )
        refused(early, 503, "AUTH_UNAVAILABLE")
    assert "RuntimeError at " in caplog.text
    assert headers["authorization"][7:30] not in caplog.text


async def test_refusals_are_logged_in_one_line_without_the_credential(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says who was refused what, and holds nothing secret."""
    with caplog.at_level(logging.INFO, "auth_server"):
        headers = bearer()
        await sidecar.ask(ERASE, **headers, x_request_id="r-7")
    (fields,) = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "refused"]
    assert (fields["request_id"], fields["error_code"]) == ("r-7", "ACCESS_DENIED")
    assert (fields["server"], fields["target"]) == ("time", "tools/call%20erase")
    assert headers["authorization"][7:40] not in str([record.__dict__ for record in caplog.records])


async def test_readyz_tells_keys_and_policy(sidecar: Sidecar) -> None:
    """/readyz names the keys' age and the policy in force, and what was wrong with a bad edit."""
    sidecar.scopes_file.write_text("nonsense: {")
    deadline = time.monotonic() + 5
    while not (state := (await sidecar.client.get("/readyz")).json())["policy"]["last_error"]:
        assert time.monotonic() < deadline
    assert "scopes.yml:" in state["policy"]["last_error"]
    assert len(state["policy"]["digest"]) == 64
    assert state["keys"][0]["keys"] == len(jwks()["keys"])
    assert (await sidecar.ask(NOW_CALL, **bearer())).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
async def test_nginx_asks_by_get_and_post_alone(sidecar: Sidecar, method: str) -> None:
    """Any other question is none."""
    response = await sidecar.client.request(method, "/validate", headers=[("host", "gw.example")])
    assert response.status_code == 404


# ------------------------------------------------------------------------- decisions that are remembered


@pytest.fixture
def offline(tmp_path: Path) -> OfflineSidecar:
    return OfflineSidecar(tmp_path)


async def told(offline: OfflineSidecar, who: dict[str, str], *names: str, tool: str = "now") -> list[str]:
    """Return what a call that is allowed says in these headers; the error's code of one that is not."""
    answer = await offline.answer(as_nginx_asks(call(tool), **who), now=time.time())
    found = {name.decode(): value.decode() for name, value in answer.headers}
    return [found[name] for name in names] if answer.status == 200 else [found["x-auth-error"]]


def user(name: str, *groups: str, scope: str = "mcp/read") -> dict[str, str]:
    """Return the credential of a user with that name and those groups."""
    return bearer("access", {"username": name, "scope": scope, "cognito:groups": list(groups)})


async def test_callers_with_the_same_rights_keep_their_names(offline: OfflineSidecar) -> None:
    """What is remembered of a call says nothing of who made it."""
    for name in ("ada", "bob"):
        assert await told(offline, user(name), "x-user", "x-client-id") == [name, CLIENT]
    assert await told(offline, bearer(changes={"scope": "mcp/read"}), "x-user") == [""]


async def test_what_is_remembered_of_one_caller_permits_nothing_to_another(offline: OfflineSidecar) -> None:
    """Callers who differ in scopes or in groups are each judged, and each told their own."""
    assert await told(offline, user("ada"), "x-scopes", "x-groups") == ["mcp/read", ""]
    grouped = await told(offline, user("ada", "readers"), "x-scopes", "x-groups")
    assert grouped == ["mcp/read by-group", "readers"]
    assert await told(offline, user("ada", scope="mcp/other")) == ["ACCESS_DENIED"]
    assert await told(offline, user("ada", "mcp/read", scope="openid")) == ["ACCESS_DENIED"]


async def test_a_new_policy_is_asked_at_once(offline: OfflineSidecar) -> None:
    """What the old scopes.yml permitted, or refused, the new one is asked about."""
    assert await told(offline, user("ada"), "x-user") == ["ada"]
    assert await told(offline, user("ada", scope="late/comer")) == ["ACCESS_DENIED"]
    offline.edit("mcp/read: []\n")
    assert await told(offline, user("ada")) == ["SERVER_UNKNOWN"]
    offline.edit(SCOPES.replace("mcp/run:", "late/comer:").replace("[convert,", "[now,"))
    assert await told(offline, user("ada", scope="late/comer"), "x-user") == ["ada"]


async def test_calls_are_told_apart(offline: OfflineSidecar) -> None:
    """Another tool is another call."""
    assert await told(offline, bearer(), "x-tool-name") == ["now"]
    assert await told(offline, bearer(), "x-tool-name", tool="convert") == ["convert"]
    assert await told(offline, bearer(), tool="erase") == ["ACCESS_DENIED"]


@pytest.mark.parametrize("long", [1, 1000])
async def test_what_is_remembered_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: int
) -> None:
    """Calls that are never made again push each other out, the longer the sooner."""
    monkeypatch.setattr(validate, "ALLOWED_BYTES", 30_000)
    offline = OfflineSidecar(tmp_path)
    for number in range(40):
        tool = "get_" + str(number) * long
        assert await told(offline, bearer(), "x-tool-name", tool=tool) == [tool]
    assert 0 < len(offline.validator._allowed) <= (30 if long == 1 else 10)


async def test_the_tools_that_are_listed_are_those_of_the_policy_in_force(offline: OfflineSidecar) -> None:
    """What is remembered of one policy or caller is told under no other."""
    one, both = user("ada"), user("ada", scope="mcp/read mcp/run")
    for who, tools in ((one, "now"), (both, "convert,get_*,now"), (one, "now")):
        assert await told(offline, who, "x-allowed-tools") == [tools]
    offline.edit(SCOPES.replace("tools: [now]", "tools: [now, later]"))
    for who, tools in ((one, "later,now"), (both, "convert,get_*,later,now")):
        assert await told(offline, who, "x-allowed-tools") == [tools]
