"""Messages of MCP, and what becomes of them where one has read how JSON's readers differ.

A message is written from a tree in which a key may stand twice, so that what is wrong with it is wrong on purpose.
"""

# Letters that only look like others are what this is about, a seed makes it the same again, and rows of words read well.
# ruff: noqa: RUF001, S311, SIM905

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Members(list[tuple[str, Any]]):
    """An object of JSON: its members in their order."""


class Verbatim(str):
    """What is written as it stands."""

    __slots__ = ()


VERSION = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
REAL: list[dict[str, Any]] = [
    {"method": "tools/call", "params": {"name": "granted", "arguments": {"name": "x", "uri": [1.5, None]}}},
    {"method": "tools/call", "params": {"_meta": {**VERSION, "progressToken": 7}, "name": "granted"}},
    {"method": "tools/call", "params": {"name": "žluť ✓", "arguments": {"text": '"name":"evil"', "ref": {}}}},
    {"method": "tools/list", "params": {"cursor": "abc", "_meta": VERSION}},
    {"method": "prompts/get", "params": {"name": "greet", "arguments": {"language": "de"}}},
    {"method": "resources/read", "params": {"uri": "doc://open", "_meta": {"name": "x"}}},
    {"method": "resources/subscribe", "params": {"uri": "doc://open"}},
    {"method": "tasks/get", "params": {"taskId": "786512e2-9e0d", "_meta": VERSION}},
    {
        "method": "completion/complete",
        "params": {
            "ref": {"type": "ref/prompt", "name": "greet"},
            "argument": {"name": "language", "value": "d"},
        },
    },
    {
        "method": "completion/complete",
        "params": {"ref": {"type": "ref/resource", "uri": "doc://open"}, "argument": {"name": "a"}},
    },
    {
        "method": "subscriptions/listen",
        "params": {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["doc://open", "doc://other"]}},
    },
    {"method": "ping"},
    {
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
    },
    {"method": "notifications/cancelled", "params": {"requestId": 3, "reason": "late"}},
    {"result": {"content": [{"type": "text", "text": "hi"}], "isError": False}},
    {"error": {"code": -32601, "message": "no such method", "data": None}},
]  # fmt: skip
IDS = [1, 0, -7, "a", "1", 2**53 + 1]
NO_IDS = [1.5, Verbatim("1E2"), Verbatim("1e999"), None, "a\0", "\ud800", True, []]

DECIDING = "jsonrpc id method params result error name uri taskId ref type notifications resourceSubscriptions".split()
OTHERS = "_meta arguments argument x __proto__ constructor names méthode 💡 nаme".split()
VALUES: list[Any] = [
    *"evil granted doc://secret tools/call tools/list prompts/get resources/read ref/prompt ref/resource 2.0 1.0".split(),
    *("", "evil\0", "\x85", "\ud800", "\udc00evil", "\ufffd", "x" * 300, 'a":"b', "\\", "}", True, False, None),
    *map(Verbatim, "0 -0 1 -1 1.0 1e5 1E+05 1e-400 1e999 -1e999 12345678901234567890 0.1".split()),
    *([], ["doc://secret"], ["doc://open", 1], [["doc://open"]]),
    *({}, {"name": "evil"}, {"method": "tools/call", "params": {"name": "evil"}}),
    *({"type": "ref/prompt", "name": "evil"}, {"resourceSubscriptions": ["doc://secret"]}),
    {"notifications": {"resourceSubscriptions": ["doc://secret"]}},
]  # fmt: skip
NO_VALUES = [
    *map(Verbatim, "01 -01 +1 .5 1. 1.e1 1e 0x10 1_000 NaN Infinity -Infinity -NaN --1 ٣ 1n ''".split()),
    *map(Verbatim, ("'evil'", "evil", "`evil`", "undefined", "tRUE", '"\\x41"', '"\\u004"', '"\\u{41}"', '"\n"', '"\\\n"')),
]  # fmt: skip

LOOKS_LIKE = {
    "s": "sSſşѕ",
    "k": "kK\u212aк",
    "i": "iIİıì",
    "I": "iIıİ",
    "e": "eEéеｅ",
    "a": "aAàаａ",
    "r": "rRｒ",
}
SPECKS: list[str] = [
    *"_- .\0\t\x1b\x7f\x85\xad\u0301\u034f\u200b\u2060\u3164\ufe0f\ufeff\ufffd\ud800\udc00\U000e0001'\"\\$@",
    "[]",
]
BLANKS = [" ", "\n", "\t", "\r\n", " " * 50]
NO_BLANKS = [*"\f\v\0\x01\x1f\x85\xa0\u2028\ufeff,:", "/**/", "/*/**/", "//\n", "#\n"]
BEFORE = ["\ufeff", "\n", " ", ")]}',\n", "\x1e", "\0"]
AFTER = [
    "\n",
    "\0",
    "\0x",
    "{}",
    ",",
    "]",
    "}",
    "\n{}",
    "//",
    "#",
    '{"method":"tools/call"}',
    "\x1e",
    "\x04",
    "null",
]
SWAPS = [(":", "="), ('"', "'"), ("}", ",}"), ("{", "{,"), ('"', ""), (",", ";"), ('":', '" :')]
INVALID = [
    b"\xff",
    b"\xc0\xaf",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc1\xae",
    b"\xe2\x80",
    b"\x80",
]


# ------------------------------------------------------------------------------------------- how it is made


def crooked_messages(seed: int, count: int) -> Iterator[bytes]:
    """Yield so many bodies, the same ones for the same seed."""
    rng = Random(seed)
    for _ in range(count):
        rpc_id = rng.choice(IDS if rng.random() < 0.9 else NO_IDS)
        tree = _tree(rng.choice(REAL) | {"jsonrpc": "2.0", "id": rpc_id})
        rng.shuffle(tree)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            rng.choice(_CHANGES)(rng, rng.choice(list(_objects(tree))))
        yield _bytes(rng, _written(tree, _spelling(rng)))


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return Members((key, _tree(member)) for key, member in value.items())
    return [_tree(one) for one in value] if isinstance(value, list) else value


def _objects(members: Members) -> Iterator[Members]:
    """Yield the message, and the objects in it that are not empty."""
    yield members
    for _, value in members:
        if isinstance(value, Members) and value:
            yield from _objects(value)


def _spelled_otherwise(rng: Random, key: str) -> str:
    """Return a key that somebody could take for this one."""
    match rng.randrange(6):
        case 0:
            return rng.choice(
                (key.upper(), key.lower(), key.title(), key.swapcase(), key[:1].upper() + key[1:])
            )
        case 1:
            return "".join(rng.choice(LOOKS_LIKE.get(char, char)) for char in key)
        case 2:
            return "".join(f"_{char.lower()}" if char.isupper() else char for char in key)
        case 3:
            return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in key)
        case 4:
            return key + rng.choice(SPECKS) + rng.choice(("", "x"))
    place = rng.randrange(len(key) + 1)
    return key[:place] + rng.choice(SPECKS) + key[place:]


def _key(rng: Random) -> str:
    key = rng.choice(DECIDING)
    return rng.choice((key, key, _spelled_otherwise(rng, key), rng.choice(OTHERS)))


def _value(rng: Random) -> Any:
    return _tree(rng.choice(VALUES)) if rng.random() < 0.9 else rng.choice(NO_VALUES)


def _put(rng: Random, members: Members, key: str, value: Any) -> None:
    members.insert(rng.randint(0, len(members)), (key, value))


def _add(rng: Random, members: Members) -> None:
    _put(rng, members, _key(rng), _value(rng))


def _say_twice(rng: Random, members: Members) -> None:
    key, value = rng.choice(members)
    key = rng.choice((key, _spelled_otherwise(rng, key), _spelled_otherwise(rng, key)))
    _put(rng, members, key, rng.choice((value, _value(rng), _value(rng))))


def _respell(rng: Random, members: Members) -> None:
    place = rng.randrange(len(members))
    key, value = members[place]
    members[place] = (_spelled_otherwise(rng, key), value)


def _say_else(rng: Random, members: Members) -> None:
    place = rng.randrange(len(members))
    members[place] = (members[place][0], _value(rng))


def _drop(rng: Random, members: Members) -> None:
    del members[rng.randrange(len(members))]


def _bury(rng: Random, members: Members) -> None:
    place = rng.randrange(len(members))
    key, value = members[place]
    deep = rng.choice((1, 2, 20, 900, 1100))
    members[place] = (key, Verbatim("[" * deep + _written(value, json.dumps) + "]" * deep))


_CHANGES: list[Callable[[Random, Members], None]] = [
    _add,
    _add,
    _add,
    _say_twice,
    _say_twice,
    _respell,
    _say_else,
    _drop,
    _bury,
]


# ---------------------------------------------------------------------------------------- how it is written


def _spelling(rng: Random) -> Callable[[str], str]:
    """Choose how the strings of a message are written: with which of their characters as escapes."""
    plain = json.encoder.encode_basestring
    form = rng.choice(("\\u%04x", "\\u%04X"))
    share = rng.choice((0.1, 0.5, 1))

    def with_escapes(text: str) -> str:
        return f'"{"".join(_escaped(c, form) if rng.random() < share else plain(c)[1:-1] for c in text)}"'

    return rng.choice((plain, plain, json.dumps, with_escapes))


def _escaped(char: str, form: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return form % code
    return form % (0xD7C0 + (code >> 10)) + form % (0xDC00 + (code & 0x3FF))


def _written(value: Any, string: Callable[[str], str]) -> str:
    match value:
        case str():
            return str(value) if isinstance(value, Verbatim) else string(value)
        case Members():
            return "{" + ",".join(f"{string(key)}:{_written(member, string)}" for key, member in value) + "}"
        case list():
            return "[" + ",".join(_written(one, string) for one in value) + "]"
    return json.dumps(value)


def _bytes(rng: Random, text: str) -> bytes:
    """Return the text as bytes: mostly as it is, or with white space, else as what may be no JSON any more."""
    match rng.randrange(40):
        case 0 | 1 | 2 | 3 | 4 | 5:
            text = _with(rng, text, BLANKS, times=rng.choice((1, 3)))
        case 6:
            text = _with(rng, text, NO_BLANKS, times=1)
        case 7:
            text = rng.choice(BEFORE) + text
        case 8:
            text += rng.choice(AFTER)
        case 9:
            text = text.replace(*rng.choice(SWAPS))
        case 10:
            start, end = sorted(rng.choices(range(len(text)), k=2))
            text = rng.choice(
                (text[:start], text[start:], text[:start] + text[end:], text[:end] + text[start:])
            )
        case 11:
            return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7")), "replace")
        case 12:
            body = text.encode("utf-8", "surrogatepass")
            place = rng.randrange(len(body))
            return body[:place] + rng.choice(INVALID) + body[place + rng.randrange(2) :]
        case 13:
            body = text.encode("utf-8", "surrogatepass")
            place = rng.randrange(len(body))
            return body[:place] + rng.randbytes(1) + body[place + 1 :]
    return text.encode("utf-8", "surrogatepass")


def _with(rng: Random, text: str, blanks: list[str], *, times: int) -> str:
    """Put something beside as many of the signs between which JSON takes white space."""
    for _ in range(times):
        place = rng.choice([0, len(text), *(place for place, char in enumerate(text) if char in "{}[]:,")])
        place += rng.randrange(2)
        text = text[:place] + rng.choice(blanks) + text[place:]
    return text
