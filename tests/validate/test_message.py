"""A message has one meaning for every reader, or is refused."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from support.door import call, compact, rpc

from auth_server.errors import InvalidParams, InvalidRequest, NoSuchMethod
from auth_server.model import Kind, Name
from auth_server.validate import message
from auth_server.validate.message import NOTHING, Message, describe, parse

LISTEN = "subscriptions/listen"
COMPLETE = "completion/complete"


def read(body: dict[str, Any] | bytes | str) -> Message:
    """Return what a message asks."""
    data = compact(body) if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    return describe(parse(data))


def refused(body: dict[str, Any] | bytes | str) -> str:
    """Return why it is refused."""
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    return caught.value.message


# ------------------------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("method", "member", "kind"),
    [
        ("tools/call", "name", Kind.TOOLS),
        ("prompts/get", "name", Kind.PROMPTS),
        ("resources/read", "uri", Kind.RESOURCES),
        ("resources/subscribe", "uri", Kind.RESOURCES),
        ("resources/unsubscribe", "uri", Kind.RESOURCES),
    ],
)
def test_what_a_method_is_about(method: str, member: str, kind: Kind) -> None:
    """The method says which member names it, and in which list a grant must hold it."""
    assert read(rpc(method, {member: "x y"})) == Message(method, (Name(kind, "x y"),), "x y")


@pytest.mark.parametrize("method", message.NAMING_MEMBER)
@pytest.mark.parametrize("params", [None, {}, {"cursor": "x"}, {"Name": "x"}])
def test_a_method_that_names_something_needs_a_name(method: str, params: Any) -> None:
    """A call of nothing is no call, whatever stands in the name's place."""
    refused(rpc(method, params))


@pytest.mark.parametrize("method", [*message.NAMING_MEMBER, COMPLETE])
def test_params_without_a_name_are_invalid_params(method: str) -> None:
    """JSON-RPC has a code for that."""
    for params in (None, {"name": 1, "uri": 1, "taskId": 1, "ref": {"type": "ref/prompt"}}):
        with pytest.raises(InvalidParams):
            read(rpc(method, params))


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_a_method_that_the_stateless_versions_do_not_have(method: str) -> None:
    """Who asks in their way whether it is there, and names nothing, is told that it is not; by name it is judged."""
    meta = {"io.modelcontextprotocol/protocolVersion": message.STATELESS}
    with pytest.raises(NoSuchMethod):
        read(rpc(method, {"_meta": meta}))
    with pytest.raises(InvalidParams):
        read(rpc(method, {"_meta": {**meta, "io.modelcontextprotocol/protocolVersion": "2025-11-25"}}))
    assert read(rpc(method, {"_meta": meta, "uri": "doc://open"})).name == "doc://open"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel", "tasks/result"])
def test_a_task_is_judged_by_its_method_alone(method: str) -> None:
    """A task's id is in no list of a grant; it is what Mcp-Name is compared with."""
    assert read(rpc(method, {"taskId": "id-1"})) == Message(method, (), "id-1")


def test_a_name_of_another_method_is_left_aside() -> None:
    """It is held to one reading all the same."""
    assert read(rpc("tools/list", {"name": "x", "uri": "y"})) == Message("tools/list")
    refused(rpc("tools/list", {"name": 5}))


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ({"type": "ref/prompt", "name": "é, x"}, Name(Kind.PROMPTS, "é, x")),
        ({"type": "ref/resource", "uri": "a://{b}"}, Name(Kind.RESOURCES, "a://{b}")),
    ],
)
def test_a_completion_says_what_it_completes(reference: dict[str, str], named: Name) -> None:
    """The kind comes with the name, since the method does not tell it."""
    found = read(rpc(COMPLETE, {"ref": reference, "argument": {"name": "a", "value": "b"}}))
    assert found == Message(COMPLETE, (named,), named.value)


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"ref": None},
        {"ref": "plan"},
        {"ref": {}},
        {"ref": {"type": "ref/tool", "name": "x"}},
        {"ref": {"type": "ref/prompt"}},
        {"ref": {"type": "ref/prompt", "uri": "x"}},
        {"ref": {"type": "ref/prompt", "name": "x", "uri": "y"}},
        {"ref": {"type": "ref/resource", "name": "x", "uri": "y"}},
        {"ref": {"type": "ref/resource", "name": "x"}},
        {"ref": {"type": ["ref/prompt"], "name": "x"}},
        {"ref": {"name": "x"}},
    ],
)
def test_a_completion_of_nothing_or_of_two_things_is_refused(params: Any) -> None:
    """One prompt by its name, or one resource by its URI."""
    refused(rpc(COMPLETE, params))


def test_listening_names_each_resource_once() -> None:
    """Every URI is judged; Mcp-Name says nothing of them."""
    params = {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["b", "a", "b"]}}
    names = (Name(Kind.RESOURCES, "b"), Name(Kind.RESOURCES, "a"))
    assert read(rpc(LISTEN, params)) == Message(LISTEN, names)


@pytest.mark.parametrize(
    "params",
    [None, {}, {"notifications": {}}, {"notifications": {"resourceSubscriptions": []}}],
)
def test_listening_to_no_resource(params: Any) -> None:
    """subscriptions/listen may name none."""
    assert read(rpc(LISTEN, params)) == Message(LISTEN)


@pytest.mark.parametrize(
    "notifications",
    [
        None,
        [],
        "x",
        {"resourceSubscriptions": None},
        {"resourceSubscriptions": "a"},
        {"resourceSubscriptions": {"0": "a"}},
        {"resourceSubscriptions": [1]},
        {"resourceSubscriptions": [["a"]]},
        {"resourceSubscriptions": [""]},
        {"resourceSubscriptions": ["a\n"]},
        {"resourcesubscriptions": ["a"]},
        {"resource_subscriptions": ["a"]},
    ],
)
def test_a_subscription_to_what_is_no_uri_is_refused(notifications: Any) -> None:
    """An array of URIs under its own name, or none."""
    refused(rpc(LISTEN, {"notifications": notifications}))


def test_the_versions_word_of_a_message() -> None:
    """`_meta` may say the protocol's version, and anything else that is no business of this gateway."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "Name": "x", "progressToken": 1}
    assert read(rpc("ping", {"_meta": meta})).version == "2026-07-28"
    others: list[Any] = [{}, None, "x", [], {"io.modelcontextprotocol/protocolVersion": 5}]
    for other in others:
        assert read(rpc("ping", {"_meta": other})).version == ""


def test_a_version_that_stands_twice_is_refused() -> None:
    """The header is compared with one of them, and a backend might go by the other."""
    twice = '{"io.modelcontextprotocol/protocolVersion":"a","io.modelcontextprotocol/protocolVersion":"b"}'
    assert "stands twice" in refused(
        f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{twice}}}}}'
    )


# ---------------------------------------------------------------------------------------------- the envelope


@pytest.mark.parametrize("outcome", [{"result": {}}, {"result": None}, {"error": {"code": 1, "message": ""}}])
def test_a_response_asks_for_nothing(outcome: dict[str, Any]) -> None:
    """Clients answer what a server asked of them."""
    assert read({"jsonrpc": "2.0", "id": 1} | outcome) == NOTHING


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"result": {}, "error": {}},
        {"method": "ping", "result": {}},
        {"method": "ping", "error": {}},
        {"method": None},
        {"method": None, "result": {}},
        {"Method": "ping"},
        {"params": {}},
    ],
)
def test_a_message_is_either_a_request_or_a_response(members: dict[str, Any]) -> None:
    """Servers execute a method that stands beside a result."""
    refused({"jsonrpc": "2.0", "id": 1} | members)


@pytest.mark.parametrize("version", [None, "1.0", "2", 2.0, "2.0 ", ["2.0"]])
def test_it_is_json_rpc_2(version: Any) -> None:
    """Any other version could mean anything."""
    assert "jsonrpc" in refused({"jsonrpc": version, "id": 1, "method": "ping"})
    assert "jsonrpc" in refused({"id": 1, "method": "ping"})


@pytest.mark.parametrize(
    "method", ["", "tools call", "tøøls", "a" * 257, "a\x7f", "a\n", "\ud800", 5, ["ping"]]
)
def test_a_method_that_is_not_plain_ascii_is_refused(method: Any) -> None:
    """Methods are printable ASCII, and no longer than a name needs to be."""
    assert "“method”" in refused(rpc(method))


def test_a_method_may_be_as_long_as_the_limit() -> None:
    """MAX_METHOD characters pass."""
    assert read(rpc("a" * message.MAX_METHOD)).method == "a" * message.MAX_METHOD


@pytest.mark.parametrize("value", [True, [], {}, [1], 1.5, -1e3, "a\n", "\x00"])
def test_an_id_is_a_string_or_an_integer(value: Any) -> None:
    """MCP's Python SDK takes a request with a fraction as its id for a notification."""
    assert "“id” must be" in refused({"jsonrpc": "2.0", "id": value, "method": "tools/list"})


def test_an_id_is_bounded() -> None:
    """It goes along in headers."""
    for longest in ("a" * (message.MAX_ID - 2), 10 ** (message.MAX_ID - 1)):
        assert read({"jsonrpc": "2.0", "id": longest, "method": "ping"}) == Message("ping")
    for longer in ("a" * (message.MAX_ID - 1), 10**message.MAX_ID):
        assert "longer than" in refused({"jsonrpc": "2.0", "id": longer, "method": "ping"})


def test_a_request_has_an_id() -> None:
    """Without one, no client could tell what an error is about."""
    assert "needs an id" in refused({"jsonrpc": "2.0", "id": None, "method": "tools/list"})
    assert "needs an id" in refused({"jsonrpc": "2.0", "method": "tools/list"})


@pytest.mark.parametrize("value", [True, [], {}, [1], 1.5, 1.0, 1e300, "a\0", "a\n", "\ud800"])
@pytest.mark.parametrize(
    "rest", [{"method": "ping"}, {"method": "notifications/initialized"}, {"result": {}}]
)
def test_an_id_that_readers_take_for_another_is_refused(value: Any, rest: dict[str, Any]) -> None:
    """It is an integer or a string: Python's SDK takes a request with a fraction for a notification."""
    assert "“id” must be an integer" in refused({"jsonrpc": "2.0", "id": value} | rest)


def test_a_notification_needs_no_id() -> None:
    """Nobody answers it."""
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert read(body) == Message("notifications/initialized")
    assert parse(compact(body)).id == ""


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("1", "1"),
        (" -15 ", "-15"),
        ("0", "0"),
        ('"a\\\\ \\u00e9"', '"a\\\\ \\u00e9"'),
        ('"é"', '"\\u00e9"'),
        ('"\\/"', '"/"'),
        ("null", ""),
    ],
)
def test_the_id_is_told_as_json_in_ascii(written: str, told: str) -> None:
    """An error is sent in a header as well, and answers with the request's own id."""
    assert parse(f'{{"jsonrpc":"2.0","id":{written},"method":"ping"}}'.encode()).id == told


@pytest.mark.parametrize("params", ["null", "{}", "\t{ } "])
def test_a_message_without_params(params: str) -> None:
    """Nothing, null and an empty object say the same."""
    assert read(f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}') == Message("ping")


@pytest.mark.parametrize("params", ["[]", '["now"]', '"now"', "1", "false"])
def test_params_by_position_are_refused(params: str) -> None:
    """MCP has named params alone."""
    body = f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}'
    assert "must be an object" in refused(body)


@pytest.mark.parametrize("body", ["[]", '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', " [1]"])
def test_a_batch_is_refused(body: str) -> None:
    """Batches left MCP, and would hide one message behind another."""
    assert "one message at a time" in refused(body)


PING = '{"jsonrpc":"2.0","id":1,"method":"ping"%s}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"ping",
        b'"ping"',
        b"{",
        PING.encode() % b",",
        PING.encode() % b'"x":1',
        PING.encode() % b',"x"',
        (PING % ', "x":NaN').encode(),
        (PING % ', "x":-Infinity').encode(),
        (PING % ', "x":+1').encode(),
        (PING % ', "x":01').encode(),
        (PING % ', "x":.5').encode(),
        (PING % ', "x":1.').encode(),
        (PING % ', "x":0x1').encode(),
        (PING % ", 'x':1").encode(),
        (PING % ", x:1").encode(),
        (PING % ', "x":[1,]').encode(),
        (PING % ', "x":"\\x"').encode(),
        (PING % ', "x":"\\u12"').encode(),
        (PING % ', "x":"\t"').encode(),
        (PING % ', "x":"\\ud800').encode(),
        (PING % ",/**/").encode(),
        (PING % "").encode() + b"\0",
        (PING % "").encode() + b"\x0c",
        (PING % "").encode() * 2,
        b"\xef\xbb\xbf" + (PING % "").encode(),
        (PING % "").encode("utf-16"),
        (PING % "").encode("utf-16-le"),
        (PING % "").encode("utf-32-be"),
        (PING % ', "x":"é"').encode("latin-1"),
        (PING % ', "x":"').encode() + b'\xc0\xae"}',
        (PING % ', "x":"').encode() + b'\xed\xa0\x80"}',
        (PING % ', "x":"').encode() + b'\xf4\x90\x80\x80"}',
    ],
)
def test_what_is_no_json_in_utf_8_is_refused(body: bytes) -> None:
    """RFC 8259 to the letter, wherever in the message."""
    assert refused(body)


# ---------------------------------------------------------------------------------------- names and keys


BAD_CHARACTERS = ["\0", "\x1f", "\n", "\x7f", "\x85", "\x9f", "\ud800", "\udfff", "\udc00\ud800", "\ufffd"]


@pytest.mark.parametrize("character", BAD_CHARACTERS)
def test_names_hold_no_controls_and_no_half_characters(character: str) -> None:
    """C cuts a name at a NUL, and a lone surrogate is something else to each reader."""
    name = f"no{character}w"
    assert "no control characters" in refused(call(name))
    refused(rpc("resources/read", {"uri": name}))
    refused(rpc("tasks/get", {"taskId": name}))
    refused(rpc(COMPLETE, {"ref": {"type": "ref/prompt", "name": name}}))
    refused(rpc(LISTEN, {"notifications": {"resourceSubscriptions": ["a", name]}}))


@pytest.mark.parametrize("character", BAD_CHARACTERS)
def test_keys_hold_no_controls_and_no_half_characters(character: str) -> None:
    """A key is cut at a NUL in C, and ends elsewhere for whoever leaves out what it cannot read."""
    for key in (f"x{character}", f"name{character}", f"{character}method"):
        refused(rpc("ping") | {key: 1})
        refused(call(**{key: 1}))
        refused(rpc(LISTEN, {"notifications": {key: 1}}))
        refused(rpc(COMPLETE, {"ref": {"type": "ref/prompt", "name": "x", key: 1}}))


def test_no_object_that_decides_lends_members_to_javascript() -> None:
    """Object.assign makes what stands under __proto__ count where the object itself says nothing."""
    proto = {"__proto__": {"notifications": {"resourceSubscriptions": ["a"]}}}
    assert "__proto__" in refused(rpc(LISTEN, proto))
    assert "__proto__" in refused(rpc(LISTEN, {"notifications": proto}))
    assert "__proto__" in refused(rpc("ping") | proto)


@pytest.mark.parametrize("name", ["", None, 5, True, ["now"], {"a": 1}])
def test_a_name_is_a_text(name: Any) -> None:
    """And not an empty one."""
    refused(call(name))


@pytest.mark.parametrize("name", ["now", " ", "žluť, ✓", "a/b?c#d", "\u200b", "𝄞", "a" * message.MAX_NAMES])
def test_a_name_may_be_any_text(name: str) -> None:
    """Whatever has characters, and fits."""
    assert read(call(name)).names == (Name(Kind.TOOLS, name),)


@pytest.mark.parametrize("name", ["a" * 8193, "é" * 4097])
def test_a_name_is_bounded(name: str) -> None:
    """It has to fit into a header of the answer."""
    assert "too long" in refused(call(name))


def test_all_names_of_a_message_are_bounded() -> None:
    """Many short URIs are as long as one long one, with what stands between them, too."""

    def listening(*uris: str) -> dict[str, Any]:
        return rpc(LISTEN, {"notifications": {"resourceSubscriptions": uris}})

    assert len(read(listening("a" * 4096, "b" * 4096)).names) == 2
    assert "too long" in refused(listening("a" * 4096, "b" * 4097))
    assert "too long" in refused(listening(*["a"] * 20_000))


@pytest.mark.parametrize(
    "key",
    [
        "Method",
        "METHOD",
        "method_",
        "me-thod",
        "_method",
        "method ",
        " method",
        "method.",
        "\uff4dethod",
        "méthod",
        "Params",
        "param\u017f",
        "PARAMS",
        "JsonRPC",
        "json-rpc",
        "json_rpc",
        "ID",
        "iD",
        "\u0131d",
        "İd",
        "Result",
        "Error",
        "task_id",
        "taskid",
        "TaskId",
        "NAME",
        "n-a-m-e",
        "URI",
        "ur\u0131",
        "Ref",
        "resource_subscriptions",
        "notificationS",
        "TYPE",
        "method\u200b",
    ],
)
def test_another_spelling_of_a_key_that_decides_is_refused(key: str) -> None:
    """Go ignores case and folds letters, pydantic takes snake_case for camelCase, others leave out what they like."""
    for body in (
        rpc("ping") | {key: 1},
        rpc("tools/list", {key: 1}),
        rpc(LISTEN, {"notifications": {key: 1}}),
        rpc(COMPLETE, {"ref": {"type": "ref/prompt", "name": "x", key: 1}}),
    ):
        assert "another spelling of" in refused(body)


@pytest.mark.parametrize(
    "key", ["methods", "names", "n\u0430me", "uri2", "x", "_meta", "$schema", "ключ", "a" * message.MAX_KEY]
)
def test_other_keys_may_stand_beside(key: str) -> None:
    """What no reader takes for a key that decides, letters that only look alike among it."""
    assert read(rpc("tools/list", {key: {"name": "x", "name ": "y"}})) == Message("tools/list")


def test_arguments_are_nobodys_business() -> None:
    """What does not decide may have any keys, several times; it is passed over."""
    arguments = '{"name":"a","Name":"b","na\\u0000me":1,"name":"c","\\ud800":[{"\\udfff":"\\ud800"}]}'
    params = f'{{"name":"now","arguments":{arguments}}}'
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'
    assert read(body) == Message("tools/call", (Name(Kind.TOOLS, "now"),), "now")


@pytest.mark.parametrize(
    "text",
    ["\\ud800", "\\uDFFF", "\\udc00\\ud800", "\\ud800\\ud800\\udc00", "\\\\\\ud800", "\\ud800\\\\udc00"],
)
def test_half_characters_pass_where_nothing_is_decided(text: str) -> None:
    """JavaScript writes them, and most readers take them."""
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"now","arguments":"{text}"}}}}'
    assert read(body).name == "now"


def test_half_characters_are_bounded() -> None:
    """A message of nothing else is no text that somebody cut in two."""
    halves = message.MAX_SURROGATES

    def body(count: int) -> str:
        arguments = "\\ud800" * count
        return PING % f',"params":{{"arguments":"{arguments}"}}'

    assert read(body(halves)) == Message("ping")
    assert refused(body(halves + 1))


def test_characters_beyond_the_first_plane_are_whole() -> None:
    """A pair of escapes is one character, in a name as anywhere."""
    assert read(PING.replace("ping", "tools/call") % ',"params":{"name":"\\ud834\\udd1e"}').name == "𝄞"
    pairs = "\\ud834\\udd1e" * message.MAX_SURROGATES
    assert read(PING % f',"params":{{"arguments":"{pairs}"}}') == Message("ping")


# -------------------------------------------------------------------------------------------------- bounds


def members(count: int, blank: str = "") -> str:
    """Write so many members after others."""
    return "".join(f',{blank}"k{number}":1' for number in range(count))


@pytest.mark.parametrize("blank", ["", " "])
def test_members_beside_those_that_decide_are_bounded(blank: str) -> None:
    """However the message is written, so that looking at each key stays cheap."""
    full = message.MAX_MEMBERS - 3
    assert read(PING % members(full, blank)) == Message("ping")
    assert "members" in refused(PING % members(full + 1, blank))
    params = f'{{"a":1{members(message.MAX_MEMBERS, blank)}}}'
    assert "members" in refused(PING % f',"params":{params}')


@pytest.mark.parametrize("blank", ["", " "])
def test_keys_are_bounded(blank: str) -> None:
    """No name that decides is as long."""
    for length, passes in ((message.MAX_KEY, True), (message.MAX_KEY + 1, False)):
        body = PING % f',{blank}"{"k" * length}":1'
        assert (read(body) == Message("ping")) if passes else refused(body)


def test_a_real_message_of_4_mb_passes() -> None:
    """What a tool gets may be large, deep and of many parts."""
    arguments = {"text": "é\n" * 1_000_000, "parts": [{"a": 1, "b": [None]}] * 50_000, "deep": nested(400)}
    assert read(call("now", arguments=arguments)).name == "now"


def nested(depth: int) -> Any:
    """Return a list in a list in a list."""
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_without_end_is_refused(opening: str) -> None:
    """Nobody's stack is used up for it."""
    assert "nested deeper" in refused(PING % f',"x":{opening * 200_000}')


def test_nesting_that_the_interpreter_can_follow_passes() -> None:
    """Well above what real arguments have."""
    assert read(call("now", arguments=nested(sys.getrecursionlimit() // 2))).name == "now"
