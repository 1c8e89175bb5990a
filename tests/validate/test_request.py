"""A request's headers have one reading, or are refused before anybody reads the message."""

from __future__ import annotations

import base64
import posixpath
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sidecar import GATEWAY_URL, UNSET, as_nginx_asks

from auth_server.errors import Forbidden, HeaderMismatch, InvalidRequest, Misdirected, Refusal, WrongMethod
from auth_server.headers import Headers
from auth_server.validate import request
from auth_server.validate.message import Message
from auth_server.validate.request import Question, Site

SITE = Site.of(GATEWAY_URL, ())
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def sent(message: bytes | None = PING, /, *more: tuple[str, str], **headers: str) -> Headers:
    """Return the headers of a question; the arguments are those of `as_nginx_asks`."""
    asked = as_nginx_asks(message, *more, **headers)
    return Headers([(name.encode(), value.encode("latin-1")) for name, value in asked.headers])


def read(message: bytes | None = PING, /, *more: tuple[str, str], **headers: str) -> Question:
    return request.read(sent(message, *more, **headers), SITE)


def refusal(message: bytes | None = PING, /, *more: tuple[str, str], **headers: str) -> Refusal:
    """Return why these headers are refused."""
    with pytest.raises(Refusal) as caught:
        read(message, *more, **headers)
    return caught.value


# ---------------------------------------------------------------------------------------------- what is asked


def test_an_honest_call() -> None:
    """nginx's word is the server, the client's method the method."""
    assert read() == Question("time", "POST")
    assert read(None) == Question("time", "GET")
    assert read(None, method="DELETE", server="a.b_c-1") == Question("a.b_c-1", "DELETE")


@pytest.mark.parametrize(
    "server", ["a/b", "a b", ".hidden", "..", "a%2fb", "a;b", "a\\b", "\xe9", "Time", "a" * 129]
)
def test_a_server_that_is_no_name_is_refused(server: str) -> None:
    """A server's name is what a URL's first segment may be, in lower case."""
    found = refusal(server=server, x_original_uri="/time/mcp")
    assert isinstance(found, InvalidRequest)
    assert "not a server's name" in found.message


@pytest.mark.parametrize("value", ["", "(unset)"])
def test_without_a_server_there_is_no_decision(value: str) -> None:
    """Fail closed: the server's name is nginx's word, and has no default."""
    assert "is missing: nginx sets it" in refusal(x_mcp_server=value).message


@pytest.mark.parametrize("method", ["PUT", "get", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", ""])
def test_only_the_verbs_of_mcp_are_judged(method: str) -> None:
    """GET, POST and DELETE are what Streamable HTTP uses."""
    found = refusal(x_original_method=method)
    assert isinstance(found, WrongMethod)
    assert found.allowed == ("GET", "POST", "DELETE")


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "content-encoding",
        "content-type",
        "host",
        "origin",
        "x-region",
        "x-user-pool-id",
        "x-client-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "mcp-anything-new",
        "x-mcp-server",
        "x-original-method",
        "x-original-uri",
        "x-server-address",
    ],
)
def test_a_header_that_decides_comes_once(name: str) -> None:
    """nginx and a backend may differ in whether the first or the last counts, even where both are alike."""
    value = sent().get(name.encode()) or "x"
    found = refusal(PING, (name, value), (name, value))
    assert isinstance(found, InvalidRequest)
    assert f"the header {name} was sent more than once" in found.message


def test_other_headers_may_be_repeated() -> None:
    """Cookie, Accept and Forwarded-For have lists."""
    assert read(PING, ("accept", "a"), ("accept", "b"), ("cookie", "a=b"), ("cookie", "c=d")).server == "time"


# --------------------------------------------------------------------------------------------------- the Host


@pytest.mark.parametrize(
    "host",
    [
        "gw.example",
        "GW.Example",
        "gw.example.",
        "gw.example:443",
        "gw.example:8443",
        "gw.example.:1",
        "gw.example:",
    ],
)
def test_the_gateways_own_host(host: str) -> None:
    """Case, port and the root's dot make no other host."""
    assert read(host=host).server == "time"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "(unset)",
        "evil.example",
        "gw.example.evil",
        "xgw.example",
        "gw.example..",
        "gw.example@evil.example",
        "evil.example@gw.example",
        "user:pass@gw.example",
        "gw.example:80:80",
        "gw.example:http",
        "gw.example, evil.example",
        "gw.example evil.example",
        "gw.example/",
        "gw.example#",
        "[gw.example]",
        "::1",
        "[::1]",
        "localhost",
        "127.0.0.1:8080",
    ],
)
def test_another_host_is_misdirected(host: str) -> None:
    """A page on another name that resolves to this machine (DNS rebinding) gets 421, and loopback is no exception."""
    assert isinstance(refusal(host=host), Misdirected)


@pytest.mark.parametrize(
    "host", ["gw.example", "other.example", "other.example:99", "third.example", "[2001:db8::1]:8080"]
)
def test_allowed_hosts(host: str) -> None:
    """ALLOWED_HOSTS adds names, whatever their port; IPv6 has brackets."""
    site = Site.of(GATEWAY_URL, ("Other.example:8443", "third.example", "[2001:DB8::1]"))
    assert request.read(sent(host=host), site).server == "time"


LOOPBACK = ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.1.2.3:8080", "[::1]", "[::1]:80"]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("listener", ["127.0.0.1", "127.8.8.8", "::1", "unix:/run/auth-server.sock"])
def test_loopback_names_count_where_the_listener_is_loopbacks(host: str, listener: str) -> None:
    """Whoever reaches this machine's own address is on it."""
    assert read(host=host, x_server_address=listener).server == "time"
    assert request.read(sent(host=host, x_server_address="(unset)"), SITE, listener=listener)


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize(
    "gateway_url", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"]
)
def test_loopback_names_count_where_the_gateway_has_one(host: str, gateway_url: str) -> None:
    """Who published it as localhost wants it found by each of its names, through a container's address, too."""
    assert request.read(sent(host=host), Site.of(gateway_url, ())).server == "time"


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0",
        "128.0.0.1",
        "[::2]",
        "0.0.0.0",
        "[::]",
        "[::1",
    ],
)
def test_what_only_looks_like_loopback(host: str) -> None:
    """A stranger's name for it is a stranger's name."""
    site = Site.of("http://localhost:8080", ())
    with pytest.raises(Misdirected):
        request.read(sent(host=host, x_server_address="127.0.0.1"), site)


def test_what_nginx_says_of_the_listener_counts() -> None:
    """The sidecar's own socket says nothing of where the client came in."""
    with pytest.raises(Misdirected):
        request.read(sent(host="localhost", x_server_address="10.0.0.1"), SITE, listener="127.0.0.1")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("http://gw.example/time/mcp", InvalidRequest),
        ("HTTPS://GW.example:8443/time/mcp", InvalidRequest),
        ("http://evil.example/time/mcp", Misdirected),
        ("http://gw.example@evil.example/time/mcp", Misdirected),
        ("http:///time/mcp", Misdirected),
    ],
)
def test_a_target_with_a_host_of_its_own(target: str, kind: type[Refusal]) -> None:
    """It wins over Host (RFC 9112, section 3.2.2), so it is what a stranger's is told by; there would be two."""
    found = refusal(x_original_uri=target)
    assert type(found) is kind


# ------------------------------------------------------------------------------------------------- the Origin


@pytest.mark.parametrize("origin", [GATEWAY_URL, "http://gw.example", "(unset)"])
def test_calls_from_this_origin_and_from_programs(origin: str) -> None:
    """The gateway's own pages, by either scheme (TLS may end before it), and who has no page at all."""
    assert read(origin=origin).server == "time"


def test_an_origin_by_another_name_of_the_host() -> None:
    """A page that came by another allowed name calls by that name, with its port."""
    site = Site.of(GATEWAY_URL, ("other.example",))
    headers = sent(host="other.example:8080", origin="http://other.example:8080")
    assert request.read(headers, site).server == "time"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "https://gw.example.evil",
        "https://gw.example:8443",
        "https://gw.example/",
        "HTTPS://GW.EXAMPLE",
        "gw.example",
        "https://gw.example https://evil.example",
    ],
)
def test_calls_from_pages_of_other_origins(origin: str) -> None:
    """A present and foreign Origin is refused, whatever credential comes with it."""
    found = refusal(origin=origin)
    assert isinstance(found, Forbidden)
    assert found.code == "ORIGIN_MISMATCH"


# --------------------------------------------------------------------------------------------------- the path


@pytest.mark.parametrize(
    "path",
    [
        "/time",
        "/time/",
        "/time/mcp",
        "/time/mcp/",
        "/time/.hidden/a..b/...",
        "/time/a%20b/%C3%A9",
        "/time/a%7Eb",
        "/time/~a!$&'()*+,=:@",
        "/time/mcp?a=../..&b=//;%2e%2e",
    ],
)
def test_a_path_with_one_reading(path: str) -> None:
    """Letters, digits, and what RFC 3986 allows, encoded once; the query is the backend's own."""
    assert read(x_original_uri=path).server == "time"
    assert request.check(sent(x_original_uri=path), SITE, listener="") == path.partition("?")[0]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/x", "/sse", "/sse/x/y", "/messages", "/messages/"])
def test_a_path_of_mcp(path: str) -> None:
    """The endpoints of its two HTTP transports, and what lies below them."""
    assert read(x_original_uri=f"/time{path}?x").path_known


@pytest.mark.parametrize(
    "path", ["", "/", "/m", "/mcpx", "/MCP", "/x/mcp", "/ssex", "/message", "/messagesx/", "/rpc"]
)
def test_a_path_beside_mcp(path: str) -> None:
    """Whatever else a server has."""
    assert not read(x_original_uri=f"/time{path}").path_known


@pytest.mark.parametrize(
    ("named", "path", "known"),
    [
        ("/rpc", "/rpc", True),
        ("/rpc", "/rpc/x", True),
        ("/rpc", "/rpcx", False),
        ("/rpc/", "/rpc", True),
        ("/a/b  /rpc", "/rpc", True),
        ("/a/b /rpc", "/a", False),
        ("/a/b /rpc", "/a/b/", True),
        ("/rpc", "/mcp", True),
        ("/", "", True),
        ("/", "/", True),
        ("/", "/anything", True),
        (" ", "/anything", False),
    ],
)
def test_a_path_that_the_servers_entry_names(named: str, path: str, known: bool) -> None:
    """Several with blanks between, beside MCP's own; a slash stands for all."""
    assert read(x_original_uri=f"/time{path}", x_mcp_paths=named).path_known is known


def test_without_a_path_there_is_none_to_be_held_to() -> None:
    """nginx always says it; who asks in its place may have but the server's name."""
    assert read(x_original_uri=UNSET).path_known


@pytest.mark.parametrize(
    "path",
    [
        "time/mcp",
        "?x",
        "*",
        "//time/mcp",
        "/time//mcp",
        "/time/./mcp",
        "/time/../mcp",
        "/../time/mcp",
        "/time/..",
        "/time/.",
        "/time/%2e/mcp",
        "/time/%2E%2E/mcp",
        "/time/.%2e/mcp",
        "/time%2fmcp",
        "/time/a%2Fb",
        "/time/a%5cb",
        "/time/a\\b",
        "/time/a;b",
        "/time/a%3Bb",
        "/time/a%00b",
        "/time/a%252e",
        "/time/a%25",
        "/time/%c0%ae",
        "/time/%C1%9c",
        "/time/%",
        "/time/%4",
        "/time/%zz",
        "/time/%u002e",
        "/time/a#b",
        "/time/a?b#c",
        "/time/a b",
        "/time/a\tb",
        "/time/\x7f",
        '/time/"',
        "/time/<a>",
        "/time/^",
        "/time/\xe9",
        "/time/[a]",
        "/time/{a}",
        "/time/a|b",
    ],
)
def test_a_path_that_could_be_read_otherwise(path: str) -> None:
    """A backend may resolve, decode or cut what nginx did not."""
    found = refusal(x_original_uri=path)
    assert type(found) is InvalidRequest
    assert "more than one way" in found.message


@pytest.mark.parametrize(
    "path", ["/", "/secret/mcp", "/timetable/mcp", "/Time/mcp", "/%74ime/mcp", "/secret/time"]
)
def test_a_path_of_another_server(path: str) -> None:
    """What nginx took for the server stands in the path as it was sent, or two readers differ."""
    assert "more than one way" in refusal(x_original_uri=path).message


PIECES = [
    "/",
    "//",
    "/.",
    "/..",
    "a",
    "b~",
    ".",
    "%2e",
    "%2F",
    "%41",
    "%e9",
    "%25",
    "%",
    "\\",
    ";",
    "?",
    "#",
    "é",
    "*",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_whatever_path_passes_is_its_own_normalisation(rest: str) -> None:
    """Resolved or not, decoded once or often: it is the same file of the same server."""
    target = f"/time{rest}"
    try:
        path = request.check(sent(x_original_uri=target.encode().decode("latin-1")), SITE, listener="")
    except InvalidRequest:
        return
    decoded = unquote(path)
    assert unquote(decoded) == decoded
    assert posixpath.normpath(path) == path.rstrip("/")
    for reading in (decoded, decoded.replace("\\", "/"), decoded.partition(";")[0]):
        assert posixpath.normpath(reading) == decoded.rstrip("/")


# ------------------------------------------------------------------------------------------------- the content


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json ; charset="UTF-8" ',
        "application/json ",
    ],
)
def test_json_in_utf_8(content_type: str) -> None:
    """A message is application/json; its charset has no other meaning (RFC 8259, section 8.1)."""
    assert read(content_type=content_type).method == "POST"


@pytest.mark.parametrize(
    "content_type",
    [
        "(unset)",
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-rpc",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; boundary=x",
        "application/json;",
        "multipart/form-data; boundary=application/json",
    ],
)
def test_no_other_content_is_judged(content_type: str) -> None:
    """What a form of another site could send, or some backend would decode otherwise, is refused."""
    assert "Content-Type must be application/json" in refusal(content_type=content_type).message


@pytest.mark.parametrize("encoding", ["gzip", "identity", ""])
def test_no_message_is_compressed(encoding: str) -> None:
    """What would have to be unpacked to be read is refused, even where there is nothing to unpack."""
    assert "must not be compressed" in refusal(content_encoding=encoding).message


def test_a_request_without_a_message_needs_no_content_type() -> None:
    """GET and DELETE have none."""
    assert read(None, content_type="text/plain", content_encoding="gzip").method == "GET"


# -------------------------------------------------------------------------------------------------- the length


@pytest.mark.parametrize("announced", ["5", "chunked", "(unset)", ""])
def test_a_message_that_came_whole(announced: str) -> None:
    """As long as announced, or of a length that nobody announced."""
    request.check_body(sent(x_original_length=announced), Question("time", "POST"), 5)


@pytest.mark.parametrize("announced", ["4", "6", "0", "500000", "9" * 5000, "+5", "5, 5"])
def test_a_message_that_did_not_come_whole(announced: str) -> None:
    """Part of a message is no message."""
    with pytest.raises(InvalidRequest, match="did not come along whole"):
        request.check_body(sent(x_original_length=announced), Question("time", "POST"), 5)


def test_a_length_that_is_announced_twice() -> None:
    """There is no telling which one holds."""
    with pytest.raises(InvalidRequest, match="x-original-length was sent more than once"):
        request.check_body(sent(PING, ("x-original-length", "5")), Question("time", "POST"), 5)


@pytest.mark.parametrize("announced", ["0", "(unset)", "chunked", "5"])
def test_a_post_without_its_message(announced: str) -> None:
    """A POST whose message did not come along is refused, never let through."""
    with pytest.raises(InvalidRequest, match="empty"):
        request.check_body(sent(x_original_length=announced), Question("time", "POST"), 0)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_that_nobody_would_judge(method: str) -> None:
    """A GET or DELETE has no body, neither here nor announced."""
    question = Question("time", method)
    for announced in ("(unset)", "", "0"):
        request.check_body(sent(None, x_original_length=announced), question, 0)
    for announced, length in (("5", 0), ("chunked", 0), ("0", 5), ("(unset)", 5)):
        with pytest.raises(InvalidRequest, match="must not have a body"):
            request.check_body(sent(None, x_original_length=announced), question, length)


# --------------------------------------------------------------------------------- the client's Mcp-* headers


CALL = Message("tools/call", (), "žluť, ✓", "2026-07-28")


def sentinel(raw: bytes) -> str:
    """Encode as MCP does what a header cannot hold."""
    return f"=?base64?{base64.b64encode(raw).decode()}?="


def compare(message: Message, **headers: str) -> None:
    hints = {
        name.removeprefix("mcp_protocol_").removeprefix("mcp_"): value for name, value in headers.items()
    }
    said: dict[str, Any] = {f"mcp_{name}": value for name, value in hints.items()}
    request.compare(Question("time", "POST", **said), message)


def test_headers_that_agree_with_the_message() -> None:
    """All of them, some, or none: before 2026-07-28 clients sent none."""
    name = sentinel(CALL.name.encode())
    compare(CALL)
    compare(CALL, mcp_method="tools/call")
    compare(CALL, mcp_method="tools/call", mcp_name=name, mcp_protocol_version="2026-07-28")
    compare(Message("ping"), mcp_name="")
    compare(Message(None), mcp_method="")
    compare(Message("tools/call", (), "now"), mcp_name="now", mcp_protocol_version="2025-06-18")


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_method": "tools/list"},
        {"mcp_method": "Tools/call"},
        {"mcp_method": ""},
        {"mcp_name": "other"},
        {"mcp_name": ""},
        {"mcp_name": "=?base64??="},
        {"mcp_protocol_version": "2025-11-25"},
        {"mcp_protocol_version": ""},
    ],
)
def test_headers_that_do_not_agree_with_the_message(headers: dict[str, str]) -> None:
    """The message is the truth; who says something else in front of it means somebody in between."""
    with pytest.raises(HeaderMismatch, match="does not agree with the body"):
        compare(CALL, **headers)


@pytest.mark.parametrize("headers", [{"mcp_method": "ping"}, {"mcp_name": "x"}])
def test_headers_of_a_message_that_there_is_not(headers: dict[str, str]) -> None:
    """A response, a GET or a DELETE has neither method nor name."""
    with pytest.raises(HeaderMismatch):
        compare(Message(None), **headers)


def test_a_name_may_stand_as_it_is() -> None:
    """What is not wholly a sentinel is a name like any other, also one that resembles it."""
    for name in ("plain value", "=?BASE64?YQ==?=", "=?base64?YQ==", "x=?base64?YQ==?="):
        compare(Message("tools/call", (), name), mcp_name=name)


@pytest.mark.parametrize(
    "value",
    [
        "=?base64?YQ?=",
        "=?base64?YR==?=",
        "=?base64?Y Q==?=",
        "=?base64?_-8=?=",
        "=?base64?YQ=\n=?=",
        "=?base64?\xe9?=",
    ]
    + [sentinel(b"\xff"), sentinel(b"\xed\xa0\x80")],
)
def test_a_name_that_two_decoders_read_differently(value: str) -> None:
    """Base64 must be canonical, and the text UTF-8."""
    with pytest.raises(HeaderMismatch, match="base64"):
        compare(Message("tools/call", (), "a"), mcp_name=value)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1))
def test_every_name_survives_the_sentinel(name: str) -> None:
    """What a client encodes is what it is compared with."""
    compare(Message("tools/call", (), name), mcp_name=sentinel(name.encode()))
