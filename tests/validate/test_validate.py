"""`GET /validate` over a socket: what the contract promises to nginx."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from support.cognito import AGENT, CLIENT, ISSUER, OTHER_ISSUER, POOL, jwks, key, mint
from support.sidecar import SECRET_KEY, UNSET, Sidecar, running
from support.waiting import eventually

from auth_server.identity import session_cookie

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

IDENTITY = [
    "x-user",
    "x-username",
    "x-email",
    "x-client-id",
    "x-scopes",
    "x-groups",
    "x-auth-method",
    "x-server-name",
    "x-tool-name",
    "x-allowed-tools",
]
CALL = {"x_mcp_server": "time", "x_original_method": "POST", "mcp_method": "tools/call", "mcp_name": "now"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path) as running_sidecar:
        yield running_sidecar


def bearer(kind: str = "agent", changes: dict[str, Any] | None = None) -> dict[str, str]:
    return {"authorization": f"Bearer {mint(kind, changes, now=int(time.time()))}"}


def cookie(username: str = "ada", groups: tuple[str, ...] = ("readers",), *, age: int = 0) -> dict[str, str]:
    session = session_cookie.Session(username, groups, "sid-1", "ada@example.com")
    return {
        "cookie": f"mcp_gateway_session={session_cookie.mint(session, [SECRET_KEY], now=time.time() - age)}"
    }


def error_of(response: Any) -> dict[str, Any]:
    """Return the error object, after checking the body's form and that header and body agree."""
    body = response.json()
    assert body["success"] is False
    error = body["error"]
    assert set(error) == {"type", "message", "details", "timestamp", "request_id"}
    assert error["timestamp"].endswith("Z")
    assert response.headers["x-auth-error"] == error["details"]["error_code"]
    assert json.loads(response.headers["x-auth-error-body"]) == body
    return dict(error)


async def test_agent_with_a_grant(sidecar: Sidecar) -> None:
    """An M2M token with the scope is let in, with every identity header and empty user headers."""
    response = await sidecar.ask(**bearer(), **CALL)
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
    assert response.headers["cache-control"] == "max-age=5"


async def test_user_with_a_group(sidecar: Sidecar) -> None:
    """A user's ID token brings name, mail and groups; the groups' scopes count."""
    asked = CALL | {"x_mcp_server": "notes", "mcp_name": "write"}
    response = await sidecar.ask(**bearer("id"), **asked)
    assert response.status_code == 200
    assert response.headers["x-user"] == response.headers["x-username"] == "ada"
    assert response.headers["x-email"] == "ada@example.com"
    assert response.headers["x-groups"] == "readers"
    assert response.headers["x-scopes"] == "by-group"
    assert response.headers["x-allowed-tools"] == "*"


async def test_session_cookie(sidecar: Sidecar) -> None:
    """A session cookie stands for its user and groups."""
    response = await sidecar.ask(**cookie(), **CALL | {"x_mcp_server": "notes"})
    assert response.status_code == 200
    assert response.headers["x-auth-method"] == "session_cookie"
    assert response.headers["x-username"] == "ada"
    assert response.headers["x-client-id"] == ""


async def test_names_outside_ascii_and_separators_are_encoded(sidecar: Sidecar) -> None:
    """A group with comma and space, a user name with a line break: none can forge another."""
    response = await sidecar.ask(
        **cookie("grüße\r\nX-User: root", ("a,b c", "z")), **CALL | {"x_mcp_server": "notes"}
    )
    assert response.status_code == 200
    assert response.headers["x-groups"] == "a%2Cb%20c,z"
    assert unquote(response.headers["x-user"]) == "grüße\r\nX-User: root"
    assert response.headers["x-user"].isascii()


@pytest.mark.parametrize(("ttl", "left", "max_age"), [("5", 3600, 5), ("60", 20, 20), ("0", 3600, 0)])
async def test_max_age(tmp_path: Path, ttl: str, left: int, max_age: int) -> None:
    """nginx may keep an answer for DECISION_TTL, and never beyond the credential's life."""
    now = int(time.time())
    async with running(tmp_path, DECISION_TTL=ttl) as sidecar:
        response = await sidecar.ask(**bearer(changes={"exp": now + left}), **CALL)
    assert response.status_code == 200
    granted = int(response.headers["cache-control"].removeprefix("max-age="))
    assert max_age - 2 <= granted <= max_age


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
    response = await sidecar.ask(**headers, **CALL, x_original_uri="/time/mcp?x=1", x_request_id="r-1")
    assert response.status_code == 401
    error = error_of(response)
    assert (error["type"], error["details"]["error_code"]) == ("AuthenticationError", code)
    assert error["request_id"] == "r-1"
    assert error["details"]["discovery_url"] == f"{ISSUER}/.well-known/openid-configuration"
    challenge = response.headers["www-authenticate"]
    assert 'resource_metadata="https://gw.example/.well-known/oauth-protected-resource/time/mcp"' in challenge
    assert ("invalid_token" in challenge) == (code != "TOKEN_MISSING")


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
    response = await sidecar.ask(**bearer(changes=changes), **CALL)
    assert (response.status_code, error_of(response)["details"]["error_code"]) == (401, code)


async def test_a_bad_token_never_falls_back_to_the_cookie(sidecar: Sidecar) -> None:
    """Authorization, when present, alone decides."""
    response = await sidecar.ask(authorization="Bearer x", **cookie(), **CALL | {"x_mcp_server": "notes"})
    assert response.status_code == 401


async def test_duplicates_are_refused(sidecar: Sidecar) -> None:
    """Two Authorization headers, or two session cookies, have no one meaning."""
    good = bearer()["authorization"]
    twice = await sidecar.ask(("Authorization", good), ("Authorization", good), **CALL)
    value = cookie()["cookie"]
    cookies = await sidecar.ask(cookie=f"{value}; {value}", **CALL)
    for response in (twice, cookies):
        assert response.status_code == 403
        assert error_of(response)["details"]["error_code"] == "REQUEST_INVALID"


@pytest.mark.parametrize(
    "changes",
    [
        {"x_mcp_server": ""},
        {"x_mcp_server": "../time"},
        {"x_original_method": "PUT"},
        {"mcp_name": ""},
        {"mcp_name": "=?base64?!?="},
        {"mcp_method": "tools call"},
        {"x_mcp_targets": "{"},
    ],
)
async def test_malformed_questions(sidecar: Sidecar, changes: dict[str, str]) -> None:
    """What cannot be judged leaves as 403 REQUEST_INVALID; a missing server among it."""
    response = await sidecar.ask(**bearer(), **CALL | changes)
    assert response.status_code == 403
    assert error_of(response)["details"]["error_code"] == "REQUEST_INVALID"
    assert error_of(response)["type"] == "RequestError"


async def test_denied_with_a_scope_to_ask_for(sidecar: Sidecar) -> None:
    """A token that lacks a scope is told which; the message names the call."""
    response = await sidecar.ask(**bearer(changes={"scope": "mcp/read"}), **CALL | {"mcp_name": "convert"})
    assert response.status_code == 403
    error = error_of(response)
    assert (error["type"], error["details"]["error_code"]) == ("AuthorizationError", "ACCESS_DENIED")
    assert error["message"] == "no scope grants tools/call convert on time"
    assert 'error="insufficient_scope", scope="mcp/run"' in response.headers["www-authenticate"]


async def test_denied_where_only_a_group_could(sidecar: Sidecar) -> None:
    """No challenge where no token could carry the right, nor for a session."""
    by_group = await sidecar.ask(**bearer(), **CALL | {"x_mcp_server": "notes"})
    session = await sidecar.ask(**cookie(), **CALL)
    nowhere = await sidecar.ask(**bearer(), **CALL | {"mcp_name": "erase"})
    for response in (by_group, session, nowhere):
        assert response.status_code == 403
        assert "www-authenticate" not in response.headers


async def test_unknown_server(sidecar: Sidecar) -> None:
    """A server that no scope names is 403 SERVER_UNKNOWN, after the credential was judged."""
    known = await sidecar.ask(**bearer(), **CALL | {"x_mcp_server": "ghost"})
    stranger = await sidecar.ask(**CALL | {"x_mcp_server": "ghost"})
    assert (known.status_code, error_of(known)["details"]["error_code"]) == (403, "SERVER_UNKNOWN")
    assert stranger.status_code == 401


async def test_a_groups_name_is_no_scope(sidecar: Sidecar) -> None:
    """A group called like a scope grants nothing."""
    response = await sidecar.ask(
        **cookie(groups=("by-group", "mcp/read")), **CALL | {"x_mcp_server": "notes"}
    )
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"x_original_method": "GET"}, 200),
        ({"x_original_method": "DELETE"}, 200),
        ({"x_original_method": "POST"}, 200),
        ({"mcp_method": "initialize"}, 200),
        ({"mcp_method": "server/discover"}, 200),
        ({"mcp_method": "notifications/progress"}, 200),
        ({"mcp_method": "logging/setLevel"}, 403),
        ({"mcp_method": "tasks/get", "mcp_name": "task-1"}, 403),
        (
            {
                "mcp_method": "completion/complete",
                "mcp_name": "plan",
                "x_mcp_targets": '[{"prompts":"plan"}]',
            },
            200,
        ),
        (
            {
                "mcp_method": "completion/complete",
                "mcp_name": "plan",
                "x_mcp_targets": '[{"resources":"plan"}]',
            },
            403,
        ),
        ({"mcp_method": "subscriptions/listen", "x_mcp_targets": '["file:///docs/a"]'}, 200),
        ({"mcp_method": "subscriptions/listen", "x_mcp_targets": '["file:///docs/a","file:///etc/b"]'}, 403),
        ({"mcp_method": "subscriptions/listen", "x_mcp_targets": '["file:///docs/../etc/b"]'}, 403),
        ({"mcp_method": "subscriptions/listen"}, 200),
        ({"mcp_method": "tools/call", "mcp_name": "get_rates"}, 200),
        ({"mcp_method": "tools/call", "mcp_name": "Now"}, 403),
    ],
)
async def test_what_each_message_needs(sidecar: Sidecar, asked: dict[str, str], status: int) -> None:
    """The handshake and what has no method need any grant; all else its method and every name."""
    headers = {"x_mcp_server": "time", "x_original_method": "POST"} | asked
    response = await sidecar.ask(**bearer(), **headers)
    assert response.status_code == status


async def test_the_handshake_needs_a_grant_on_that_server(sidecar: Sidecar) -> None:
    """A grant elsewhere is none here."""
    response = await sidecar.ask(**bearer(), x_mcp_server="notes", x_original_method="GET")
    assert response.status_code == 403


async def test_naming_a_pool_chooses_and_never_adds(sidecar: Sidecar) -> None:
    """X-User-Pool-Id and X-Region must agree with the token; X-Client-Id is the token's own business."""
    agree = await sidecar.ask(
        **bearer(), **CALL, x_user_pool_id=POOL.id, x_region=POOL.region, x_client_id="other"
    )
    pool = await sidecar.ask(**bearer(), **CALL, x_user_pool_id="us-east-1_Mine00000")
    region = await sidecar.ask(**bearer(), **CALL, x_region="us-east-1")
    assert agree.status_code == 200
    assert agree.headers["x-client-id"] == AGENT
    for response in (pool, region):
        assert (response.status_code, error_of(response)["details"]["error_code"]) == (401, "INVALID_ISSUER")


async def test_no_keys_yet(tmp_path: Path) -> None:
    """Without any keys nobody is let in and nobody is called unknown: 503, and it heals by itself."""
    async with running(tmp_path, fault="500") as sidecar:
        response = await sidecar.ask(**bearer(), **CALL)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert error_of(response)["details"]["error_code"] == "KEYS_UNAVAILABLE"
        assert (await sidecar.client.get("/readyz")).status_code == 503
        assert (await sidecar.client.get("/healthz")).status_code == 200
        sidecar.jwks.fault = ""
        while (await sidecar.client.get("/readyz")).status_code != 200:
            pass
        assert (await sidecar.ask(**bearer(), **CALL)).status_code == 200


async def test_an_error_of_ours_lets_nobody_in(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong inside is 503 AUTH_UNAVAILABLE, and the log holds no token."""
    headers = bearer()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(headers["authorization"])

    monkeypatch.setattr("auth_server.policy.decide", fail)
    response = await sidecar.ask(**headers, **CALL)
    assert response.status_code == 503
    assert error_of(response)["details"]["error_code"] == "AUTH_UNAVAILABLE"
    assert headers["authorization"][7:30] not in caplog.text


async def test_without_a_secret_key_no_cookie_counts(tmp_path: Path) -> None:
    """No SECRET_KEY: sessions are off, tokens go on."""
    async with running(tmp_path, SECRET_KEY=UNSET) as sidecar:
        refused = await sidecar.ask(**cookie(), **CALL | {"x_mcp_server": "notes"})
        assert (refused.status_code, error_of(refused)["details"]["error_code"]) == (401, "SESSION_INVALID")
        assert (await sidecar.ask(**bearer(), **CALL)).status_code == 200


async def test_refusals_are_logged_in_one_line_without_the_credential(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says who was refused what, and holds nothing secret."""
    logging.getLogger("auth_server").propagate = True
    with caplog.at_level(logging.INFO, "auth_server"):
        headers = bearer()
        await sidecar.ask(**headers, **CALL | {"mcp_name": "erase"}, x_request_id="r-7")
    records = [record for record in caplog.records if record.getMessage() == "refused"]
    assert [vars(record)["fields"]["request_id"] for record in records] == ["r-7"]
    assert headers["authorization"][7:40] not in str([record.__dict__ for record in records])


async def test_readyz_tells_keys_and_policy(sidecar: Sidecar) -> None:
    """/readyz names the keys' age and the policy in force, and what was wrong with a bad edit."""
    sidecar.scopes_file.write_text("nonsense: {")
    deadline = time.monotonic() + 5
    while not (state := (await sidecar.client.get("/readyz")).json())["policy"]["last_error"]:
        assert time.monotonic() < deadline
    assert "scopes.yml:" in state["policy"]["last_error"]
    assert len(state["policy"]["digest"]) == 64
    assert state["keys"][0]["keys"] == len(jwks()["keys"])
    assert (await sidecar.ask(**bearer(), **CALL)).status_code == 200


async def test_a_good_edit_is_in_force_within_two_seconds(sidecar: Sidecar) -> None:
    """What the file takes away is gone."""
    assert (await sidecar.ask(**bearer(), **CALL)).status_code == 200
    sidecar.scopes_file.write_text("mcp/read: []\n")
    started = time.monotonic()
    while (await sidecar.ask(**bearer(), **CALL)).status_code == 200:
        assert time.monotonic() - started < 2


async def test_rotated_keys_are_found(sidecar: Sidecar) -> None:
    """A token of a new key is accepted after one fetch."""
    sidecar.jwks.document = jwks("access", "id", "next")
    token = mint(signer=key("next"), now=int(time.time()))
    assert (await sidecar.ask(authorization=f"Bearer {token}", **CALL)).status_code == 200


async def test_clients(sidecar: Sidecar) -> None:
    """Both the user's and the agent's app client count."""
    access = await sidecar.ask(**bearer("access", {"scope": "mcp/read"}), **CALL)
    assert access.status_code == 200
    assert access.headers["x-client-id"] == CLIENT
    await eventually(lambda: sidecar.jwks.requests >= 1)
