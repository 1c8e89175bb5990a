"""Outcome → answer: the contract's statuses, headers and bodies, and what auth_request can carry of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server import contract
from auth_server.errors import (
    ErrorCode,
    Forbidden,
    HeaderMismatch,
    InvalidParams,
    InvalidRequest,
    Misdirected,
    Navigation,
    NoSuchMethod,
    NotHere,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamLate,
    UpstreamUnavailable,
    WrongMethod,
)
from auth_server.model import AuthMethod, Identity, Kind, Name, Target
from auth_server.validate import responses
from auth_server.validate.responses import About, Answer

NOW = 1_800_000_000.25
ABOUT = About("request-1", "https://gw.example/metadata", "https://issuer.example/openid", '"id-1"')
EXPIRED = Unauthenticated(ErrorCode.TOKEN_EXPIRED, "the token “x” has\\ended")
EVERY: dict[Refusal, tuple[int, str]] = {
    EXPIRED: (401, "AuthenticationError"),
    Forbidden(ErrorCode.ACCESS_DENIED, "no"): (403, "AuthorizationError"),
    Navigation("a page"): (403, "AuthorizationError"),
    InvalidRequest("unclear"): (400, "RequestError"),
    HeaderMismatch("other"): (400, "RequestError"),
    InvalidParams("nameless"): (400, "RequestError"),
    NoSuchMethod("gone"): (404, "RequestError"),
    Misdirected("elsewhere"): (421, "RequestError"),
    NotHere("nothing"): (404, "RequestError"),
    TooLarge("large"): (413, "RequestError"),
    WrongMethod("only", allowed=("GET", "POST")): (405, "RequestError"),
    Unavailable(ErrorCode.KEYS_UNAVAILABLE, "later", retry_after=7): (503, "ServiceError"),
    UpstreamUnavailable("gone"): (502, "ServiceError"),
    UpstreamLate("slow"): (504, "ServiceError"),
}
REFUSALS = pytest.mark.parametrize("refusal", EVERY, ids=lambda refusal: type(refusal).__name__)


def refused(refusal: Refusal, about: About = ABOUT) -> tuple[Answer, dict[str, str], dict[str, Any]]:
    """Return an answer, its headers, none of which comes twice, and its body."""
    answer = responses.refused(refusal, about, now=NOW)
    headers = {name.decode(): value.decode("ascii") for name, value in answer.headers}
    assert len(headers) == len(answer.headers)
    return answer, headers, json.loads(answer.body)


def headers_of(answer: Answer) -> dict[bytes, bytes]:
    found = dict(answer.headers)
    assert len(found) == len(answer.headers)
    return found


# ------------------------------------------------------------------------------------------------------ allowed


def test_what_is_said_of_a_call() -> None:
    """Scopes by space, groups by comma, server, tool, and the tools that may be called."""
    target = Target("time", "tools/call", (Name(Kind.TOOLS, "a,b"),))
    assert responses.call_headers(
        target, scopes=["a/b", "c d"], groups=["x,y", "z"], tools=["a,b", "p*"]
    ) == [
        (b"x-scopes", b"a/b c%20d"),
        (b"x-groups", b"x%2Cy,z"),
        (b"x-server-name", b"time"),
        (b"x-tool-name", b"a%2Cb"),
        (b"x-allowed-tools", b"a%2Cb,p*"),
    ]


@pytest.mark.parametrize("names", [(), (Name(Kind.PROMPTS, "now"),)])
def test_only_a_tool_is_told_as_one(names: tuple[Name, ...]) -> None:
    """A prompt or a resource is in no header of a tool's."""
    found = responses.call_headers(Target("time", "prompts/get", names), scopes=(), groups=(), tools=[])
    assert dict(found)[contract.TOOL_NAME] == b""


def test_every_identity_header_is_there() -> None:
    """An absent header would let a client's own of that name through some proxies."""
    call = responses.call_headers(Target("time", None), scopes=(), groups=(), tools=[])
    answer = responses.allowed(responses.caller_headers(Identity(AuthMethod.JWT, NOW)), call)
    found = headers_of(answer)
    assert (answer.status, answer.body) == (200, b"")
    assert set(contract.IDENTITY) <= set(found)
    assert {name: value for name, value in found.items() if value} == {
        b"x-auth-method": b"jwt",
        b"x-server-name": b"time",
        b"content-length": b"0",
    }


def test_a_user_is_told_under_both_names() -> None:
    """X-User and X-Username are both in use; no text can end a header."""
    identity = Identity(AuthMethod.SESSION_COOKIE, NOW, "grüße\r\nX: y", "a@b.c", "client 1")
    found = headers_of(responses.allowed(responses.caller_headers(identity), [(b"x-log-name", b"more")]))
    assert found[b"x-user"] == found[b"x-username"] == b"gr%C3%BC%C3%9Fe%0D%0AX:%20y"
    assert (found[b"x-email"], found[b"x-client-id"]) == (b"a@b.c", b"client%201")
    assert (found[b"x-auth-method"], found[b"x-log-name"]) == (b"session_cookie", b"more")


# ------------------------------------------------------------------------------------------------------ refused


def test_every_refusal_is_here() -> None:
    """A new kind of refusal needs a row."""

    def kinds(of: type[Refusal]) -> set[type[Refusal]]:
        return {of, *(kind for below in of.__subclasses__() for kind in kinds(below))}

    assert {type(refusal) for refusal in EVERY} == kinds(Refusal) - {Refusal}


@REFUSALS
def test_a_refusal(refusal: Refusal) -> None:
    """Status and type are those of the contract; the body is a JSON-RPC error as well, for this very request."""
    answer, headers, body = refused(refusal)
    status, kind = EVERY[refusal]
    assert answer.status == status == responses.status_of(refusal)
    error = body.pop("error")
    assert body == {"jsonrpc": "2.0", "id": "id-1", "success": False}
    assert (error["type"], error["message"], error["request_id"]) == (kind, refusal.message, "request-1")
    assert error["timestamp"] == "2027-01-15T08:00:00.250Z"
    assert error["details"]["error_code"] == refusal.code.value == headers["x-auth-error"]
    assert isinstance(error["code"], int)
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")
    assert int(headers["content-length"]) == len(answer.body)
    assert answer.body.isascii()
    assert b"\n" not in answer.body


def test_the_codes_of_json_rpc() -> None:
    """JSON-RPC has some for requests; MCP has one of its own for headers that do not agree (SEP-2243)."""
    codes = {type(refusal): refused(refusal)[2]["error"]["code"] for refusal in EVERY}
    assert codes.pop(HeaderMismatch) == -32020
    assert codes.pop(InvalidRequest) == -32600
    assert codes.pop(NoSuchMethod) == -32601
    assert codes.pop(InvalidParams) == -32602
    assert set(codes.values()) == {-32000}


@pytest.mark.parametrize("written", ["", "1" * 257, '"' + "x" * 255 + '"'])
def test_an_id_that_is_none_or_too_long(written: str) -> None:
    """An error without the request's id says null (JSON-RPC 2.0, section 5)."""
    assert refused(EXPIRED, About(id=written))[2]["id"] is None


@pytest.mark.parametrize("written", ["1", "-1.5e3", "1" * 256, '"\\u00e9"'])
def test_an_id_comes_back_as_it_was(written: str) -> None:
    """A number keeps its digits."""
    assert f'"id":{written},'.encode() in refused(EXPIRED, About(id=written))[0].body


def test_the_challenge_of_a_bad_credential() -> None:
    """RFC 6750 and RFC 9728: what is wrong, in ASCII without quotes, and where to learn how to get a good one."""
    _, headers, body = refused(EXPIRED)
    assert headers["www-authenticate"] == (
        'Bearer error="invalid_token", error_description="the token \'x\' has/ended", '
        'resource_metadata="https://gw.example/metadata"'
    )
    assert body["error"]["details"]["discovery_url"] == "https://issuer.example/openid"


def test_the_challenge_without_a_credential() -> None:
    """No error where nothing was sent (RFC 6750, section 3.1), and no more than is known."""
    missing = Unauthenticated(ErrorCode.TOKEN_MISSING, "none")
    challenge = refused(missing)[1]["www-authenticate"]
    assert challenge == 'Bearer resource_metadata="https://gw.example/metadata"'
    _, headers, body = refused(missing, About())
    assert headers["www-authenticate"] == "Bearer"
    assert "discovery_url" not in body["error"]["details"]


def test_a_scope_that_would_help() -> None:
    """403 challenges for a scope alone (RFC 6750, section 3.1), and only where there is one."""
    denied = Forbidden(ErrorCode.ACCESS_DENIED, "no", scope="mcp/run")
    assert refused(denied)[1]["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="mcp/run", error_description="no", '
        'resource_metadata="https://gw.example/metadata"'
    )
    assert "www-authenticate" not in refused(Forbidden(ErrorCode.ACCESS_DENIED, "no"))[1]


def test_what_helps_comes_along() -> None:
    """Which methods there are, and when to ask again; on no other answer."""
    found = {type(refusal): refused(refusal)[1] for refusal in EVERY}
    assert found[WrongMethod]["allow"] == "GET, POST"
    assert found[Unavailable]["retry-after"] == "7"
    for name in ("allow", "retry-after"):
        assert sum(name in headers for headers in found.values()) == 1
    assert sum("discovery_url" in refused(refusal)[2]["error"]["details"] for refusal in EVERY) == 1


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_can_break_out_of_a_header(message: str) -> None:
    """Whatever a message holds, the challenge is printable ASCII with its quotes in pairs, the body one line."""
    answer, headers, body = refused(Unauthenticated(ErrorCode.TOKEN_MALFORMED, message))
    challenge = headers["www-authenticate"]
    assert re.fullmatch(r'Bearer (?:[a-z_]+="[ !#-\[\]-~]*"(?:, |$))+', challenge)
    assert answer.body.isascii()
    assert min(answer.body) >= ord(" ")
    assert body["error"]["message"] == message


# --------------------------------------------------------------------------------------------------- for nginx


@REFUSALS
def test_what_auth_request_carries(refusal: Refusal) -> None:
    """It takes 401, 403 and 503; the client's own status and the body come in headers, as on any answer."""
    answer, *_ = refused(refusal)
    carried = responses.for_nginx(answer, ABOUT, [(b"x-log-method", b"ping")])
    found = headers_of(carried)
    assert carried.status == (answer.status if answer.status in {401, 403, 503} else 403)
    assert int(found[b"x-auth-status"]) == answer.status
    assert found[b"x-auth-error-body"] == answer.body == carried.body
    assert found[b"x-log-method"] == b"ping"
    assert set(headers_of(answer).items()) <= set(found.items())
    assert b"x-auth-location" not in found


def test_where_a_person_is_sent() -> None:
    """Instead of any refusal, where something else is for them; programs are sent nowhere."""
    person = About(page="https://gw.example/oauth2/login/cognito?redirect=%2Ftime")
    for refusal in EVERY:
        answer = responses.refused(refusal, person, now=NOW)
        found = headers_of(responses.for_nginx(answer, person, []))
        assert found.get(b"x-auth-location") == person.page.encode()
