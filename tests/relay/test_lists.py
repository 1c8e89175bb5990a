"""A list is cut to the calls that would be allowed, and nothing else of an answer is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_server.errors import InvalidRequest
from auth_server.model import LISTS, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed
from auth_server.relay import lists
from auth_server.relay.lists import Rights
from auth_server.validate import message

POLICY = """\
s/read:
  - server: time
    methods: [tools/call, prompts/get, resources/read]
    tools: [granted, "team-*"]
    prompts: [greet]
    resources: ["doc://open", "doc://tree/*"]
"""
MEMBERS = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}
METHODS = {"tools/list": ("tools/call", "tools"), "prompts/list": ("prompts/get", "prompts")}
METHODS["resources/list"] = ("resources/read", "resources")

NAMES = st.sampled_from(["t", "to", "tool", "T", "", "u\x00", "\ud800", "ü", "a/../b", "x" * 9000]) | st.text(
    max_size=5
)
PATTERNS = st.lists(st.sampled_from(["t", "to*", "T", "ü*", "*", "a/*"]), max_size=3)


def rights(method: str = "tools/list", policy: str = POLICY) -> Rights:
    return Rights.of(scopes_file.parse(policy), ["s/read"], "time", [method])


def answer(result: Any, **members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result} | members).encode()


def cut(body: bytes, method: str = "tools/list", rpc_id: str | None = "1") -> Any:
    return json.loads(lists.cut(body, rights(method), rpc_id))


def named(member: str, *names: Any) -> list[dict[str, Any]]:
    return [{MEMBERS[member]: name, "description": "é 😀", "more": {"name": "x"}} for name in names]


@pytest.mark.parametrize(
    ("method", "member", "offered", "kept"),
    [
        ("tools/list", "tools", ["evil", "granted", "team-a", "Granted"], ["granted", "team-a"]),
        ("prompts/list", "prompts", ["greet", "granted"], ["greet"]),
        (
            "resources/list",
            "resources",
            ["doc://open", "doc://tree/a", "doc://tree/../x"],
            ["doc://open", "doc://tree/a"],
        ),
        ("resources/templates/list", "resourceTemplates", ["doc://{x}", "db://{x}"], ["doc://{x}"]),
    ],
)
def test_each_list(method: str, member: str, offered: list[str], kept: list[str]) -> None:
    """What may be called stays as it came, in its order; pages, _meta and the rest stay, and no cache shares it."""
    more = {"nextCursor": "c", "_meta": {"a": 1}, "ttlMs": 5, "tasks": [{"name": "evil"}]}
    found = cut(answer({member: named(member, *offered), "cacheScope": "public", **more}), method)
    assert found["result"] == {member: named(member, *kept), "cacheScope": "private", **more}


@pytest.mark.parametrize(
    "offered", [["evil"], [], None, {}, "granted", 1, [1, None, "granted", {}, {"name": 1}]]
)
def test_nothing_left_is_an_empty_list(offered: Any) -> None:
    """Never null: clients fail on that. What is no list, or no entry of one, is nothing."""
    value = named("tools", *offered) if offered == ["evil"] else offered
    assert cut(answer({"tools": value}))["result"] == {"tools": []}


@pytest.mark.parametrize(
    "body",
    [
        answer({"tools": named("tools", "granted")}),
        answer({"tools": named("tools", "granted"), "cacheScope": "private"}),
        answer({"tools": named("tools", "evil")}, id=2),
        answer({"tools": named("tools", "evil")}, id=None),
        answer({"resources": named("resources", "evil")}),
        b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no"}}',
        b'{"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"tools": [{"name": "x"}]}}',
    ],
)
def test_what_is_left_alone(body: bytes) -> None:
    """The very bytes: what is all granted, another answer, another list, an error, a notification."""
    assert lists.cut(body, rights(), "1") is body


@pytest.mark.parametrize(
    ("said", "asked", "is_it"),
    [("1", "1", True), ('"1"', "1", True), ("1", '"1"', True), ("1.0", "1", True), ("2", "1", False)]
    + [
        ('"a\\u00fc"', '"a\\u00fc"', True),
        ('"aü"', '"a\\u00fc"', True),
        ('"b"', '"a"', False),
        ("null", "1", False),
    ],
)
def test_whose_answer_it_is(said: str, asked: str, is_it: bool) -> None:
    """By its id. A client of JavaScript takes "1" for 1."""
    body = f'{{"id":{said},"result":{{"tools":[{{"name":"evil"}}]}}}}'.encode()
    assert (b"evil" not in lists.cut(body, rights(), asked)) is is_it
    assert b"evil" not in lists.cut(body, rights(), None)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, answer(3), b'{"id":1,"result":{"a":' + b"[" * 9999],
)
def test_what_cannot_be_read(body: bytes) -> None:
    """Is said to be so."""
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own words
        lists.cut(body, rights(), "1")


def test_half_a_character() -> None:
    """JavaScript writes such halves: in a description it is no reason to show nothing."""
    body = b'{"id":1,"result":{"tools":[{"name":"granted","description":"\\ud83d"},{"name":"\\ud83d"}]}}'
    assert [tool["name"] for tool in cut(body)["result"]["tools"]] == ["granted"]


def may_call(policy: grants.Policy, method: str, name: str) -> bool:
    """Ask as /validate does: a message, read and judged."""
    params = {message.NAMING_MEMBER[method]: name}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    try:
        asked = message.describe(message.parse(body))
    except InvalidRequest:
        return False
    target = Target("time", asked.method, asked.names)
    return isinstance(grants.decide(policy, ["s/read", "s/2"], target), Allowed)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(METHODS)),
    st.lists(NAMES, max_size=8),
    st.lists(
        st.tuples(PATTERNS, st.sampled_from(["time", "t*", "other"]), st.booleans()), min_size=1, max_size=3
    ),
)
def test_a_list_holds_the_calls_that_are_allowed(
    method: str, names: list[str], entries: list[tuple[list[str], str, bool]]
) -> None:
    """Over policies and answers: exactly those names that a call could be about, in their order."""
    call, kind = METHODS[method]
    granted = [
        {"server": server, "methods": [call if has_method else "ping"], kind: patterns}
        for patterns, server, has_method in entries
    ]
    policy = scopes_file.parse(yaml.safe_dump({"s/read": granted[:2], "s/2": granted[2:] or granted[:1]}))
    body = answer({kind: [{MEMBERS[kind]: name} for name in names]})
    found = json.loads(lists.cut(body, Rights.of(policy, ["s/read", "s/2"], "time", [method]), "1"))
    shown = [entry[MEMBERS[kind]] for entry in found["result"][kind]]
    assert shown == [name for name in names if may_call(policy, call, name)]


def test_every_list_of_mcp_is_known() -> None:
    """Each has a member of its own, and a call that needs a name."""
    assert {each.member for each in LISTS.values()} == set(MEMBERS)
    assert {each.method for each in LISTS.values()} <= set(message.NAMING_MEMBER)
