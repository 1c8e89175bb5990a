"""An answer to tools/list and the like, cut to what its caller may call. All else in it stays as it came.

It is comfort, so that no model tries what it may not: each call is judged by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from auth_server.model import LISTS, TEMPLATES
from auth_server.policy import grants
from auth_server.validate.message import is_fit, without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from auth_server.model import List
    from auth_server.policy.grants import Policy

_Members = dict[str, msgspec.Raw]


class Rights(NamedTuple):
    """What one caller may call on one server: each list that is cut, with what tells of an entry."""

    may: tuple[tuple[List, Callable[[str], bool]], ...]

    @classmethod
    def of(cls, policy: Policy, scopes: Iterable[str], server: str, methods: Iterable[str]) -> Rights:
        """Take what the policy grants now; `methods` are those of the lists that are cut."""
        scopes = tuple(scopes)
        return cls(tuple((LISTS[method], _permitted(policy, scopes, server, method)) for method in methods))


def cut(message: bytes, rights: Rights, rpc_id: str | None) -> bytes:
    """Return the message without what may not be called; the very same where nothing is to be taken out.

    `rpc_id` is the request's, as JSON text: another answer is not touched. None: any answer is.
    Raises ValueError where this is no one message.
    """
    try:
        members = _decoded(message)
        if "result" not in members or not _answers(members, rpc_id):
            return message
        result = _MEMBERS.decode(members["result"])
        changed = [_cut_member(result, *one) for one in rights.may]
        if bytes(result.get("cacheScope", _PRIVATE)) != _PRIVATE:
            result["cacheScope"] = msgspec.Raw(_PRIVATE)
            changed.append(True)
        if not any(changed):
            return message
        members["result"] = msgspec.Raw(_ENCODER.encode(result))
        return _ENCODER.encode(members)
    except RecursionError:
        raise ValueError("nested deeper than this gateway reads") from None


def _permitted(policy: Policy, scopes: tuple[str, ...], server: str, method: str) -> Callable[[str], bool]:
    if method == TEMPLATES:
        return grants.permitted_templates(policy, scopes, server)
    permitted = grants.permitted(policy, scopes, server, LISTS[method].method)
    return lambda name: is_fit(name) and permitted(name)


def _answers(members: _Members, rpc_id: str | None) -> bool:
    """Tell whether this answers the request. Some clients take "1" for 1, so it is not asked which it is."""
    return rpc_id is None or _loosely(members.get("id", b"null")) == _loosely(rpc_id.encode())


def _loosely(raw: bytes | msgspec.Raw) -> str | float:
    try:
        text = _STRING.decode(raw)
    except msgspec.DecodeError:
        text = bytes(raw).decode(errors="replace")
    try:
        return float(text)
    except ValueError:
        return text


def _decoded(message: bytes) -> _Members:
    try:
        return _MEMBERS.decode(message)
    except msgspec.DecodeError:
        if (repaired := without_lone_surrogates(message)) == message:
            raise
        return _MEMBERS.decode(repaired)


def _cut_member(result: _Members, where: List, may: Callable[[str], bool]) -> bool:
    """Cut one list in place; tell whether that changed it. What is no list is an empty one."""
    raw = result.get(where.member)
    if raw is None:
        return False
    try:
        entries = _ENTRIES.decode(raw)
    except msgspec.DecodeError:
        entries = None
    kept = [entry for entry in entries or () if (name := _name(entry, where.naming)) and may(name)]
    if entries is not None and len(kept) == len(entries):
        return False
    result[where.member] = msgspec.Raw(b"[" + b",".join(map(bytes, kept)) + b"]")
    return True


def _name(entry: msgspec.Raw, naming: str) -> str:
    try:
        return _STRING.decode(_MEMBERS.decode(entry)[naming])
    except (msgspec.DecodeError, KeyError):
        return ""


_MEMBERS = msgspec.json.Decoder(_Members)
_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_ENCODER = msgspec.json.Encoder()
_PRIVATE = b'"private"'
