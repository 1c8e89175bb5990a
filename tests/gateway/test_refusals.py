"""Each refusal of the way through nginx: what the client is told, and that no backend saw anything."""

# Messages stand here as they are sent: long lines, and letters that only look like others.
# ruff: noqa: RUF001

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from support import raw
from support.door import LIMIT, call, compact, mint, refusal, rpc

if TYPE_CHECKING:
    from support.door import Door

CALL = compact(call())
TEXT = CALL.decode()
INVALID = (400, "REQUEST_INVALID")
SERVER_METHODS = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
]
SERVER_METHODS += ["tasks/get", "tasks/result", "tasks/update", "tasks/cancel", "completion/complete"]


def chunked(data: bytes, size: int = 65536) -> bytes:
    """Return a body in chunks of that size."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def refused_at_the_latest_here(door: Door, answer: raw.Answer, status: int, code: str) -> None:
    """Check a refusal that newer versions of nginx make themselves, as of a request that HTTP does not allow."""
    door.refuses(answer, *(INVALID if answer.status == 400 else (status, code)))


CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def padded(size: int) -> bytes:
    """Return a call whose body has exactly so many bytes."""
    empty = compact(call(arguments={"a": ""}))
    return compact(call(arguments={"a": "x" * (size - len(empty))}))


UNREADABLE = {
    "empty": b"",
    "blank": b" \r\n",
    "cut off": CALL[:-1],
    "words": b"tools/call",
    "a string": b'"tools/call"',
    "a number": b"1",
    "null": b"null",
    "two messages": CALL + CALL,
    "two lines": CALL + b"\n" + CALL,
    "a rest": CALL + b"x",
    "a comma after": CALL + b",",
    "a zero byte after": CALL + b"\0",
    "a record separator before": b"\x1e" + CALL,
    "trailing comma": TEXT.replace('"arguments":{}', '"arguments":{},'),
    "comment": TEXT.replace("{}", "{/**/}"),
    "single quotes": TEXT.replace('"', "'"),
    "key without quotes": TEXT.replace('"id"', "id"),
    "NaN": TEXT.replace("{}", "NaN"),
    "Infinity": TEXT.replace("{}", "-Infinity"),
    "hexadecimal": TEXT.replace("{}", "0x1f"),
    "plus sign": TEXT.replace("{}", "+1"),
    "raw line feed in a string": TEXT.replace("granted", "gran\nted"),
    "raw tab in a string": TEXT.replace("{}", '"\t"'),
    "raw zero byte in a string": TEXT.replace("{}", '"\0"'),
    "bad escape": TEXT.replace("{}", '"\\x41"'),
    "bad \\u": TEXT.replace("{}", '"\\u00g0"'),
    "vertical tab as a space": TEXT.replace("{}", "\v{}"),
    "no-break space as a space": TEXT.replace("{}", "\u00a0{}"),
    "nested to exhaust a stack": TEXT.replace("{}", "[" * 100_000 + "]" * 100_000),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_no_or_unreadable_json(door: Door, body: bytes | str) -> None:
    """A body that is not one JSON value, read strictly, is refused."""
    door.refuses(door.post(body), *INVALID)


@pytest.mark.parametrize("body", [b"[]", b"[" + CALL + b"]", b"[" + CALL + b"," + CALL + b"]", b" [[]]"])
def test_batches(door: Door, body: bytes) -> None:
    """A batch is refused, also an empty one and one of a single message: it left MCP with 2025-06-18."""
    assert "batch" in door.refuses(door.post(body), *INVALID)["message"]


def twice(key: str, escaped: str) -> dict[str, str]:
    """Return the spellings of a second occurrence of a key: as it is, and with an escape."""
    return {key: key, f"{key} escaped": escaped}


DUPLICATES = {
    "method": '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"granted"}}',
    "method escaped": r'{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}',
    "method escaped in capitals": r'{"jsonrpc":"2.0","id":1,"method":"tools/list","\u006D\u0065\u0074hod":"x/y"}',
    "params": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"evil"},"params":{"name":"granted"}}',
    "params escaped": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","p\u0061rams":{"name":"evil"},"params":{"name":"granted"}}',
    "name": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"evil","name":"granted"}}',
    "name first granted": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"granted","name":"evil"}}',
    "name escaped": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\u0061me":"evil","name":"granted"}}',
    "name both escaped": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\u0061me":"evil","\u006eame":"granted"}}',
    "name far apart": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"evil","arguments":{"a":"\\"name\\":1","b":[{"c":":"}]},"name":"granted"}}',
    "name with a backslash before": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"evil","x":"\\","name":"granted"}}',
    "name, and a quote to confuse": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"evil","x":"\\\"","name":"granted"}}',
    "name, a member hidden in a string": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"evil","x":"\"y\":1","name":"granted"}}',
    "uri": '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"doc://secret","uri":"doc://open"}}',
    "uri escaped": r'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"doc://secret","ur\u0069":"doc://open"}}',
    "id": '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"granted"}}',
    "jsonrpc": '{"jsonrpc":"1.0","jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"granted"}}',
    "result": '{"jsonrpc":"2.0","id":1,"result":{},"result":{}}',
    "ref": '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"evil"},"ref":{"type":"ref/prompt","name":"greet"}}}',
    "ref.name": '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"evil","name":"greet"}}}',
    "ref.type": '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","type":"ref/prompt","name":"greet"}}}',
    "notifications": '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["doc://secret"]},"notifications":{}}}',
    "resourceSubscriptions": '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["doc://secret"],"resourceSubscriptions":["doc://open"]}}}',
    "taskId": '{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","taskId":"b"}}',
    "__proto__ escaped": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"granted","__proto__":1,"\u005f_proto__":2}}',
    "lone surrogates, one key to some": r'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"granted","\ud800":1,"\ud801":2}}',
}  # fmt: skip


@pytest.mark.parametrize("body", DUPLICATES.values(), ids=DUPLICATES)
def test_duplicate_keys(door: Door, body: str) -> None:
    """A key that decides and stands twice is refused, however its second occurrence is spelt."""
    assert "twice" in door.refuses(door.post(body), *INVALID)["message"]


SPELLINGS = [
    *[(key, f"message:{key}") for key in ("Method", "METHOD", "methoD", "Params", "PARAMS")],
    *[(key, f"message:{key}") for key in ("Id", "ID", "Jsonrpc", "JSONRPC", "paramſ", "Result", "ERROR")],
    *[(key, f"params:{key}") for key in ("Name", "NAME", "nAme", "URI", "Uri", "urı", "task_id", "TaskID")],
    *[(key, f"params:{key}") for key in ("TaskId", "taskid", "taſkId", "tasKId", "Ref", "REF", "Notifications")],
    *[(key, f"params:{key}") for key in (r"\u004eame", r"n\u0041me", r"\u0055RI")],
]  # fmt: skip


@pytest.mark.parametrize(("key", "place"), SPELLINGS, ids=[place for _, place in SPELLINGS])
@pytest.mark.parametrize("instead", [False, True], ids=["beside", "instead"])
def test_other_spellings_of_keys(door: Door, key: str, place: str, instead: bool) -> None:
    """A key that Go, pydantic or Unicode folding would take for a deciding one is refused."""
    level = place.partition(":")[0]
    real = "" if instead else '"name":"granted",'
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{real}"{key}":"evil"}}}}'
    if level == "message":
        real = "" if instead and key.lower() == "method" else '"method":"tools/call",'
        body = f'{{"jsonrpc":"2.0","id":1,{real}"{key}":"tools/call","params":{{"name":"granted"}}}}'
    door.refuses(door.post(body), *INVALID)


@pytest.mark.parametrize(
    ("level", "key"),
    [
        ("ref", "Name"),
        ("ref", "URI"),
        ("ref", "Type"),
        ("notifications", "resource_subscriptions"),
        ("notifications", "ResourceSubscriptions"),
        ("notifications", "resourcesubscriptions"),
        ("notifications", "reſourceSubscriptions"),
    ],
)
def test_other_spellings_of_inner_keys(door: Door, level: str, key: str) -> None:
    """The keys inside params.ref and params.notifications have one spelling as well."""
    method = "completion/complete" if level == "ref" else "subscriptions/listen"
    inner: dict[str, Any] = {"type": "ref/prompt", "name": "greet"} if level == "ref" else {}
    door.refuses(door.post(rpc(method, {level: inner | {key: ["doc://secret"]}})), *INVALID)


NO_STRINGS: list[Any] = [None, 1, True, [], ["granted"], {}, {"name": "granted"}, ""]


@pytest.mark.parametrize("value", NO_STRINGS, ids=json.dumps)
def test_method_that_is_no_string(door: Door, value: Any) -> None:
    """A method that is not a string with something in it is refused."""
    door.refuses(door.post(rpc(value, {"name": "granted"})), *INVALID)


@pytest.mark.parametrize("value", NO_STRINGS, ids=json.dumps)
@pytest.mark.parametrize("method", SERVER_METHODS)
def test_name_that_is_no_string(door: Door, method: str, value: Any) -> None:
    """A name, uri, taskId or ref.name that is not a string with something in it is refused."""
    params = {"name": value, "uri": value, "taskId": value, "ref": {"type": "ref/prompt", "name": value}}
    door.refuses(door.post(rpc(method, params)), *INVALID)


@pytest.mark.parametrize("method", SERVER_METHODS)
def test_missing_name(door: Door, method: str) -> None:
    """A method that is about something, and names nothing, is refused."""
    for params in (None, {}, {"arguments": {"name": "granted", "uri": "doc://open"}}):
        door.refuses(door.post(rpc(method, params)), *INVALID)


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_a_method_that_mcp_has_no_more(door: Door, method: str) -> None:
    """A client of the stateless version that asks whether it is there is told no, as that version has it."""
    params = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    error = door.refuses(door.post(rpc(method, params)), 404, "REQUEST_INVALID")
    assert error["code"] == -32601


@pytest.mark.parametrize("params", [[], ["granted"], "granted", 1, True])
def test_params_that_are_no_object(door: Door, params: Any) -> None:
    """Params by position, or of another type, are refused."""
    door.refuses(door.post(rpc("tools/call", params)), *INVALID)


@pytest.mark.parametrize(
    "uris",
    [
        None,
        "doc://open",
        {"0": "doc://open"},
        [1],
        [None],
        [{"uri": "doc://open"}],
        [["doc://open"]],
        [""],
        ["a\n"],
    ],
    ids=json.dumps,
)
def test_subscriptions_that_are_no_list_of_strings(door: Door, uris: Any) -> None:
    """resourceSubscriptions must be an array of strings."""
    body = rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}})
    door.refuses(door.post(body), *INVALID)


@pytest.mark.parametrize("value", [None, [], "all", 1])
def test_notifications_that_are_no_object(door: Door, value: Any) -> None:
    """params.notifications of subscriptions/listen must be an object."""
    door.refuses(door.post(rpc("subscriptions/listen", {"notifications": value})), *INVALID)


@pytest.mark.parametrize(
    "ref",
    [
        {"type": "ref/prompt", "uri": "doc://open"},
        {"type": "ref/resource", "name": "greet"},
        {"type": "ref/prompt", "name": "greet", "uri": "doc://secret"},
        {"type": "ref/resource", "name": "secret", "uri": "doc://open"},
        {"type": "ref/tool", "name": "granted"},
        {"type": ["ref/prompt"], "name": "greet"},
        {"name": "greet"},
        [{"type": "ref/prompt", "name": "greet"}],
        "greet",
        None,
    ],
    ids=json.dumps,
)
def test_refs_with_two_readings(door: Door, ref: Any) -> None:
    """A completion's ref is a prompt with a name or a resource with a uri, and nothing of both."""
    door.refuses(door.post(rpc("completion/complete", {"ref": ref})), *INVALID)


CONTROLS = ["\x00", "\t", "\n", "\r", "\r\nX-User: root", "\x1b", "\x7f", "\x85", "\x9f", "\ud800", "\ufffd"]


@pytest.mark.parametrize("text", CONTROLS, ids=ascii)
@pytest.mark.parametrize("place", ["before", "within", "after"])
def test_control_characters_in_names(door: Door, text: str, place: str) -> None:
    """A control character, a lone surrogate or a decoder's replacement mark in a name is refused."""
    name = {"before": text + "team-a", "within": f"team-{text}a", "after": "team-a" + text}[place]
    door.refuses(door.post(call(name)), *INVALID)
    door.refuses(door.post(rpc("resources/read", {"uri": name})), *INVALID)


@pytest.mark.parametrize("text", [*CONTROLS, " ", "ä", "\u2028", "x" * 300], ids=ascii)
@pytest.mark.parametrize("place", ["before", "within", "after"])
def test_control_characters_in_methods(door: Door, text: str, place: str) -> None:
    """A method is printable ASCII: one line feed at its end would split the question to the sidecar."""
    method = {"before": text + "ping", "within": f"pi{text}ng", "after": "ping" + text}[place]
    door.refuses(door.post(rpc(method)), *INVALID)


@pytest.mark.parametrize("extra", [{"result": {}}, {"error": {"code": 1, "message": "x"}}, {"result": None}])
def test_method_together_with_result_or_error(door: Door, extra: dict[str, Any]) -> None:
    """Servers execute a message with a method whatever else it holds: the mixture is refused."""
    door.refuses(door.post(call() | extra), *INVALID)


@pytest.mark.parametrize("extra", [{}, {"result": {}, "error": {}}, {"params": {"name": "granted"}}])
def test_neither_request_nor_response(door: Door, extra: dict[str, Any]) -> None:
    """A message without a method has either a result or an error."""
    door.refuses(door.post({"jsonrpc": "2.0", "id": 1} | extra), *INVALID)


@pytest.mark.parametrize("method", ["tools/call", "tools/list", "resources/read", "initialize", "ping"])
def test_request_without_id(door: Door, method: str) -> None:
    """A request without an id would be executed and never answered."""
    message = rpc(method, {"name": "granted", "uri": "doc://open"})
    del message["id"]
    door.refuses(door.post(message), *INVALID)


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, 1.5, 1.0, "a\0", "\ud800"], ids=json.dumps)
def test_id_that_readers_take_for_another(door: Door, value: Any) -> None:
    """An id is an integer, or a string without control characters and halves of surrogate pairs."""
    door.refuses(door.post(call() | {"id": value}), *INVALID)


@pytest.mark.parametrize("rpc_id", ["a" * 4095, int("9" * 4097)])
def test_an_id_that_is_too_long(door: Door, rpc_id: Any) -> None:
    """It would have to go along in headers."""
    door.refuses(door.post(call() | {"id": rpc_id}), *INVALID)


@pytest.mark.parametrize("params", [{}, {"name": 5}])
def test_params_that_name_nothing(door: Door, params: dict[str, Any]) -> None:
    """JSON-RPC has a code of its own for them."""
    assert door.refuses(door.post(rpc("tools/call", params)), *INVALID)["code"] == -32602


@pytest.mark.parametrize("version", [None, "1.0", "2", 2.0, ["2.0"]], ids=json.dumps)
def test_other_versions_of_json_rpc(door: Door, version: Any) -> None:
    """jsonrpc is "2.0"."""
    door.refuses(door.post(call() | {"jsonrpc": version}), *INVALID)


def test_inherited_members_do_not_count(door: Door) -> None:
    """What a body puts into __proto__ is no member of the message."""
    inherited = '{"jsonrpc":"2.0","__proto__":{"id":1,"method":"tools/call","params":{"name":"granted"}}}'
    door.refuses(door.post(inherited), *INVALID)
    name = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"__proto__":{"name":"granted"}}}'
    door.refuses(door.post(name), *INVALID)
    listens = '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"__proto__":{"notifications":{"resourceSubscriptions":["doc://shut"]}}}}'
    door.refuses(door.post(listens), *INVALID)
    no_id = '{"jsonrpc":"2.0","__proto__":{"id":1},"method":"tools/call","params":{"name":"granted"}}'
    door.refuses(door.post(no_id), *INVALID)
    ref = '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","__proto__":{"name":"greet"}}}}'
    door.refuses(door.post(ref), *INVALID)


ENCODINGS = {
    "UTF-8 with a byte order mark": b"\xef\xbb\xbf" + CALL,
    "UTF-16 LE": TEXT.encode("utf-16-le"),
    "UTF-16 BE": TEXT.encode("utf-16-be"),
    "UTF-16 LE with a mark": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16 BE with a mark": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-32 LE": TEXT.encode("utf-32-le"),
    "UTF-32 BE": TEXT.encode("utf-32-be"),
    "UTF-32 with a mark": TEXT.encode("utf-32"),
    "UTF-7": TEXT.replace("granted", "gr+AGE-nted").encode(),
    "EBCDIC": TEXT.encode("cp500"),
    "Latin-1": compact(call())[:-3] + b',"x":"\xe4"}}',
    "a lone continuation byte": TEXT.replace("{}", '"@"').encode().replace(b"@", b"\x80"),
    "an overlong quote": TEXT.replace("{}", '"@"').encode().replace(b"@", b"\xc0\xa2"),
    "an encoded surrogate": TEXT.replace("{}", '"@"').encode().replace(b"@", b"\xed\xa0\x80"),
    "past U+10FFFF": TEXT.replace("{}", '"@"').encode().replace(b"@", b"\xf4\x90\x80\x80"),
    "a character cut off": TEXT.replace("{}", '"@"').encode().replace(b"@", b"\xe2\x82"),
}


@pytest.mark.parametrize("body", [v for k, v in ENCODINGS.items() if k != "UTF-7"], ids=[k for k in ENCODINGS if k != "UTF-7"])  # fmt: skip
def test_not_utf_8(door: Door, body: bytes) -> None:
    """A body that is not plain UTF-8 is refused: some servers would read it all the same."""
    door.refuses(door.post(body), *INVALID)


def test_utf_7_is_read_as_what_it_says_in_utf_8(door: Door) -> None:
    """A name in UTF-7 is judged by its ASCII characters, and so is not granted."""
    door.refuses(door.post(ENCODINGS["UTF-7"]), 403, "ACCESS_DENIED")


COMPRESSED = {
    "gzip": gzip.compress(CALL),
    "deflate": zlib.compress(CALL),
    "br": b"\x0b\x2c\x80" + CALL + b"\x03",
    "zstd": b"\x28\xb5\x2f\xfd" + CALL,
    "identity": CALL,
    "gzip, identity": gzip.compress(CALL),
    "": CALL,
}


@pytest.mark.parametrize("coding", COMPRESSED)
def test_compressed_bodies(door: Door, coding: str) -> None:
    """A body with a Content-Encoding is refused, also where it is not compressed after all."""
    answer = door.post(COMPRESSED[coding], headers=(("Content-Encoding", coding),))
    door.refuses(answer, *INVALID)
    door.refuses(door.post(CALL, headers=(("Content-Encoding", coding),)), *INVALID)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_compressed_bodies_that_do_not_say_so(door: Door, coding: str) -> None:
    """A compressed body without the header is no JSON."""
    door.refuses(door.post(COMPRESSED[coding]), *INVALID)


TYPES = [
    None,
    "",
    "text/plain",
    "application/jsonx",
    "application/json-rpc",
    "application/x-www-form-urlencoded",
]
TYPES += [
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json; charset=latin1",
]
TYPES += ["application/json, text/plain", "application/json; boundary=x", "application/json;", "text/json"]
TYPES += ["application/vnd.api+json", "application/json; charset=utf-8; charset=utf-16", "application/json x"]


@pytest.mark.parametrize("value", TYPES)
def test_other_content_types(door: Door, value: str | None) -> None:
    """A POST says application/json, in UTF-8 if it says a charset, or is refused."""
    door.refuses(door.post(CALL, replace={"Content-Type": value}), *INVALID)


@pytest.mark.parametrize("same", [True, False], ids=["equal", "different"])
@pytest.mark.parametrize(
    "name",
    ["Authorization", "Content-Type", "Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "Mcp-Session-Id"]
    + ["Mcp-Param-City", "Mcp-Anything", "Origin", "X-User-Pool-Id", "X-Client-Id", "X-Region"],
)
def test_duplicate_headers(door: Door, name: str, same: bool) -> None:
    """A header that decides and comes twice is refused, whatever its two values."""
    honest = {"Authorization": f"Bearer {door.token}", "Content-Type": "application/json"}
    honest |= {"Mcp-Method": "tools/call", "Mcp-Name": "granted", "Origin": f"http://{door.host}"}
    value = honest.get(name, "x")
    second = (name.upper(), value if same else f"{value}x")
    door.refuses(door.post(CALL, replace={name: value}, headers=(second,)), *INVALID)


def sentinel(text: str | bytes) -> str:
    """Return a header value as MCP 2026-07-28 encodes what is not plain ASCII."""
    raw_text = text if isinstance(text, bytes) else text.encode()
    return f"=?base64?{base64.b64encode(raw_text).decode()}?="


LIES = {
    "another method": ("Mcp-Method", "tools/list"),
    "method in capitals": ("Mcp-Method", "Tools/Call"),
    "empty method": ("Mcp-Method", ""),
    "two methods": ("Mcp-Method", "tools/call, tools/list"),
    "method encoded": ("Mcp-Method", sentinel("tools/call")),
    "another name": ("Mcp-Name", "evil"),
    "name in capitals": ("Mcp-Name", "Granted"),
    "empty name": ("Mcp-Name", ""),
    "name in quotes": ("Mcp-Name", '"granted"'),
    "name percent-encoded": ("Mcp-Name", "%67ranted"),
    "another name encoded": ("Mcp-Name", sentinel("evil")),
    "name encoded with a line feed": ("Mcp-Name", sentinel("granted\n")),
    "base64 without padding": ("Mcp-Name", sentinel("granted").replace("==?=", "?=")),
    "base64 with a rest": ("Mcp-Name", sentinel("granted").replace("Z3Jh", "Z3J h")),
    "base64 with other last bits": ("Mcp-Name", sentinel("granted").replace("ZA==", "ZB==")),
    "base64 of the URL alphabet": ("Mcp-Name", "=?base64?_-__?="),
    "base64 of what is no UTF-8": ("Mcp-Name", sentinel(b"granted\xff")),
    "base64 of nothing": ("Mcp-Name", "=?base64??="),
    "sentinel in capitals": ("Mcp-Name", sentinel("granted").replace("base64", "BASE64")),
    "quoted-printable": ("Mcp-Name", "=?utf-8?q?granted?="),
}


@pytest.mark.parametrize("lie", LIES)
def test_lying_mcp_headers(door: Door, lie: str) -> None:
    """Mcp-Method and Mcp-Name that do not say what the body says are 400, code -32020."""
    error = door.refuses(door.post(CALL, headers=(LIES[lie],)), 400, "HEADER_MISMATCH")
    assert error["code"] == -32020


def test_header_mismatch_echoes_the_id(door: Door) -> None:
    """The JSON-RPC error for a lying header carries the id of the request that it answers."""
    answer = door.post(call() | {"id": "call-7"}, headers=(("Mcp-Method", "tools/list"),))
    assert answer.json()["id"] == "call-7"


@pytest.mark.parametrize("name", ["Mcp-Method", "Mcp-Name"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_mcp_headers_without_a_body(door: Door, method: str, name: str) -> None:
    """A GET or DELETE has no method and no name, whatever its headers say."""
    answer = door.get(method=method, headers=((name, "tools/list"),))
    door.refuses(answer, 400, "HEADER_MISMATCH")


def test_mcp_headers_on_a_response(door: Door) -> None:
    """A JSON-RPC response has no method either."""
    answer = door.post({"jsonrpc": "2.0", "id": 1, "result": {}}, headers=(("Mcp-Method", "tools/list"),))
    door.refuses(answer, 400, "HEADER_MISMATCH")


def test_underscored_mcp_headers_do_not_count(door: Door) -> None:
    """Mcp_Method is no spelling of Mcp-Method: it is not kept."""
    seen = door.passes(CALL, headers=(("Mcp_Method", "tools/list"), ("mcp_name", "evil")))
    assert not {name for name in seen.names() if "mcp" in name}


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 70_000])
def test_too_large_by_content_length(door: Door, size: int) -> None:
    """One byte above the limit is 413, and nothing of it is judged."""
    door.refuses(door.post(padded(size)), 413, "BODY_TOO_LARGE")


def test_too_large_by_its_word_alone(door: Door) -> None:
    """A Content-Length above the limit is refused before the body comes."""
    data = door.message(b"", replace={"Content-Length": str(LIMIT + 1)})
    door.refuses(door.send(data), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("size", [1000, 65536])
def test_too_large_in_chunks(door: Door, size: int) -> None:
    """One byte above the limit is 413 in chunks as well."""
    door.refuses(door.post(chunked(padded(LIMIT + 1), size), replace=CHUNKED), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("size", [None, 1000, 65536])
def test_the_limit_itself_passes(door: Door, size: int | None) -> None:
    """A body of exactly the limit is judged whole and passes byte by byte, however it is sent."""
    body = padded(LIMIT)
    sent = chunked(body, size) if size else body
    assert door.passes(sent, replace=CHUNKED if size else {}).body == body


@pytest.mark.parametrize("size", [None, 1000])
def test_a_target_at_the_very_end_of_a_large_body(door: Door, size: int | None) -> None:
    """A body near the limit is judged to its end: the name comes last."""
    fill = "x" * (LIMIT - 200)
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{{"a":"{fill}"}},"name":"evil"}}}}'
    sent = chunked(body.encode(), size) if size else body.encode()
    door.refuses(door.post(sent, replace=CHUNKED if size else {}), 403, "ACCESS_DENIED")


HARD = {
    "escapes": ["\n"] * 600_000,
    "quotes": '"' * 2_000_000,
    "backslashes": "\\" * 2_000_000,
    "objects": [{"name": 1}] * 300_000,
    "arrays": [[]] * 1_000_000,
    "keys": {f"k{number}": "\n" for number in range(150_000)},
}


@pytest.mark.parametrize("name", HARD)
def test_bodies_made_to_be_slow(door: Door, name: str) -> None:
    """A body of 4 MB takes nginx a moment, not minutes, whatever it is made of."""
    body = compact(rpc("tools/call", {"name": "evil", "arguments": {"name": HARD[name]}}))
    assert 1_000_000 < len(body) < LIMIT
    answer = raw.exchange(door.gateway.address, door.message(body), timeout=10)
    door.refuses(answer, 403, "ACCESS_DENIED")


def test_bodies_in_very_small_chunks(door: Door) -> None:
    """A body whose chunks weigh more than itself may be refused as too large; it is never judged in part."""
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"granted","arguments":{"a":"%s"}}}'
    )
    door.refuses(door.post(chunked(body % (b"x" * 3_000_000), 1), replace=CHUNKED), 413, "BODY_TOO_LARGE")


def test_names_that_are_too_long(door: Door) -> None:
    """Names past what a header holds are refused, not cut."""
    door.refuses(door.post(call("team-" + "x" * 9000)), *INVALID)
    uris = ["doc://open"] * 200_000
    body = rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}})
    door.refuses(door.post(body), *INVALID)


def test_too_many_names(door: Door) -> None:
    """Each name is judged against each grant: a message about hundreds of them is refused."""
    uris = [f"doc://tree/{number}" for number in range(257)]
    door.passes(rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris[:256]}}))
    door.backend.reset()
    answer = door.post(rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}}))
    door.refuses(answer, *INVALID)


@pytest.mark.parametrize("character", ["\ufdfa", "\u0345\u0334"], ids=ascii)
def test_keys_that_are_slow_to_compare(door: Door, character: str) -> None:
    """Keys beside those that decide are held to a size: some of Unicode takes seconds to bring to its simplest form."""
    keys = {f"{character * (900 // len(character))}{number}": 1 for number in range(990)}
    door.refuses(door.post(json.dumps(call(**keys), ensure_ascii=False)), *INVALID)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_bodies_that_nobody_would_judge(door: Door, method: str) -> None:
    """A GET or DELETE with a body is refused, also in chunks and with a crooked length."""
    door.refuses(door.post(CALL, method=method), *INVALID)
    door.refuses(door.post(chunked(CALL), method=method, replace=CHUNKED), *INVALID)
    door.refuses(door.post(b"0\r\n\r\n", method=method, replace=CHUNKED), *INVALID)
    door.refuses(door.get(method=method, replace={"Content-Length": "00"}), *INVALID)


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "PROPFIND", "MKCOL", "QUERY", "POSTS"]
)
@pytest.mark.parametrize("body", [b"", CALL], ids=["empty", "body"])
def test_other_http_methods(door: Door, method: str, body: bytes) -> None:
    """HTTP methods that MCP does not use are 405 and name those that it does."""
    answer = door.post(body, method=method)
    assert door.backend.requests == []
    if method == "CONNECT" and answer.status == 400:  # nginx 1.30 has no use for it either
        refusal(answer, *INVALID)
        return
    assert answer.status == 405
    assert answer.header("Allow") == "GET, POST, DELETE"
    if method != "HEAD":
        refusal(answer, 405, "REQUEST_INVALID")


@pytest.mark.parametrize("method", ["post", "Post", "P OST", "POST\t"])
def test_http_methods_in_other_letters(door: Door, method: str) -> None:
    """HTTP methods are upper case."""
    door.refuses(door.post(CALL, method=method), *INVALID)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_method_override(door: Door, name: str) -> None:
    """A header that some frameworks take for the method does not reach the backend."""
    assert name.lower() not in door.passes(CALL, headers=((name, "DELETE"),)).names()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.1",
        "0.0.0.0",
    ]
    + [
        "2130706433",
        "user@127.0.0.1",
        "127.0.0.1@evil.example",
        "[::ffff:7f00:1]",
        "evil.example\\@127.0.0.1",
    ],
)
def test_foreign_host(door: Door, host: str) -> None:
    """A Host that is not this gateway's is 421, also where it only looks like it."""
    for answer in (door.post(CALL, replace={"Host": host}), door.get(replace={"Host": host})):
        refused_at_the_latest_here(door, answer, 421, "REQUEST_INVALID")


@pytest.mark.parametrize("host", [None, "", "a b", "a/b"])
def test_broken_host(door: Door, host: str | None) -> None:
    """A missing or broken Host is refused by HTTP itself."""
    door.refuses(door.post(CALL, replace={"Host": host}), *INVALID)


def test_two_hosts(door: Door) -> None:
    """Two Host headers are refused, equal or not."""
    for second in (door.host, "evil.example"):
        door.refuses(door.post(CALL, headers=(("Host", second),)), *INVALID)


def test_http_1_0_without_a_host(door: Door) -> None:
    """HTTP/1.0 may leave Host out; nobody then knows whom it means."""
    answer = door.post(CALL, version="HTTP/1.0", replace={"Host": None})
    door.refuses(answer, 421, "REQUEST_INVALID")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "file://",
    ]
    + ["http://{host}.evil.example", "http://evil.example/{host}", "http://{host}/", "{host}", "ftp://{host}"]
    + ["http://{host}, http://evil.example", "http://{host} ", "chrome-extension://abc"],
)
def test_foreign_origin(door: Door, origin: str) -> None:
    """A call from a page of another origin is 403."""
    value = origin.format(host=door.host)
    if value == f"http://{door.host} ":
        assert door.passes(CALL, headers=(("Origin", value),)).header("Origin") is None
        return
    answer = door.post(CALL, headers=(("Origin", value),))
    door.refuses(answer, 403, "ORIGIN_MISMATCH")


TRAVERSALS = [
    "/time/../secret/mcp",
    "/time/./mcp",
    "/time/mcp/..",
    "/time/mcp/.",
    "//time/mcp",
    "/time//mcp",
    "/time/mcp//",
    "/secret/../time/mcp",
    "/time/../time/mcp",
    "/time/%2e%2e/secret/mcp",
    "/time/%2E%2E/secret/mcp",
    "/time/.%2e/secret/mcp",
    "/time/%2e/mcp",
    "/time/..%2fsecret/mcp",
    "/time/..%2Fsecret/mcp",
    "/time%2fmcp",
    "/time/..%5csecret",
    "/time/..\\secret/mcp",
    "/time/mcp\\..\\..\\secret",
    "/time/mcp;x=1",
    "/time/..;/secret/mcp",
    "/time/mcp%3bx",
    "/time/%252e%252e/secret/mcp",
    "/time/%c0%ae%c0%ae/secret",
    "/time/%C0%AF",
    "/time/%e0%80%ae%e0%80%ae/secret",
    "/time/%F0%80%80%AF",
    "/time/..%20/secret",
    "/time/..%09",
    "/time/mcp%0d%0aX-User:%20root",
    "/time/mcp%7f",
    "/time/mcp%23x",
    "/time/mcp%3fx",
    "/time/mcp%00",
    "/time/%",
    "/time/%zz",
    "/time/%u002e",
    "/%74ime/mcp",
    "/tim%65/mcp",
    "/secret%2f..%2ftime/mcp",
    "/time%0a",
    "/time/mcp#x",
    "/time/mcp#/../../secret",
    "/time/mcp?a#b",
    '/time/"',
    "/time/<x>",
    "/time/{x}",
    "/time/ü",
    "/time/mcp\x01",
    "/time /mcp",
    "/time/mcp?a b",
    "time/mcp",
    "*",
    "?time",
    "/time/..",
]


@pytest.mark.parametrize("target", TRAVERSALS)
def test_paths_with_two_readings(door: Door, target: str) -> None:
    """A path that another program could read differently is refused, wherever it leads."""
    door.refuses(door.post(CALL, target=target), *INVALID)
    door.refuses(door.get(target), *INVALID)


@pytest.mark.parametrize(
    "target",
    [
        "/TIME/mcp",
        "/Time/mcp",
        "/tIme",
        "/time;/mcp",
        "/time;a=b/mcp",
        "/time\\mcp",
        "/time:80/mcp",
    ]
    + [
        "/time@secret/mcp",
        "/_time/mcp",
        "/-time/mcp",
        "/.time/mcp",
        "/time%0a/mcp",
        "/time..;/mcp",
        "/" + "a" * 200,
    ]
    + ["/gateway/validate", "/gateway/malformed"],
)
def test_paths_of_no_server(door: Door, target: str) -> None:
    """A path without a server's name in lower case is nobody's."""
    door.refuses(door.post(CALL, target=target), 404, "SERVER_UNKNOWN")


@pytest.mark.parametrize(
    "target", ["/time./mcp", "/time.secret/mcp", "/timex/mcp", "/tim/mcp", "/gateway/validate/"]
)
def test_names_that_resemble_a_server(door: Door, target: str) -> None:
    """A server's name is compared whole."""
    door.refuses(door.post(CALL, target=target), 403, "SERVER_UNKNOWN")


def test_absolute_form(door: Door) -> None:
    """A request target with a host of its own is refused: Host would say another."""
    door.refuses(door.post(CALL, target=f"http://{door.host}/time/mcp"), *INVALID)
    answer = door.post(CALL, target="http://evil.example/time/mcp")
    refused_at_the_latest_here(door, answer, 421, "REQUEST_INVALID")
    lying = {"Host": "evil.example", "Origin": "http://evil.example"}
    door.refuses(door.post(CALL, target=f"http://{door.host}/time/mcp", replace=lying), *INVALID)
    tunnel = door.post(CALL, target="127.0.0.1:80", method="CONNECT")
    door.refuses(tunnel, 405 if tunnel.status == 405 else 400, "REQUEST_INVALID")  # nginx 1.30 or 1.22


SMUGGLED = b"POST /secret/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "chunked", "Content-Length": "6"},
        {"Content-Length": "6", "Transfer-Encoding ": "chunked"},
        {"Transfer-Encoding": "identity", "Content-Length": None},
        {"Transfer-Encoding": "gzip, chunked", "Content-Length": None},
        {"Transfer-Encoding": "chunked, chunked", "Content-Length": None},
        {"Transfer-Encoding": "xchunked", "Content-Length": None},
        {"Transfer-Encoding": "chunked;q=1", "Content-Length": None},
        {"Transfer-Encoding": "\vchunked", "Content-Length": None},
        {"Transfer-Encoding": "", "Content-Length": None},
        {"Transfer-Encoding": "chunked", "transfer-encoding": "identity", "Content-Length": None},
        {"Content-Length": "+5"},
        {"Content-Length": "5, 5"},
        {"Content-Length": "0x59"},
        {"Content-Length": "-1"},
        {"Content-Length": ""},
        {"Content-Length": "5 5"},
        {"Content-Length": "99999999999999999999"},
        {"Content-Length": "5", "content-length": "5"},
        {"Content-Length": "5", "content-length": "89"},
        {"Content-Length": None},
    ],
    ids=str,
)
def test_request_smuggling(door: Door, headers: dict[str, str | None]) -> None:
    """A request whose end can be seen in two places is refused, and the connection is closed."""
    body = chunked(CALL) if any(name.strip().lower() == "transfer-encoding" for name in headers) else CALL
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(body, replace=headers) + SMUGGLED)
        refusal(connection.answer(), *INVALID)
        rest = connection.rest()
    assert b"200 OK" not in rest
    assert door.post(CALL).status == 200
    assert [seen.body for seen in door.backend.requests] == [CALL]
    assert door.secret.requests == []


def test_chunks_in_http_1_0(door: Door) -> None:
    """HTTP/1.0 knows no chunks: a proxy before this one would have seen another body."""
    door.refuses(door.post(chunked(CALL), version="HTTP/1.0", replace=CHUNKED), *INVALID)


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3", "HTTP/1.1x", "HTTP/1", "HTTPS/1.1", "http/1.1"])
def test_other_versions_of_http(door: Door, version: str) -> None:
    """A version that is not spoken here is refused as the contract says, not with a page."""
    door.refuses(door.post(CALL, version=version), *INVALID)


BROKEN_LINES = {
    "obs-fold": b"X-A: b\r\n c: d\r\n",
    "a bare carriage return": b"X-A: b\rX-Evil: 1\r\n",
    "a zero byte": b"X-A: b\0c\r\n",
    "space before the colon": b"X-A : b\r\n",
    "no name": b": b\r\n",
    "too large": b"X-Big: " + b"a" * 40_000 + b"\r\n",
    "too large together": b"".join(b"X-%d: %s\r\n" % (number, b"a" * 30_000) for number in range(12)),
    "too large at the first line": b"",
}


@pytest.mark.parametrize("case", BROKEN_LINES)
def test_broken_header_lines(door: Door, case: str) -> None:
    """Header lines that programs read differently, or that are too long, are refused."""
    honest = door.message(CALL, target="/time/" + "a" * 40_000 if case.endswith("line") else "/time/mcp")
    door.refuses(door.send(honest.replace(b"Accept: ", BROKEN_LINES[case] + b"Accept: ", 1)), *INVALID)


@pytest.mark.parametrize("character", [b"\x01", b"\x0b", b"\x1f", b"\x7f"], ids=ascii)
@pytest.mark.parametrize("name", ["X-A", "Cookie", "Authorization"])
def test_control_characters_in_headers(door: Door, name: str, character: bytes) -> None:
    """nginx takes them and the sidecar's HTTP library does not: that is the client's mistake, and told as one."""
    headers = ((name, b"Bearer a" + character + b"b"),)
    door.refuses(door.post(CALL, replace={"Authorization": None}, headers=headers), *INVALID)


@pytest.mark.parametrize("path", ["/session", "/"])
def test_bodies_that_no_page_reads(door: Door, path: str) -> None:
    """What nginx itself refuses to carry to a page is refused in the same words as elsewhere."""
    door.refuses(door.post(b"x" * 100_000, target=path), 413, "BODY_TOO_LARGE")
    door.refuses(door.post(b"zz\r\n", target=path, replace=CHUNKED), *INVALID)


def test_broken_chunks_of_a_stranger(door: Door) -> None:
    """Where the rest of a refused request breaks HTTP's rules, status, header and body still agree."""
    door.refuses(door.post(b"zz\r\n", replace=CHUNKED | {"Authorization": None}), *INVALID)


def test_bare_line_feeds(door: Door) -> None:
    """nginx takes a bare line feed for a line's end, and the backend sees it so as well."""
    honest = door.message(CALL)
    answer = door.send(honest.replace(b"Accept: ", b"X-A: b\nX-User: root\r\nAccept: ", 1))
    assert answer.status == 200
    assert "x-user" not in door.backend.only().names()


@pytest.mark.parametrize(
    "line", ["X-Ü: b\r\n".encode(), b"X_A: b\r\n", b"x_a\r\n", b"X.A: b\r\n", b"X-User\r\n"]
)
def test_header_lines_that_are_dropped(door: Door, line: bytes) -> None:
    """A header with a name that HTTP or CGI would read in two ways does not reach the backend."""
    answer = door.send(door.message(CALL).replace(b"Accept: ", line + b"Accept: ", 1))
    assert answer.status == 200
    assert not {
        name for name in door.backend.only().names() if name.startswith(("x_", "x.", "x-user", "x-\xc3"))
    }


def test_pipelined_requests_are_judged_one_by_one(door: Door) -> None:
    """What one request was allowed says nothing for the next on the same connection."""
    with raw.Connection(door.gateway.address) as connection:
        granted, denied = door.message(CALL), door.message(call("evil"))
        nobody = door.message(CALL, replace={"Authorization": None})
        unread = door.message(b"x")
        connection.send(granted + denied + granted + nobody + granted + unread + granted)
        statuses = [connection.answer().status for _ in range(7)]
    assert statuses == [200, 403, 200, 401, 200, 400, 200]
    assert len(door.backend.requests) == 4


def test_nothing_of_a_request_is_left_for_the_next(door: Door) -> None:
    """On one connection a GET after a call has no method, no tool and no other's name."""
    with raw.Connection(door.gateway.address) as connection:
        connection.send(door.message(CALL, headers=(("Cookie", "a=1"),)))
        assert connection.answer().status == 200
        bare = {"Content-Length": None, "Content-Type": None, "Authorization": f"Bearer {mint('access')}"}
        connection.send(door.message(b"", method="GET", replace=bare))
        assert connection.answer().status == 200
    call_seen, get_seen = door.backend.requests
    assert call_seen.header("X-Tool-Name") == "granted"
    assert get_seen.header("X-Tool-Name") is None
    assert get_seen.header("Cookie") is None
    assert (call_seen.header("X-User"), get_seen.header("X-User")) == (None, "ada")


PASSING: dict[str, str | bytes] = {
    "as it is": CALL,
    "pretty printed": json.dumps(call(arguments={"a": [1, {"b": None}]}), indent=4),
    "white space of every kind": " \r\n\t" + TEXT.replace(":", " \t: \n").replace(",", "\r\n,  ") + "\n ",
    "a name in escapes": TEXT.replace("granted", r"\u0067r\u0061nted"),
    "keys in escapes": TEXT.replace('"method"', r'"m\u0065thod"').replace('"name"', r'"\u006eame"'),
    "every escape": TEXT.replace("{}", r'{"a":"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00"}'),
    "a name of another script": json.dumps(call("grüße 日本 🕰"), ensure_ascii=False),
    "the same in escapes": json.dumps(call("grüße 日本 🕰")),
    "a name with a comma": compact(call("a,b c%")),
    "a name with a backslash": compact(call("back\\slash")),
    "a name with a quote": compact(call('quo"te')),
    "big integers": TEXT.replace("{}", '{"a":123456789012345678901234567890,"b":-0,"c":1E400}'),
    "an id as a large integer": TEXT.replace('"id":1', '"id":9007199254740993'),
    "an id as a string": TEXT.replace('"id":1', '"id":"ü-\\u00e4"'),
    "an empty id": TEXT.replace('"id":1', '"id":""'),
    "deciding words among the arguments": compact(call(arguments={"name": "evil", "method": "x", "params": {"uri": 1}})),
    "text that looks like JSON": compact(call(arguments={"a": '{"name":"evil","method":"tools/list"}', "b": "\\"})),
    "lone surrogates in an argument": TEXT.replace("{}", r'{"a":"\ud800"}'),
    "control characters in an argument": TEXT.replace("{}", r'{"a":"\u0000\u001b\u007f"}'),
    "line separators": TEXT.replace("{}", '{"a":"\u2028\u2029\u0085"}'),
    "names of JavaScript's own": TEXT.replace("{}", '{"constructor":1,"toString":2,"__proto__":3,"hasOwnProperty":4}'),
    "unknown members": TEXT.replace('"id":1', '"id":1,"trace":{"a":1},"nome":"x"'),
    "_meta": compact(call(_meta={"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": 1})),
    "500 levels": TEXT.replace("{}", "[" * 500 + "]" * 500),
    "1 MB of text": compact(call(arguments={"a": "x" * 1_000_000})),
    "1 MB of another script": json.dumps(call(arguments={"a": "日本" * 170_000}), ensure_ascii=False),
    "1 MB of escapes": compact(call(arguments={"a": '\n"\\' * 160_000})),
}  # fmt: skip


@pytest.mark.parametrize("body", PASSING.values(), ids=PASSING)
def test_good_messages_pass_byte_by_byte(door: Door, body: str | bytes) -> None:
    """A message with one meaning reaches the backend as the client wrote it."""
    seen = door.passes(body)
    assert seen.body == (body.encode() if isinstance(body, str) else body)
    assert (seen.method, seen.target) == ("POST", "/mcp")


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunked_messages_pass(door: Door, size: int) -> None:
    """A body in chunks is put together, judged, and passed on with a length."""
    seen = door.passes(chunked(CALL, size), replace=CHUNKED)
    assert seen.body == CALL
    assert seen.header("Transfer-Encoding") is None


@pytest.mark.parametrize(
    "value",
    [
        "application/json;charset=UTF-8",
        "Application/JSON",
        'application/json ; charset="utf-8"',
        " application/json",
    ],
)
def test_spellings_of_the_content_type(door: Door, value: str) -> None:
    """application/json may be written in every way that HTTP allows."""
    door.passes(CALL, replace={"Content-Type": value})


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (call(), {"Mcp-Method": "tools/call", "Mcp-Name": "granted"}),
        (call(), {"Mcp-Name": sentinel("granted")}),
        (call("grüße 日本 🕰"), {"Mcp-Method": "tools/call", "Mcp-Name": sentinel("grüße 日本 🕰")}),
        (rpc("prompts/get", {"name": "greet"}), {"Mcp-Name": "greet"}),
        (
            rpc("resources/read", {"uri": "doc://open"}),
            {"Mcp-Method": "resources/read", "Mcp-Name": "doc://open"},
        ),
        (rpc("tasks/get", {"taskId": "t-1"}), {"Mcp-Method": "tasks/get", "Mcp-Name": "t-1"}),
        (rpc("tools/list"), {"Mcp-Method": "tools/list"}),
    ],
    ids=str,
)
def test_honest_mcp_headers_pass(door: Door, body: dict[str, Any], headers: dict[str, str]) -> None:
    """Mcp-Method and Mcp-Name that agree with the body go on to the backend as they came."""
    seen = door.passes(body, headers=tuple(headers.items()))
    assert {name: seen.header(name) for name in headers} == headers


@pytest.mark.parametrize(
    "target",
    ["/time/mcp", "/time/mcp/", "/time/mcp/a%20b/c", "/time/mcp/...", "/time/mcp/a.b/~c!$&'()*+,=:@"]
    + ["/time/sse", "/time/messages/?session_id=1", "/time/mcp?", "/time/sse?q"]
    + [
        "/time/mcp?x=/../../secret&y=..%2f",
        "/time/mcp?server=secret;a=b",
        "/time/mcp??x",
        "/time/mcp?ü",
    ],
)
def test_good_paths_pass_as_sent(door: Door, target: str) -> None:
    """A path with one reading, and any query, go on as the client wrote them, without the server's name."""
    expected = target.removeprefix("/time")
    assert door.passes(CALL, target=target).target == expected.encode().decode("latin-1")
    assert door.secret.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "localhost:1"])
def test_hosts_of_this_machine_pass(door: Door, host: str) -> None:
    """A gateway on loopback answers for every name of loopback."""
    door.passes(CALL, replace={"Host": host})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_own_origin_passes(door: Door, scheme: str) -> None:
    """A page of the gateway's own origin may call it."""
    door.passes(CALL, headers=(("Origin", f"{scheme}://{door.host}"),))


def test_http_1_0_is_judged_alike(door: Door) -> None:
    """HTTP/1.0 with a Host passes or is refused as any other request."""
    door.refuses(door.post(call("evil"), version="HTTP/1.0"), 403, "ACCESS_DENIED")
    door.passes(CALL, version="HTTP/1.0")


def test_health_is_public_and_says_nothing(door: Door) -> None:
    """/health answers anybody, with no detail."""
    answer = door.get("/health", replace={"Authorization": None})
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
