"""What an MCP server answers comes back; what it says beside that steers neither browser, client nor gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import raw
from support.door import call, compact, cookie, refusal

from auth_server import contract

if TYPE_CHECKING:
    from support.backend import Behaviour, Exchange
    from support.door import Door

CALL = compact(call())
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# By the contract, and in the words of a hostile backend.
HOSTILE = {
    "Set-Cookie": "mcp_gateway_session=evil; Path=/",
    "Set-Cookie2": "mcp_gateway_session=evil",
    "Clear-Site-Data": '"*"',
    "Service-Worker-Allowed": "/",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Public-Key-Pins": 'pin-sha256="x"; max-age=5184000',
    "Refresh": "0; url=https://evil.example/",
    "Alt-Svc": 'h2="evil.example:443"; ma=86400',
    "NEL": '{"report_to":"x","max_age":86400}',
    "Report-To": '{"group":"x","endpoints":[{"url":"https://evil.example/"}]}',
    "Reporting-Endpoints": 'x="https://evil.example/"',
    "Content-Security-Policy-Report-Only": "default-src 'none'; report-uri https://evil.example/",
    "Access-Control-Allow-Origin": "https://evil.example",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Methods": "*",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Expose-Headers": "*",
    "Access-Control-Max-Age": "86400",
    "Access-Control-Allow-Private-Network": "true",
    "Timing-Allow-Origin": "*",
    "X-Auth-Error": "TOKEN_EXPIRED",
    "X-Auth-Status": "401",
    "X-Auth-Location": "https://evil.example/",
    "X-Auth-Error-Body": "{}",
    "X-Auth-Method": "jwt",
    "X-Auth-Request-User": "root",
    "WWW-Authenticate": 'Bearer resource_metadata="https://evil.example/"',
    "Proxy-Authenticate": "Basic",
    "Authentication-Info": "nextnonce=x",
    "Proxy-Authentication-Info": "nextnonce=x",
    "Location": "https://evil.example/",
    "Content-Location": "https://evil.example/",
    "Link": "<https://evil.example/x.js>; rel=preload; as=script",
    "SourceMap": "https://evil.example/",
    "Server-Timing": "x;dur=1",
    "Set-Login": "logged-out",
    "Use-As-Dictionary": 'match="/*"',
    "X-Accel-Expires": "3600",
    "X-Sendfile": "/etc/passwd",
}


def says(*headers: str, status: str = "200 OK") -> Behaviour:
    """Return a backend's answer with these headers."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.json({"mine": True}, status=status, headers=headers)

    return behaviour


def answered(door: Door, *headers: str, status: str = "200 OK", target: str = "/time/mcp") -> raw.Answer:
    """Call, and return what comes back of such an answer."""
    door.backend.behaviour = says(*headers, status=status)
    return door.post(CALL, target=target)


def unusable(door: Door, answer: raw.Answer) -> None:
    """Check that the client is told the gateway's own words, and of the backend's not one."""
    error = refusal(answer, 502, "UPSTREAM_UNAVAILABLE")
    assert "redirects to elsewhere, or asks for a credential" in error["message"]
    names = {name.lower() for name, _ in answer.headers}
    assert names == {"date", "server", "content-type", "content-length", "connection", "cache-control"} | {
        "x-auth-error"
    }
    assert len(door.backend.requests) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_backend_does_not_steer_by(door: Door, name: str) -> None:
    """The header is not there, however it is written and how often; the answer itself is."""
    for status in ("200 OK", "404 Not Found", "500 Oops"):
        lines = (f"{name}: {HOSTILE[name]}", f"{name.upper()}: again", f"{name.lower()}:")
        answer = answered(door, *lines, "X-Own: s-1", status=status)
        assert (answer.status, answer.json()) == (int(status[:3]), {"mine": True})
        assert answer.every(name) == []
        assert answer.header("X-Own") == "s-1"


@pytest.mark.parametrize("name", [*contract.NEVER_RETURNED, "X-Accel-Redirect", "X-Accel-Buffering"])
def test_none_of_the_contracts_names_comes_back(door: Door, name: str) -> None:
    """What contract.py lists, nginx hides; what nginx itself would obey, it does not."""
    answer = answered(door, f"{name}: /gateway/validate")
    assert (answer.status, answer.json(), answer.every(name)) == (200, {"mine": True}, [])
    assert len(door.backend.requests) == 1


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "400 Bad", "403 Forbidden", "500 Oops"])
def test_every_answer_is_no_page(door: Door, status: str) -> None:
    """Three headers, once each and as the contract has them, whatever the backend says there."""
    theirs = [f"{name}: {value}" for name in ALWAYS for value in ("unsafe-none", "default-src *")]
    for headers in ([], theirs):
        answer = answered(door, *headers, "Content-Type: text/html", status=status)
        assert {name: answer.header(name) for name in ALWAYS} == ALWAYS


def test_streams_and_ends_of_sessions_carry_them_too(door: Door) -> None:
    """An event stream, an answer without a body, and a redirect."""

    async def stream(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("x")
        await exchange.close_stream()

    door.backend.behaviour = stream
    answer = door.get()
    assert answer.body == b"data: x\n\n"
    assert {name: answer.header(name) for name in ALWAYS} == ALWAYS
    door.backend.reset()
    answer = door.get(method="DELETE")
    assert answer.status == 204
    assert {name: answer.header(name) for name in ALWAYS} == ALWAYS
    answer = answered(door, "Location: /mcp/", status="307 Temporary Redirect")
    assert {name: answer.header(name) for name in ALWAYS} == ALWAYS


@pytest.mark.parametrize(
    "status", ["403 Forbidden", "404 Not Found", "405 Not", "406 Not", "413 Large", "429 Slow", "500 Oops"]
)
def test_other_refusals_of_a_backend_are_its_own(door: Door, status: str) -> None:
    """What the backend itself refuses reaches the client as it said it."""
    answer = answered(door, "Retry-After: 7", "X-Mine: yes", status=status)
    assert (answer.status, answer.json()) == (int(status[:3]), {"mine": True})
    assert (answer.header("X-Mine"), answer.header("Retry-After")) == ("yes", "7")
    assert answer.header("X-Auth-Error") is None


def test_a_backend_that_is_busy_says_so_itself(door: Door) -> None:
    """503 is its own as well, and no 503 of the gateway's."""
    answer = answered(door, "Retry-After: 7", status="503 Busy")
    assert (answer.status, answer.json(), answer.header("Retry-After")) == (503, {"mine": True}, "7")


@pytest.mark.parametrize(("status", "told"), [("502 Bad Gateway", 502), ("504 Late", 504)])
def test_what_a_backend_cannot_reach_itself(door: Door, status: str, told: int) -> None:
    """Of a 502 or 504 nginx cannot tell whether it is its own: both are told in the gateway's words."""
    refusal(answered(door, status=status), told, "UPSTREAM_UNAVAILABLE")


@pytest.mark.parametrize("status", ["401 Unauthorized", "407 Proxy Authentication Required"])
@pytest.mark.parametrize(
    "headers",
    [
        (),
        ('WWW-Authenticate: Bearer resource_metadata="https://evil.example/"',),
        ("WWW-Authenticate: Basic", "WWW-Authenticate: Bearer", "Proxy-Authenticate: Basic"),
    ],
)
def test_a_backend_asks_nobody_for_a_credential(door: Door, status: str, headers: tuple[str, ...]) -> None:
    """Its 401 and 407 are 502, without its challenge: clients would take it for the gateway's."""
    unusable(door, answered(door, *headers, status=status))


def test_a_challenge_to_a_browser(door: Door) -> None:
    """The same for a session, and for a stream."""
    door.backend.behaviour = says("WWW-Authenticate: Basic", status="401 Unauthorized")
    session = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie()}"}
    unusable(door, door.post(CALL, replace=session))
    door.backend.requests.clear()
    unusable(door, door.get())


REDIRECTS = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize(
    ("target", "location", "expected"),
    [
        ("/time/mcp", "/mcp/", "/time/mcp/"),
        ("/time/mcp", "{url}/mcp/", "/time/mcp/"),
        ("/time/mcp", "{URL}/mcp/", "/time/mcp/"),
        ("/time/mcp", "/mcp/a.b/~c-d_e?x=1&y=%2f../z#f", "/time/mcp/a.b/~c-d_e?x=1&y=%2f../z#f"),
        ("/time/mcp/", "/mcp", "/time/mcp"),
        ("/time/mcp?a=/b/c", "sse", "/time/sse"),
        ("/time/mcp/a/b", "c/d", "/time/mcp/a/c/d"),
        ("/based/mcp", "/api/mcp/", "/based/mcp/"),
        ("/based/mcp", "{url}/api/mcp?x", "/based/mcp?x"),
        ("/endpoint/mcp", "{url}/api/mcp/", "/endpoint/mcp/"),
        ("/endpoint/mcp", "/api/sse", "/endpoint/sse"),
        ("/open", "/all/x", "/open/x"),
    ],
)
def test_a_redirect_within_the_backend(
    door: Door, status: str, target: str, location: str, expected: str
) -> None:
    """It leads to the same place by the gateway's address, with its own status."""
    there = location.replace("{url}", door.backend.url).replace("{URL}", door.backend.url.upper())
    answer = answered(door, f"Location: {there}", "Set-Cookie: a=b", status=status, target=target)
    assert (answer.status, answer.header("Location")) == (int(status[:3]), expected)
    assert (answer.body, answer.every("Set-Cookie")) == (b"", [])


ELSEWHERE = [
    "https://evil.example/mcp",
    "//evil.example/mcp",
    "///evil.example/mcp",
    "/\\evil.example/mcp",
    "\\\\evil.example/mcp",
    "/\t/evil.example/mcp",
    "https:/mcp",
    "http:mcp",
    "javascript:alert(1)",
    "data:text/html,x",
    "{url}@evil.example/mcp",
    "{url}.evil.example/mcp",
    "{url}0/mcp",
    "{url}\\@evil.example/mcp",
    "{url}",
    "{url}//evil.example/mcp",
    "{https}/mcp",
    "http://localhost/mcp",
    "http://evil.example/{url}/mcp",
    "https://evil.example/#{url}/mcp",
    "/mcp/../../secret/mcp",
    "/../secret/mcp",
    "/./mcp",
    "/.well-known/x",
    "/%2e%2e/secret/mcp",
    "/mcp/..%2f..%2fsecret",
    "/mcp%0d%0aSet-Cookie:x",
    "/mcp;/x",
    "../secret/mcp",
    "./mcp",
    "..",
    "?x=1",
    "#x",
    "mcp /x",
    "/mcp /x",
    "/mcp, https://evil.example/",
    "",
]


@pytest.mark.parametrize("location", ELSEWHERE)
def test_a_redirect_to_elsewhere(door: Door, location: str) -> None:
    """Whatever is not plainly within the backend, no client hears of: 502."""
    there = location.replace("{url}", door.backend.url)
    there = there.replace("{https}", door.backend.url.replace("http:", "https:"))
    unusable(door, answered(door, f"Location: {there}", status="307 Temporary Redirect"))


@pytest.mark.parametrize(
    ("target", "location"),
    [("/based/mcp", "/mcp"), ("/based/mcp", "/apix/mcp"), ("/based/mcp", "/"), ("/open", "secret/mcp")],
)
def test_a_redirect_out_of_the_base_path(door: Door, target: str, location: str) -> None:
    """What is beside the server's base path has no address at the gateway; nor does a redirect reach its neighbour."""
    unusable(door, answered(door, f"Location: {location}", status="308 Permanent Redirect", target=target))


@pytest.mark.parametrize("status", [*REDIRECTS, "300 Choices", "305 Use Proxy", "306 Switch Proxy"])
def test_a_redirect_to_nowhere(door: Door, status: str) -> None:
    """A redirect without a Location, and one that is none a client should follow by itself."""
    unusable(door, answered(door, status=status))


def test_a_second_location(door: Door) -> None:
    """Never a second one: nginx 1.22 reads the first, newer ones join them to what is no address."""
    answer = answered(
        door, "Location: /mcp/", "Location: https://evil.example/", status="307 Temporary Redirect"
    )
    assert answer.status in {307, 502}
    assert answer.every("Location") in (["/time/mcp/"], [])


def test_a_redirect_is_judged_again(door: Door) -> None:
    """What it leads to is a request like any other: a path that is not for MCP stays closed."""
    answer = answered(door, "Location: /admin", status="303 See Other")
    assert answer.header("Location") == "/time/admin"
    door.backend.reset()
    door.refuses(door.get("/time/admin"), 404, "PATH_UNKNOWN")


def test_what_has_not_changed_is_no_redirect(door: Door) -> None:
    """304 passes."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n')

    door.backend.behaviour = behaviour
    assert door.get(headers=(("If-None-Match", '"x"'),)).status == 304


@pytest.mark.parametrize("status", ["401 Unauthorized", "307 Temporary Redirect"])
def test_a_connection_is_kept_after_an_answer_that_is_not_passed_on(door: Door, status: str) -> None:
    """The next call gets its own answer."""
    with raw.Connection(door.gateway.address) as connection:
        door.backend.behaviour = says("WWW-Authenticate: Basic", status=status)
        connection.send(door.message(CALL))
        assert connection.answer().status == 502
        door.backend.reset()
        connection.send(door.message(CALL))
        answer = connection.answer()
    result: dict[str, Any] = answer.json()["result"]
    assert (answer.status, result) == (200, {"content": "from the backend"})


@pytest.mark.parametrize(
    "interim", ["100 Continue", "101 Switching Protocols", "102 X", "103 Early Hints", "199 X"]
)
@pytest.mark.parametrize("upgrade", [(), (("Connection", "Upgrade"), ("Upgrade", "x"))])
def test_nothing_follows_an_interim_answer_unread(
    door: Door, interim: str, upgrade: tuple[tuple[str, str], ...]
) -> None:
    """nginx would pass on unread what follows it: headers that steer, answers to later requests, a tunnel."""

    async def behaviour(exchange: Exchange) -> None:
        hidden = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 6\r\n\r\nhidden"
        await exchange.send(f"HTTP/1.1 {interim}\r\n\r\n".encode() + hidden * 2)

    door.backend.behaviour = behaviour
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(CALL, headers=upgrade))
        try:
            answer = connection.answer()
        except raw.ClosedError:
            return
        # Newer ones know 103 (RFC 8297), and take what follows for the answer that it is.
        assert (interim, answer.status) == ("103 Early Hints", 200)
        assert answer.header("Set-Cookie") is None
        assert answer.header("Content-Security-Policy") == ALWAYS["Content-Security-Policy"]
        door.backend.reset()
        connection.send(door.message(CALL))
        assert connection.answer().body != b"hidden"
