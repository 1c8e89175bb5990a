"""What nginx recognises by itself, the usual call, it reads exactly as mcp.js does; all else is left to mcp.js."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import raw
from support.readers import Reader, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BODY = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"granted","arguments":{"a":1}}}'
LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Readers:
    """The same nginx twice: as it is, and with mcp.js reading everything."""

    native: Reader
    script: Reader

    def agree(self, request: bytes) -> tuple[int, bool]:
        """Check that both make the same of a request; return the status, and whether it was usual."""
        native, script = self.native.read(request), self.script.read(request)
        assert script[1].pop("usual", "") == ""
        usual = native[1].pop("usual", "") == "1"
        # Each has its own name for the same decision.
        assert usual == (native[1].pop("key", "") != script[1].pop("key", ""))
        assert native == script
        return native[0], usual


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    """Start both."""
    native, script = tmp_path_factory.mktemp("native"), tmp_path_factory.mktemp("script")
    with reading(native, natively=True) as one, reading(script, natively=False) as other:
        yield Readers(one, other)


@dataclass(frozen=True)
class Call:
    """A request, the most usual one unless it says otherwise."""

    body: str | bytes = BODY
    line: str = "POST /time/mcp HTTP/1.1"
    host: str = "gateway.example"
    proof: tuple[tuple[str, str], ...] = (("Authorization", "Bearer aaa.bbb-_.ccc"),)
    kind: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    more: tuple[tuple[str, str], ...] = field(default=(("Accept", "application/json, text/event-stream"),))

    def bytes(self) -> bytes:
        """Return it as it is sent."""
        method, target, version = self.line.split(" ")
        data = self.body.encode("utf-8", "surrogatepass") if isinstance(self.body, str) else self.body
        headers = [
            ("Host", self.host),
            *self.proof,
            *self.kind,
            *self.more,
            ("Content-Length", str(len(data))),
        ]
        return raw.request(method, target, headers, data, version=version)


def arguments(text: str) -> str:
    """Return a call with this as its arguments."""
    return BODY.replace('{"a":1}', text)


def meta(text: str) -> str:
    """Return a call with this as its _meta."""
    return BODY.replace('"params":{', f'"params":{{"_meta":{text},')


def headed(*more: tuple[str, str]) -> Call:
    """Return a call with these headers beside the usual ones."""
    return Call(more=more)


EIGHT = ",".join(f'"k{number}":{number}' for number in range(8))
CLIENT = '{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"},"progressToken":1}'

USUAL = {
    "the most usual": Call(),
    "letters in another header": headed(("X-Any", "Köln")),
    "blanks as Python writes them": Call(json.dumps(json.loads(BODY))),
    "members in another order": Call(
        '{"params":{"arguments":{},"name":"granted"},"method":"tools/call","id":"a-1","jsonrpc":"2.0"}'
    ),
    "no arguments": Call(BODY.replace(',"arguments":{"a":1}', "")),
    "eight arguments": Call(arguments(f"{{{EIGHT}}}")),
    "all kinds of values": Call(
        arguments('{"s":"","n":-1.5e+3,"t":true,"f":false,"z":null,"l":[1,"a",null],"o":{"a":{},"b":1}}'.replace("{}", "0"))
    ),
    "an argument named name": Call(arguments('{"name":"x","method":"y","id":{"name":1}}')),
    "escapes": Call(arguments(r'{"a":"\"name\":\\\/\b\f\n\r\t\u00e9\uFFFF"}')),
    "letters of all lengths": Call(arguments('{"a":"é߿ࠀ퟿￿𐀀􏿿日本"}')),
    "_meta": Call(meta(CLIENT)),
    "a session": Call(proof=(("Cookie", "mcp_gateway_session=eyJ.aQ.x-_"),)),
    "lower-case header names": Call(
        proof=(("authorization", "Bearer a"),), kind=(("content-type", "application/json"),)
    ),
    "headers of MCP": headed(
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Session-Id", "abc"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "granted"),
    ),
    "a header twice that decides nothing": headed(("X-Any", "a"), ("X-Any", "b")),
    "an empty header that decides nothing": headed(("X-Any", "")),
    "a query": Call(line="POST /time/mcp?a=b&c HTTP/1.1"),
    "a longer path": Call(line="POST /time/a/b.c-d HTTP/1.1"),
    "nothing after the server": Call(line="POST /secret HTTP/1.1"),
    "a server that gets the token": Call(line="POST /passing/mcp HTTP/1.1"),
    "an unknown server": Call(line="POST /nosuch/mcp HTTP/1.1"),
    "the Host of GATEWAY_URL in capitals": Call(host="Gateway.Example:443"),
    "a Host of ALLOWED_HOSTS": Call(host="other.example"),
    "another Host of ALLOWED_HOSTS": Call(host="third.example:1"),
    "loopback": Call(host="127.0.0.1:8080"),
}  # fmt: skip


@pytest.mark.parametrize("sent", USUAL.values(), ids=USUAL)
def test_usual_calls(readers: Readers, sent: Call) -> None:
    """A call as clients write it needs no mcp.js, which would have read the same."""
    assert readers.agree(sent.bytes()) == (200, True)


REFUSED = {
    "a key twice": arguments('{"a":1,"a":"\\n"}'),
    "a key twice, apart": arguments('{"a":"\\n","b":{},"c":[],"a":1}'),
    "a key twice among eight": arguments(f'{{{EIGHT.replace("k7", "k0")},"x":"\\n"}}'),
    "a key twice inside": arguments('{"a":{"b":"\\n","c":1,"b":2}}'),
    "name twice": BODY.replace('"name"', '"name":"evil","name"'),
    "name twice, around": BODY.replace('{"a":1}}', '{"a":1},"name":"evil"}'),
    "name twice, once escaped": BODY.replace('"name"', '"n\\u0061me":"evil","name"'),
    "arguments twice": BODY.replace('{"a":1}', '{"a":1},"arguments":{"name":"\\n"}'),
    "_meta twice": meta('{"a":"\\n"},"_meta":{}'),
    "params twice": BODY.replace('"params"', '"params":{"name":"evil"},"params"'),
    "method twice": BODY.replace('"method"', '"method":"tools/list","method"'),
    "id twice": BODY.replace('"id"', '"id":2,"id"'),
    "jsonrpc twice": BODY.replace('"jsonrpc"', '"jsonrpc":"2.0","jsonrpc"'),
    "another spelling beside": BODY.replace('"name"', '"Name":"evil","name"'),
    "a result beside": BODY.replace('"id"', '"result":{},"id"'),
    "no id": BODY.replace('"id":1,', ""),
    "an id that is null": BODY.replace('"id":1', '"id":null'),
    "no jsonrpc": BODY.replace('"jsonrpc":"2.0",', ""),
    "no name": BODY.replace('"name":"granted",', ""),
    "no method, no result": BODY.replace('"method":"tools/call",', ""),
    "no comma": BODY.replace('"id":1,', '"id":1'),
    "no comma inside": arguments('{"a":1"b":2}'),
    "a comma too many": arguments('{"a":1,}'),
    "a comma first": arguments('{,"a":1}'),
    "a comma at the end": BODY[:-1] + ",}",
    "a comma between list and end": arguments('{"a":[1,]}'),
    "a bracket too many": BODY + "}",
    "a bracket too few": BODY[:-1],
    "the wrong bracket": arguments('{"a":[1}'),
    "two messages": BODY + BODY,
    "an id with a leading zero": BODY.replace('"id":1', '"id":01'),
    "a number with a leading zero": arguments('{"a":01}'),
    "half a number": arguments('{"a":1.}'),
    "a negative number with a leading zero": arguments('{"a":[1, -01.5]}'),
    "a number with a leading zero, after an escape": arguments('{"b":"\\"","a":01}'),
    "half an exponent": arguments('{"a":1e}'),
    "a raw line feed": arguments('{"a":"\n"}'),
    "a bad escape": arguments('{"a":"\\x41"}'),
    "half an escape": arguments('{"a":"\\u12"}'),
    "an escaped end": arguments('{"a":"\\"}'),
    "not UTF-8": arguments('{"a":"X"}').encode().replace(b"X", b"\xe4"),
    "overlong": arguments('{"a":"X"}').encode().replace(b"X", b"\xc1\xa1"),
    "overlong, three": arguments('{"a":"X"}').encode().replace(b"X", b"\xe0\x9f\xbf"),
    "a surrogate": arguments('{"a":"X"}').encode().replace(b"X", b"\xed\xa0\x80"),
    "overlong, four": arguments('{"a":"X"}').encode().replace(b"X", b"\xf0\x8f\xbf\xbf"),
    "past the last letter": arguments('{"a":"X"}').encode().replace(b"X", b"\xf4\x90\x80\x80"),
    "cut inside a letter": arguments('{"a":"X"}').encode().replace(b"X", b"\xf0\x90\x80"),
    "a byte order mark": b"\xef\xbb\xbf" + BODY.encode(),
    "a line feed in the name": BODY.replace("granted", "granted\n"),
    "a zero byte after": BODY + "\0",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_near_misses_are_refused(readers: Readers, body: str | bytes) -> None:
    """A body that is nearly usual, and has no one meaning, is refused by both alike."""
    assert readers.agree(Call(body).bytes()) == (400, False)


TWICE = [
    ("Authorization", "Bearer b"),
    ("authorization", "Bearer aaa.bbb-_.ccc"),
    ("Content-Type", "application/json"),
    ("Content-Encoding", "identity"),
    ("Mcp-Name", "evil"),
    ("Mcp-Name", ""),
    ("Mcp-Name", "=?base64?ZXZpbA==?="),
    ("Mcp-Method", "tools/list"),
    ("Mcp-Method", ""),
]


@pytest.mark.parametrize("header", TWICE, ids=str)
def test_headers_that_contradict(readers: Readers, header: tuple[str, str]) -> None:
    """A second credential, another type, another name than the body's: refused by both alike."""
    assert readers.agree(headed(header).bytes()) == (400, False)


@pytest.mark.parametrize(
    "name", ["Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Name", "Mcp-Method", "X-Region", "X-User-Pool-Id"]
)
def test_deciding_headers_twice(readers: Readers, name: str) -> None:
    """A header that decides is there once, also where both say the same."""
    value = {"Mcp-Name": "granted", "Mcp-Method": "tools/call"}.get(name, "a")
    assert readers.agree(headed((name, value), (name.lower(), value)).bytes()) == (400, False)


UNUSUAL = {
    "nine arguments": Call(arguments(f'{{{EIGHT},"k8":8}}')),
    "arguments two levels deep": Call(arguments('{"a":{"b":{"c":1}}}')),
    "lists in lists": Call(arguments('{"a":[[1]]}')),
    "half of a surrogate pair": Call(arguments('{"a":"\\ud800"}')),
    "an escaped key": Call(arguments('{"\\u0061":1}')),
    "an escaped name": Call(BODY.replace("granted", "gr\\u0061nted")),
    "a name in other letters": Call(BODY.replace("granted", "grüße")),
    "a name that looks encoded": Call(BODY.replace("granted", "=?base64?ZXZpbA==?=")),
    "line feeds between members": Call(json.dumps(json.loads(BODY), indent=1)),
    "another member": Call(BODY.replace('"id"', '"x":1,"id"')),
    "another method": Call(BODY.replace("tools/call", "prompts/get")),
    "a charset": Call(kind=(("Content-Type", "application/json; charset=utf-8"),)),
    "no credential": Call(proof=()),
    "an empty credential": Call(proof=(("Authorization", ""),)),
    "an empty credential and a cookie": Call(proof=(("Authorization", ""), ("Cookie", "mcp_gateway_session=a"))),
    "both credentials": Call(proof=(("Authorization", "Bearer a"), ("Cookie", "mcp_gateway_session=a"))),
    "a Basic credential": Call(proof=(("Authorization", "Basic YTpi"),)),
    "two words": Call(proof=(("Authorization", "Bearer a b"),)),
    "another cookie": Call(proof=(("Cookie", "mcp_gateway_session=a; theme=dark"),)),
    "two cookies": Call(proof=(("Cookie", "mcp_gateway_session=a"), ("Cookie", "theme=dark"))),
    "a quoted cookie": Call(proof=(("Cookie", 'mcp_gateway_session="a"'),)),
    "an Origin": headed(("Origin", "https://gateway.example")),
    "a pool": headed(("X-User-Pool-Id", "eu-central-1_Example00")),
    "a region": headed(("X-Region", "eu-central-1")),
    "a parameter of MCP": headed(("Mcp-Param-City", "Ulm")),
    "a name in base64": headed(("Mcp-Name", "=?base64?Z3JhbnRlZA==?=")),
    "a path with an escape": Call(line="POST /time/a%20b HTTP/1.1"),
    "a path with a slash at its end": Call(line="POST /time/ HTTP/1.1"),
    "a GET": Call("", "GET /time/mcp HTTP/1.1"),
}  # fmt: skip


@pytest.mark.parametrize("sent", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_left_to_the_script(readers: Readers, sent: Call) -> None:
    """What has one meaning and is not usual passes through mcp.js."""
    assert readers.agree(sent.bytes()) == (200, False)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (Call(host="gateway.example.evil.example"), 421),
        (Call(host="evil.example"), 421),
        (Call(host="gateway-example"), 421),
        (Call(host="example"), 421),
        (Call(host="third"), 421),
        (Call(host="other.example,"), 421),
        (Call(host="localhost.evil.example"), 421),
        (headed(("Origin", "https://evil.example")), 403),
        (headed(("Origin", "")), 403),
        (Call(line="POST /time//mcp HTTP/1.1"), 400),
        (Call(line="POST /time/../secret/mcp HTTP/1.1"), 400),
        (Call(line="POST /time/.hidden/../x HTTP/1.1"), 400),
        (Call(line="POST /time/mcp#x HTTP/1.1"), 400),
        (Call(line="POST http://evil.example/time/mcp HTTP/1.1"), 400),
        (Call(line="PUT /time/mcp HTTP/1.1"), 405),
    ],
    ids=str,
)
def test_strangers_are_not_usual(readers: Readers, sent: Call, status: int) -> None:
    """A foreign Host or Origin, another method or a crooked path is refused by both alike."""
    found = readers.agree(sent.bytes())
    assert found in {(status, False), (421, False)}


def completion(ref: str) -> str:
    """Return a message that mcp.js reads, after a head that is usual."""
    argument = '{"name":"x","value":"y"}'
    return BODY.replace("tools/call", "completion/complete").replace(
        '"name":"granted","arguments":{"a":1}', f'"ref":{{"type":{ref}}},"argument":{argument}'
    )


def test_questions_that_differ_have_names_that_differ(readers: Readers) -> None:
    """No two calls that differ in what decides share a decision, whoever has read them."""
    calls = [
        *(Call(body=BODY.replace("granted", name)) for name in ("granted", "granted2", "Granted", "grant")),
        *(Call(proof=(("Authorization", f"Bearer {token}"),)) for token in ("a", "b", "a.b", "A")),
        *(Call(proof=(("Cookie", f"mcp_gateway_session={value}"),)) for value in ("a", "b", "Bearer")),
        Call(proof=(("Cookie", "mcp_gateway_session=a; x=y"),)),
        Call(line="POST /secret/mcp HTTP/1.1"),
        Call(line="POST /passing/mcp HTTP/1.1"),
        Call(body=BODY.replace("tools/call", "prompts/get")),
        Call(body=BODY.replace("tools/call", "unknown/method")),
        # The same method and name: what is meant by it stands in the targets alone.
        *(Call(completion(ref)) for ref in ('"ref/prompt","name":"a"', '"ref/resource","uri":"a"')),
        Call("", "GET /time/mcp HTTP/1.1"),
        Call("", "DELETE /time/mcp HTTP/1.1"),
        headed(("X-User-Pool-Id", "x")),
        headed(("X-Region", "x")),
    ]
    keys = [
        {reader.read(sent.bytes())[1]["key"] for reader in (readers.native, readers.script)} for sent in calls
    ]
    assert len(set().union(*keys)) == sum(map(len, keys))
    # And what does not decide is no part of the name: the same call is asked about once.
    same = [
        Call(),
        Call(arguments('{"b":2}')),
        headed(("X-Any", "1")),
        Call(line="POST /time/other HTTP/1.1"),
    ]
    assert len({readers.native.read(sent.bytes())[1]["key"] for sent in same}) == 1


def test_decisions_that_nobody_keeps_have_no_digest(tmp_path: Path) -> None:
    """With DECISION_TTL=0 no time goes into the name of what is not kept."""
    with reading(tmp_path, natively=True, decision_ttl=0) as reader:
        assert reader.read(Call().bytes())[1]["key"] == "\ngranted"
        assert reader.read(headed(("X-Region", "a")).bytes())[1]["key"] == "\n"  # read by mcp.js


def test_bodies_made_to_exhaust_an_expression(readers: Readers) -> None:
    """A body of 4 MB is matched to its end, or left to mcp.js, without an error in the matching."""
    size = LIMIT - 200
    for text in (
        '"' + "\\n" * (size // 2) + '"',
        '"' + "é" * (size // 2) + '"',
        '"' + "x" * size + '"',
        "[" + ",".join("1" * 3 for _ in range(size // 4)) + "]",
        "[" + ",".join('""' for _ in range(size // 3)) + "]",
        "-" + "1" * size,
        "[" * 30 + "]" * 30,
    ):
        for body in (arguments(f'{{"a":{text}}}'), arguments(f'{{"a":{text}}}')[:-1]):
            assert readers.native.read(Call(body).bytes())[0] in {200, 400}
    assert "pcre" not in readers.native.log_path.read_text()


# ------------------------------------------------------------------- usual calls with something crooked in them

_PIECES = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "0",
    "-",
    "e",
    "\\u0061",
    "\\ud800",
    "é",
    "\0",
    "null",
]
_PIECES += [
    '"a":1',
    ',"a":2',
    ',"name":"evil"',
    '"name"',
    '"method":"ping",',
    "\xa0",
    "\x7f",
    '""',
    "{}",
    "[]",
]
_BODIES = [sent.body for sent in USUAL.values() if isinstance(sent.body, str)]


@st.composite
def crooked(draw: Callable[[Any], Any]) -> str:
    """Draw a usual body with pieces put in, cut out, or doubled somewhere."""
    text: str = draw(st.sampled_from(_BODIES))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.sampled_from(_PIECES), st.just(text[start:end] * 2), st.just("")))
        text = text[:start] + piece + text[end:]
    return text


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, or fail where a key stands twice."""
    members = dict(pairs)
    assert len(members) == len(pairs), pairs
    return members


recognised: list[str] = []


def test_crooked_bodies(readers: Readers) -> None:
    """Whatever is put into a usual body, it is read by both alike, and strictly."""
    recognised.clear()
    check_crooked(readers)
    assert len(recognised) > 100, "the generator is too crooked: hardly anything was usual"


@settings(max_examples=1500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(text=crooked())
def check_crooked(readers: Readers, text: str) -> None:
    """Send one body to both."""
    status, usual = readers.agree(Call(text).bytes())
    if usual:
        recognised.append(text)
        message = json.loads(text, object_pairs_hook=unique)
        assert (status, message["method"]) == (200, "tools/call")
        assert set(message) == {"jsonrpc", "id", "method", "params"}


_NAMES = [
    "Authorization",
    "authorization",
    "Cookie",
    "Content-Type",
    "Origin",
    "Host",
    "Mcp-Name",
    "MCP-METHOD",
]
_NAMES += [
    "Content-Encoding",
    "X-Region",
    "Mcp-Session-Id",
    "X-Any",
    "X_Any",
    "Mcp-Name\t",
    "Accept",
    "Mcp-Param-A",
]
_VALUES = [
    "",
    "a",
    "Bearer a",
    "Bearer a,b",
    "mcp_gateway_session=a",
    "granted",
    "evil",
    "tools/call",
    "é",
    "a\tb",
]
_VALUES += ["application/json", "gateway.example", "a\nMcp-Name: evil", "x,y\n1", "identity"]


@settings(max_examples=800, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    more=st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(_VALUES)), max_size=4),
    proof=st.sampled_from([(("Authorization", "Bearer a"),), (("Cookie", "mcp_gateway_session=a"),), ()]),
)
def test_crooked_headers(
    readers: Readers, more: list[tuple[str, str]], proof: tuple[tuple[str, str], ...]
) -> None:
    """Whatever headers come together, they are read by both alike."""
    readers.agree(Call(more=tuple(more), proof=proof).bytes())
