"""The bytes of a JSON-RPC message → what it asks, in its one meaning, or a refusal.

The bytes go on to a backend whose reader nobody here knows. It may take the first or the last of two equal
keys, match keys without regard to case (Go's encoding/json), end them at a NUL (C), or take snake_case for
camelCase (pydantic). So what decides is read in one way that all of them share, and whatever some could read
otherwise is refused. What does not decide, a tool's arguments above all, is only held to JSON's grammar
(RFC 8259): it is passed over, not built, so that no body takes more memory than itself.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from auth_server import contract
from auth_server.errors import InvalidParams, InvalidRequest, NoSuchMethod
from auth_server.model import KIND_OF_METHOD, Kind, Name

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_METHOD = 256
MAX_ID = 4096  # characters as sent: the relay is told it in a header
MAX_NAMES = 8192  # bytes of all names of one message
MAX_SUBSCRIPTIONS = 256
MAX_MEMBERS = 1000  # of an object that decides
MAX_KEY = 1000
MAX_KEYS = 16 * 1024  # characters of all keys of such an object: each is compared in its simplest form
MAX_SURROGATES = 50_000  # escapes of surrogates in a message that holds half a pair

# Below this an object's members may be kept before they are counted.
_SMALL = 64 * 1024

# Which member of params says what a method is about. tasks/* are judged by their method alone; the task's id
# is compared with the client's Mcp-Name all the same.
NAMING_MEMBER = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
    "tasks/result": "taskId",
}
_NAMING_MEMBERS = frozenset(NAMING_MEMBER.values())

# STATELESS has these no more. Who sends one in that version without a name asks whether the method is there.
STATELESS = "2026-07-28"
_GONE = frozenset({"resources/subscribe", "resources/unsubscribe"})

# The keys that decide somewhere.
_DECIDING = _NAMING_MEMBERS | {
    "jsonrpc",
    "id",
    "method",
    "params",
    "result",
    "error",
    "ref",
    "type",
    "notifications",
    "resourceSubscriptions",
}
# Keys that need no closer look: the deciding ones in their own spelling, and what most messages hold beside.
_FAMILIAR = _DECIDING | {
    "_meta",
    "argument",
    "arguments",
    "capabilities",
    "clientInfo",
    "cursor",
    "protocolVersion",
}

_METHOD = re.compile(r"[!-~]+")
_INTEGER = re.compile(r"-?[0-9]+")
# A decoder's mark for what it could not read stands for anything.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_SURROGATES = re.compile(
    rb"\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|([dD][89a-fA-F][0-9a-fA-F]{2}))"
)

Members = dict[str, msgspec.Raw]


class _Key:
    """A key that equals no other, so that a dict keeps each occurrence."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_MEMBERS = msgspec.json.Decoder(Members)
_EVERY_MEMBER = dict[_Key, msgspec.Raw]
_STRING = msgspec.json.Decoder(str)
_STRINGS = msgspec.json.Decoder(list[str])
_ENCODER = msgspec.json.Encoder()


class Envelope(NamedTuple):
    """A message whose members are known, and its id as JSON text, empty where it has none."""

    members: Members
    id: str


class Message(NamedTuple):
    """What a message asks: its method (None for a response), every name that it is about, and its own words.

    `name` is what Mcp-Name would say of it (MCP 2026-07-28, SEP-2243), `version` the protocol's in `_meta`;
    both are empty where there is none.
    """

    method: str | None
    names: tuple[Name, ...] = ()
    name: str = ""
    version: str = ""


NOTHING = Message(None)


def parse(body: bytes) -> Envelope:
    """Return the one JSON object that these bytes are; raises InvalidRequest."""
    if not body.isascii():
        _check_utf_8(body)
    try:
        members = _members(body)
    except InvalidRequest:
        if (repaired := without_lone_surrogates(body)) == body:
            raise
        members = _members(repaired)
    return Envelope(members, _id(members))


def describe(envelope: Envelope) -> Message:
    """Return what the message asks; raises InvalidRequest where it has no single meaning."""
    members = envelope.members
    if _text(members, "jsonrpc") != "2.0":
        raise InvalidRequest('“jsonrpc” must be "2.0"')
    if "method" not in members:
        if ("result" in members) == ("error" in members):
            raise InvalidRequest("a message has a method, a result or an error")
        return NOTHING
    method = _text(members, "method")
    if method is None or len(method) > MAX_METHOD or not _METHOD.fullmatch(method):
        raise InvalidRequest(f"“method” must be a string of printable ASCII, at most {MAX_METHOD} characters")
    if "result" in members or "error" in members:
        raise InvalidRequest("a message with a method must have neither result nor error")
    if not envelope.id and not method.startswith("notifications/"):
        raise InvalidRequest("a request needs an id, a string or an integer")
    params = _params(members)
    name, names = _names_of(method, params)
    return Message(method, names, name, _version(params))


# ------------------------------------------------------------------------------------------------------ names


def _names_of(method: str, params: Members) -> tuple[str, tuple[Name, ...]]:
    """Return what Mcp-Name would say, and every name that is judged."""
    own = {member: _name(params, member) for member in _NAMING_MEMBERS if member in params}
    if member := NAMING_MEMBER.get(method):
        if member not in own:
            raise _nameless(method, member, _version(params))
        kind = KIND_OF_METHOD.get(method)
        return own[member], (Name(kind, own[member]),) if kind else ()
    if method == "completion/complete":
        named = _completed(params)
        return named.value, (named,)
    if method == "subscriptions/listen" and "notifications" in params:
        return "", _subscribed(_members(params["notifications"], "params.notifications"))
    return "", ()


def _nameless(method: str, member: str, version: str) -> InvalidRequest:
    if method in _GONE and version >= STATELESS:
        return NoSuchMethod(f"MCP {STATELESS} has no {method}")
    return InvalidParams(f"{method} needs params.{member}")


def _completed(params: Members) -> Name:
    if "ref" not in params:
        raise InvalidParams("completion/complete needs params.ref")
    ref = _members(params["ref"], "params.ref")
    match _text(ref, "type"):
        case "ref/prompt" if "uri" not in ref:
            return Name(Kind.PROMPTS, _name(ref, "name"))
        case "ref/resource" if "name" not in ref:
            return Name(Kind.RESOURCES, _name(ref, "uri"))
    raise InvalidRequest("params.ref must be a ref/prompt with a name, or a ref/resource with a uri")


def _subscribed(notifications: Members) -> tuple[Name, ...]:
    if "resourceSubscriptions" not in notifications:
        return ()
    raw = notifications["resourceSubscriptions"]
    if len(bytes(raw)) > _SMALL:
        raise _too_long()
    try:
        uris = _STRINGS.decode(raw)
    except msgspec.DecodeError:
        raise InvalidRequest("resourceSubscriptions must be an array of URIs") from None
    if len(uris) > MAX_SUBSCRIPTIONS or sum(map(len, uris)) > MAX_NAMES:
        raise _too_long()
    return tuple(Name(Kind.RESOURCES, _fit(uri, "resourceSubscriptions")) for uri in dict.fromkeys(uris))


def _name(members: Members, key: str) -> str:
    text = _text(members, key)
    if text is None:
        raise InvalidParams(f"“{key}” must be a string")
    return _fit(text, key)


def is_fit(text: str) -> bool:
    """Tell whether a message may name this."""
    return _is_readable(text) and _is_short(text)


def _fit(text: str, key: str) -> str:
    if not _is_readable(text):
        raise InvalidRequest(f"“{key}” must not be empty, and hold no control characters")
    if not _is_short(text):
        raise _too_long()
    return text


def _is_readable(text: str) -> bool:
    return bool(text) and ((text.isascii() and text.isprintable()) or not _UNFIT.search(text))


def _is_short(text: str) -> bool:
    return len(text) <= MAX_NAMES and (text.isascii() or len(text.encode()) <= MAX_NAMES)


def _too_long() -> InvalidRequest:
    return InvalidRequest("the names in this message are too many or too long to be judged")


# ---------------------------------------------------------------------------------------------------- members


def _members(raw: bytes | msgspec.Raw, place: str = "the body") -> Members:
    """Return an object's members: each key once, and none another spelling of one that decides."""
    members = _distinct(raw, place)
    if not _FAMILIAR.issuperset(members):
        for key in members:
            _check_key(key)
    return members


def _distinct(raw: bytes | msgspec.Raw, place: str) -> Members:
    """Return the members of an object in which no key stands twice."""
    text = bytes(raw)
    try:
        return _in_shortest_form(text) or _counted(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(text, place, error) from None


def _in_shortest_form(text: bytes) -> Members | None:
    """Return the members of an object that an encoder writes back as it was; None of any other.

    Most come so from their clients, and none in which a key stands twice.
    """
    if len(text) > _SMALL:
        return None
    members = _MEMBERS.decode(text)
    return members if len(members) <= MAX_MEMBERS and _ENCODER.encode(members) == text else None


def _counted(text: bytes) -> Members:
    count = length = 0

    def key_of(kind: type[_Key], key: str) -> _Key:
        nonlocal count, length
        count += 1
        length += len(key)
        if count > MAX_MEMBERS or length > MAX_KEYS:
            raise InvalidRequest(
                f"more than {MAX_MEMBERS} members stand beside those that decide, or their keys are too long"
            )
        return kind(key)

    every = msgspec.json.decode(text, type=_EVERY_MEMBER, dec_hook=key_of)
    members = {key.text: value for key, value in every.items()}
    if len(members) < len(every):
        raise InvalidRequest("a key stands twice in one object; programs differ in which of them counts")
    return members


def _check_key(key: str) -> None:
    if len(key) > MAX_KEY:
        raise InvalidRequest(f"a key is longer than {MAX_KEY} characters")
    if _UNFIT.search(key):
        raise InvalidRequest("a key holds control characters or half a character")
    if key == "__proto__":
        raise InvalidRequest("a key is __proto__: in JavaScript its members may count as the object's own")
    meant = _MEANT.get(_fold(key))
    if meant is not None and meant != key:
        raise InvalidRequest(f"a key is another spelling of {meant}")


def _fold(key: str) -> str:
    """Return what remains when case, accents, width and punctuation are taken away, as lenient readers do."""
    folded = unicodedata.normalize("NFKD", key).upper().casefold()
    return "".join(filter(str.isalnum, folded))


# Each deciding key, by what all of its spellings have in common.
_MEANT = {_fold(key): key for key in _DECIDING}


def _unreadable(text: bytes, place: str, error: Exception) -> InvalidRequest:
    start = text.lstrip(b" \t\r\n")[:1]
    if isinstance(error, RecursionError):
        return InvalidRequest(f"{place} is nested deeper than this gateway reads")
    if isinstance(error, msgspec.ValidationError) and start == b"[" and place == "the body":
        return InvalidRequest("batches left MCP with 2025-06-18; send one message at a time")
    if isinstance(error, msgspec.ValidationError):
        return InvalidRequest(f"{place} must be an object")
    return InvalidRequest(f"{place} is not JSON")


def _text(members: Mapping[str, msgspec.Raw], key: str) -> str | None:
    """Return a member's string, None where it is absent or no string."""
    raw = members.get(key)
    if raw is None:
        return None
    try:
        return _STRING.decode(raw)
    except msgspec.DecodeError:
        return None


def _params(members: Members) -> Members:
    raw = members.get("params")
    return {} if raw is None or bytes(raw) == b"null" else _members(raw, "“params”")


def _version(params: Members) -> str:
    raw = params.get("_meta")
    if raw is None or not bytes(raw).startswith(b"{"):
        return ""
    return _text(_distinct(raw, "params._meta"), contract.META_VERSION) or ""


# ------------------------------------------------------------------------------------------------ id and text


def _id(members: Members) -> str:
    """Return the id as JSON in ASCII, empty where there is none; raises InvalidRequest for any other value.

    MCP's ids are strings or integers. Its Python SDK takes a request with a fraction for a notification.
    """
    raw = members.get("id")
    if raw is None or bytes(raw) == b"null":
        return ""
    text = bytes(raw).decode()
    if len(text) > MAX_ID:
        raise InvalidRequest(f"“id” is longer than {MAX_ID} characters")
    if _INTEGER.fullmatch(text):
        return text
    string = _text(members, "id")
    if string is None or _UNFIT.search(string):
        raise InvalidRequest("“id” must be an integer, or a string without control characters")
    return json.dumps(string)


def _check_utf_8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None


def without_lone_surrogates(body: bytes) -> bytes:
    """Return the body with each escaped half of a surrogate pair as U+FFFD, which no key or name may hold.

    JavaScript writes such halves, and many readers take them: they may stand where nothing is decided.
    """
    if body.count(b"\\ud") + body.count(b"\\uD") > MAX_SURROGATES:
        return body
    parts: list[bytes] = []
    at = 0
    while found := _SURROGATES.search(body, at):
        before, escape = body[at : found.start()], b"\\ufffd" if found[1] else found[0]
        at = found.end()
        if (len(before) - len(before.rstrip(b"\\"))) % 2:  # an escaped backslash, and then text
            escape = b"\\u"
            at = found.start() + len(escape)
        parts += before, escape
    return b"".join((*parts, body[at:]))
