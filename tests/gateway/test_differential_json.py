"""Whatever the gateway lets through, every reader of JSON reads as what was judged."""

# Letters that only look like others are what this is about.
# ruff: noqa: RUF001, RUF002

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.door import Door

GRANTED_TOOLS = {"granted", "a,b c%"}
GRANTED_URIS = {"doc://open", "doc://other"}
MEMBER_OF = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
ALLOWED = {"tools/call": GRANTED_TOOLS, "prompts/get": {"greet"}, "resources/read": GRANTED_URIS}

# ------------------------------------------------------------------------------ nasty ways to write a message


def escaped(text: str, mask: int, upper: bool) -> str:
    """Write a string with the characters that the mask chooses in escapes."""
    form = "\\u%04X" if upper else "\\u%04x"
    return "".join(
        form % ord(char) if mask >> place & 1 else json.dumps(char, ensure_ascii=False)[1:-1]
        for place, char in enumerate(text)
    )


SPELLINGS = {
    "method": ["method", "Method", "METHOD", "methoD", "method ", "method\u200b"],
    "params": ["params", "Params", "PARAMS", "paramſ", "paramS"],
    "name": ["name", "Name", "NAME", "nаme", "n\u0000ame", "name\ufffd"],
    "uri": ["uri", "URI", "Uri", "urı"],
    "id": ["id", "Id", "ID"],
    "jsonrpc": ["jsonrpc", "JsonRpc"],
}  # fmt: skip


def mostly(common: Any, rare: Any, percent: int) -> Any:
    """Draw the common, and in so many of a hundred cases the rare."""
    return st.integers(0, 99).flatmap(lambda number: rare if number in range(50, 50 + percent) else common)


plain_blank = st.sampled_from(["", "", " ", "\n", "\t\r\n"])
blank = mostly(plain_blank, st.sampled_from(["\f", "\u00a0", "/**/", "\ufeff"]), 1)
masks = mostly(st.just(0), st.integers(0, 255), 25)


@st.composite
def string(draw: Callable[[Any], Any], values: Any) -> str:
    """Draw a JSON string with some of its characters in escapes."""
    return f'"{escaped(draw(values), draw(masks), draw(st.booleans()))}"'


def key(word: str) -> Any:
    """Draw a key: mostly itself, sometimes another spelling."""
    return string(mostly(st.just(word), st.sampled_from(SPELLINGS[word]), 4))


def member(word: str, value: Any) -> Any:
    """Draw a member of an object."""
    return st.tuples(key(word), blank, blank, value).map(
        lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}{parts[3]}"
    )


scalar = st.one_of(
    st.sampled_from(["1", "null", "true", "{}", "[]", "-0", "1e999", '"\\ud800"', "0.5"]),
    mostly(st.just("[1,2]"), st.sampled_from(["01", "1.", "NaN", '"\\"', "'x'"]), 5),
    string(st.sampled_from(["granted", "evil", 'a":"b', "\\", '"name":"evil"', "{", "}", ":", ","])),
)
inner = st.tuples(string(st.sampled_from(["name", "method", "a"])), scalar)
noise = st.tuples(
    string(st.sampled_from(["arguments", "x", "name", "method", "uri", "__proto__", 'y","name', "\\", ":"])),
    st.one_of(scalar, inner.map(lambda parts: f"{{{parts[0]}:{parts[1]}}}")),
).map(lambda parts: f"{parts[0]}:{parts[1]}")
names = string(
    st.sampled_from(
        [
            "granted",
            "granted",
            "granted",
            "granted",
            "greet",
            "evil",
            "Granted",
            "greet",
            "a,b c%",
            "granted\n",
            "granted\u0000",
        ]
    )
)
uris = string(st.sampled_from(["doc://open", "doc://open", "doc://other", "doc://secret", "granted"]))
methods = string(
    st.sampled_from(
        [
            "tools/call",
            "tools/call",
            "tools/call",
            "prompts/get",
            "resources/read",
            "tools/list",
            "ping",
            "ping\n",
        ]
    )
)


@st.composite
def an_object(draw: Callable[[Any], Any], *required: Any) -> str:
    """Draw an object that mostly has these members once, with noise among them."""
    members = [draw(one) for one in required if draw(mostly(st.just(1), st.just(0), 2))]
    members += draw(
        mostly(st.lists(noise, max_size=2), st.lists(st.one_of(noise, *required), max_size=3), 25)
    )
    text = ",".join(draw(st.permutations(members)))
    return f"{draw(blank)}{{{text}{draw(mostly(st.just(''), st.just(','), 1))}}}"


params = an_object(member("name", mostly(names, scalar, 8)), member("uri", mostly(uris, scalar, 8)))
messages = an_object(
    member("jsonrpc", st.just('"2.0"')),
    member("id", mostly(st.sampled_from(["1", '"a"']), st.just("null"), 3)),
    member("method", methods),
    member("params", mostly(params, scalar, 4)),
).flatmap(lambda text: blank.map(lambda end: text + end))

# --------------------------------------------------------------------------------------- those who read it


def last_wins(text: str) -> Any:
    """Read as JavaScript, Python and most others do."""
    return json.loads(text, strict=False)


def first_wins(text: str) -> Any:
    """Read as parsers do that stop at the first key that fits."""
    return json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)), strict=False)


def fold(word: str) -> str:
    """Fold as Go's encoding/json does: Unicode's simple folding, K and ſ among it."""
    return word.replace("ſ", "s").replace("\u212a", "k").lower()


def like_go(text: str) -> Any:
    """Read as Go does: keys without regard to case, the last that fits."""
    return json.loads(
        text, object_pairs_hook=lambda pairs: {fold(word): value for word, value in pairs}, strict=False
    )


def first_like_go(text: str) -> Any:
    """Read keys without regard to case, the first that fits."""
    return json.loads(
        text,
        object_pairs_hook=lambda pairs: {fold(word): value for word, value in reversed(pairs)},
        strict=False,
    )


READERS = [last_wins, first_wins, like_go, first_like_go]


def named(message: Any) -> Any:
    """Return what the message says that it is about."""
    within = message.get("params")
    return within.get(MEMBER_OF.get(message["method"], "")) if isinstance(within, dict) else None


def granted(message: Any) -> bool:
    """Tell whether scopes.yml of these tests grants the message, evaluated naively."""
    method = message.get("method")
    if method in {"tools/list", "ping"}:
        return True
    name = named(message) if method in MEMBER_OF else None
    return isinstance(name, str) and name in ALLOWED[method]


passed: list[str] = []


@settings(
    max_examples=1500,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=messages)
def check(door: Door, connections: list[raw.Connection], text: str) -> None:
    """Send one message and compare what the readers make of it, if it got through."""
    door.backend.reset()
    body = text.encode()
    for _ in range(2):
        if not connections:
            connections.append(raw.Connection(door.gateway.address))
        try:
            connections[0].send(door.message(body))
            answer = connections[0].answer()
            break
        except raw.ClosedError:
            connections.pop().close()
    assert answer.status in {200, 400, 403}, answer
    if answer.status != 200:
        assert door.backend.requests == []
        return
    seen = door.backend.only()
    assert seen.body == body
    passed.append(text)
    readings = []
    for reader in READERS:
        try:
            message = reader(text)
        except ValueError:
            continue  # who cannot read it executes nothing
        assert granted(message), (reader.__name__, message)
        readings.append((message["method"], named(message)))
    assert len(set(readings)) <= 1, readings
    for method, name in readings:
        assert unquote(seen.header("X-Tool-Name") or "") == (name if method == "tools/call" else "")


def test_no_reader_sees_another_call(door: Door) -> None:
    """Crooked messages that pass have one method and one name, for strict and lax readers alike."""
    connections: list[raw.Connection] = []
    passed.clear()
    try:
        check(door, connections)
    finally:
        for connection in connections:
            connection.close()
    assert len(passed) > 50, "the generator is too crooked: hardly anything passed"
