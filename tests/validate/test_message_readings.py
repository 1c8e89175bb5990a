"""Whatever passes is read alike by every reader, and the quick way of reading it finds what the careful one does."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from auth_server.errors import InvalidRequest
from auth_server.model import Kind, Name
from auth_server.validate import message
from auth_server.validate.message import describe, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

LISTEN = "subscriptions/listen"
COMPLETE = "completion/complete"


class Reader(NamedTuple):
    """How a lenient program keeps the members of an object: what it makes of a key, and which of two counts."""

    fold: Callable[[str], str]
    keeps_first: bool = False

    def read(self, body: bytes) -> Any:
        """Return the message as this reader has it."""

        def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            return {self.fold(key): value for key, value in (reversed(pairs) if self.keeps_first else pairs)}

        return json.loads(body.decode(), object_pairs_hook=kept)

    def of(self, value: Any, *path: str) -> Any:
        """Return the member at this path, None where there is none."""
        for key in path:
            value = value.get(self.fold(key)) if isinstance(value, dict) else None
        return value


def letters(key: str) -> str:
    """Fold as a reader that takes camelCase, snake_case and kebab-case for one."""
    return key.replace("_", "").replace("-", "").casefold()


READERS = {
    "the last of two counts": Reader(str),
    "the first of two counts": Reader(str, keeps_first=True),
    "Go": Reader(lambda key: unicodedata.normalize("NFKC", key).casefold()),
    "C": Reader(lambda key: key.partition("\0")[0].lower(), keeps_first=True),
    "pydantic": Reader(letters),
    "trimming": Reader(lambda key: "".join(filter(str.isprintable, key)).strip()),
}

# Members as pairs of a key and either such a list, or JSON text with the blanks around it.
Object = list[tuple[str, Any]]

KEYS = ["jsonrpc", "id", "method", "params", "name", "uri", "taskId", "ref", "type", "notifications"]
KEYS += ["resourceSubscriptions", "arguments", "_meta", "result", "error", "x"]
# What is written into a key: what readers cut, fold or leave out (long s, dotless i, the sign for kelvin).
STRANGE = ["\\u0000", "\\ud800", "\\udc00", "\\n", "\\ufffd", "_", "-", " ", "\u017f", "\u0131", "\u212a"]
VALUES = ["1", "null", '"x"', '"now"', "[]", "{}", '{"name":"now"}', '"tools/call"', '"ref/prompt"', "1e999"]
VALUES += ["NaN", "[" * 50 + "]" * 50, '{"a":' * 50 + "1" + "}" * 50]
BLANKS = ["", " ", "\n", "\t\r", "\x0c", "\u00a0"]
NAMES = [*["now"] * 8, "é", "x y", "\U0001d11e", "\\ud834\\udd1e", "\\ud800", "a\\u0000b", "\\u000a", ""]
IDS = [*["1"] * 8, "-1.5e3", '"a"', '"\\u00e9\\n"', '"\\ud800"', "null", "[1]"]
CHANGES = ["case", "escape", "escape", "strange", "again", "another", "reverse", "blank", "blank"]


def honest(method: str, name: str, identifier: str) -> Object:
    """Return an honest message of this method."""
    params: Object = [("_meta", [("progressToken", "1")])]
    if member := message.NAMING_MEMBER.get(method):
        params += [(member, f'"{name}"'), ("arguments", [("name", '"evil"'), ("Name", '["\\ud800"]')])]
    elif method == COMPLETE:
        params += [("ref", [("type", '"ref/prompt"'), ("name", f'"{name}"')])]
    elif method == LISTEN:
        params += [("notifications", [("resourceSubscriptions", f'["{name}","a"]')])]
    return [("jsonrpc", '"2.0"'), ("id", identifier), ("method", f'"{method}"'), ("params", params)]


def objects(pairs: Object) -> Iterator[Object]:
    """Yield an object and all that it holds."""
    yield pairs
    for _, value in pairs:
        if isinstance(value, list):
            yield from objects(value)


def change(body: Object, kind: str, number: int) -> None:
    """Change one member of one object; the number says which, and how."""

    def pick(options: Sequence[T]) -> T:
        nonlocal number
        number, chosen = divmod(number, len(options))
        return options[chosen]

    pairs = pick(list(objects(body)))
    at = pick(range(len(pairs)))
    key, value = pairs[at]
    place = pick(range(len(key)))
    match kind:
        case "case":
            pairs[at] = (pick([key.upper(), key.capitalize(), key.swapcase()]), value)
        case "escape":
            pairs[at] = (f"{key[:place]}\\u{ord(key[place]):04x}{key[place + 1 :]}", value)
        case "strange":
            pairs[at] = (key[:place] + pick(STRANGE) + key[place:], value)
        case "again":
            pairs.insert(pick([0, at, len(pairs)]), (key, pick([value, *VALUES])))
        case "another":
            pairs.insert(pick([0, at, len(pairs)]), (pick(KEYS) + pick(["", *STRANGE]), pick(VALUES)))
        case "reverse":
            pairs.reverse()
        case "blank":
            pairs[at] = (key, pick(BLANKS) + written(value) + pick(BLANKS))


def written(value: Any) -> str:
    """Write an object in its shortest form, as far as no blanks were put into it."""
    if isinstance(value, str):
        return value
    members = (f'"{key}":{written(inner)}' for key, inner in value)
    return "{" + ",".join(members) + "}"


def changed(body: Object, changes: list[tuple[str, int]]) -> bytes:
    """Return a message with these changes, as bytes."""
    for kind, number in changes:
        change(body, kind, number)
    return written(body).encode()


METHODS = [*message.NAMING_MEMBER, COMPLETE, LISTEN, "ping", "notifications/progress"]
HONEST = st.builds(honest, st.sampled_from(METHODS), st.sampled_from(NAMES), st.sampled_from(IDS))
MANY_CHANGES = st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 10**9)), max_size=4)
BODIES = st.builds(changed, HONEST, MANY_CHANGES)


def names_as_read(reader: Reader, body: Any) -> Iterator[Name]:
    """Yield what this reader would act upon."""
    method, params = reader.of(body, "method"), reader.of(body, "params")
    match method:
        case "tools/call":
            yield Name(Kind.TOOLS, reader.of(params, "name"))
        case "prompts/get":
            yield Name(Kind.PROMPTS, reader.of(params, "name"))
        case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
            yield Name(Kind.RESOURCES, reader.of(params, "uri"))
        case "completion/complete":
            is_prompt = reader.of(params, "ref", "type") == "ref/prompt"
            kind, member = (Kind.PROMPTS, "name") if is_prompt else (Kind.RESOURCES, "uri")
            yield Name(kind, reader.of(params, "ref", member))
        case "subscriptions/listen":
            for uri in reader.of(params, "notifications", "resourceSubscriptions") or ():
                yield Name(Kind.RESOURCES, uri)


def whole(value: Any) -> Any:
    """Return a text as a decoder has it that marks half characters."""
    return (
        value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if isinstance(value, str)
        else value
    )


@pytest.mark.untraced
@settings(max_examples=10 * settings().max_examples)
@given(BODIES)
@example(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"now","name\\u0000":"evil"}}')
@example(b'{"jsonrpc":"2.0","id":1,"method":"ping","method\\u0000":"tools/call"}')
@example(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}')
def test_whatever_passes_every_reader_reads_alike(body: bytes) -> None:
    """Method, names and id are the same for strict and lenient readers, whichever of two members they keep."""
    try:
        envelope = parse(body)
        found = describe(envelope)
    except InvalidRequest:
        event("refused")
        return
    event("passed")
    for what, reader in READERS.items():
        seen = reader.read(body)
        assert reader.of(seen, "method") == found.method, what
        assert tuple(dict.fromkeys(names_as_read(reader, seen))) == found.names, what
        identifier = reader.of(seen, "id")
        expected = json.dumps(whole(identifier)) if isinstance(identifier, str | int | float) else ""
        assert json.loads(envelope.id or '""') == json.loads(expected or '""'), what
        if member := message.NAMING_MEMBER.get(found.method or ""):
            assert reader.of(seen, "params", member) == found.name, what


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


IDENTIFIERS = st.integers() | st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffd")
)


@st.composite
def honest_bodies(draw: st.DrawFn) -> bytes:
    """Write a message as some client does: its own order, blanks and escapes, and members that decide nothing."""
    members: dict[str, Any] = {"jsonrpc": "2.0", "id": draw(IDENTIFIERS), "method": "tools/call", "x": None}
    members["params"] = {"name": draw(st.sampled_from(["now", "é", "𝄞"])), "arguments": draw(ANY_JSON)}
    shuffled = dict(draw(st.permutations(list(members.items()))))
    indent = draw(st.sampled_from([None, 0, 2, "\t"]))
    text = json.dumps(shuffled, indent=indent, ensure_ascii=draw(st.booleans()))
    return text.replace('"method"', draw(st.sampled_from(['"method"', '"\\u006dethod"']))).encode()


@given(honest_bodies())
def test_what_an_honest_client_writes_passes(body: bytes) -> None:
    """However it is written, and whatever its arguments hold."""
    (name,) = describe(parse(body)).names
    assert name.value == json.loads(body)["params"]["name"]


# ------------------------------------------------------------------------- the small path and the careful one


@pytest.mark.untraced
@settings(max_examples=10 * settings().max_examples)
@given(BODIES)
@example(b"{}")
@example(b'{"a":1,"a":1}')
@example(b'{"a":1,"\\u0061":2}')
def test_the_short_way_finds_what_the_careful_one_does(text: bytes) -> None:
    """An object that an encoder writes back as it was has the same members, one by one, and no key twice."""

    def outcome(way: Callable[[bytes], Any]) -> Any:
        try:
            found = way(text)
        except (InvalidRequest, msgspec.DecodeError) as error:
            return type(error)
        return found and {key: bytes(value) for key, value in found.items()}

    short, careful = outcome(message._in_shortest_form), outcome(message._counted)
    event("not in its shortest form" if short is None else "judged by both")
    assert short is None or short == careful


def test_the_short_way_is_for_small_objects() -> None:
    """What it keeps before it is counted is bounded."""
    large = b'{"a":"' + b"x" * message._SMALL + b'"}'
    assert message._in_shortest_form(large) is None
    assert set(message._counted(large)) == {"a"}
