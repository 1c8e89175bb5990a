"""Which way an allowed request goes: straight to its MCP server, or through the relay.

What the relay has to know of it goes along in one header, the ticket. nginx takes that from /validate alone:
a client's own never arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from auth_server.model import LISTS, Identity

if TYPE_CHECKING:
    from auth_server.validate.message import Message
    from auth_server.validate.request import Question


class Way(StrEnum):
    """What the relay looks at."""

    SESSION = "session"  # one may begin: its id is sealed
    LIST = "list"  # what the caller may not call is cut out
    STREAM = "stream"  # it ends with the credential


_WAYS = {"initialize": Way.SESSION, "subscriptions/listen": Way.STREAM} | dict.fromkeys(LISTS, Way.LIST)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the relay has to know of a request: `method` is empty for a GET, `id` is JSON text."""

    way: Way
    server: str
    principal: str
    identity: Identity
    method: str = ""
    id: str = ""


def way_of(question: Question, asked: Message, *, filter_lists: bool) -> Way | None:
    """Return what the relay has to look at, None where the answer goes straight to the client."""
    if asked.method is None:
        return Way.STREAM if question.method == "GET" else None
    way = _WAYS.get(asked.method)
    return None if way is Way.LIST and not filter_lists else way


def write(ticket: Ticket) -> bytes:
    """Return the ticket as a header's value (RFC 9110, section 5.5): UTF-8 without control characters."""
    return _ENCODER.encode(ticket).replace(b"\x7f", b"\\u007f")


def read(value: bytes) -> Ticket:
    """Return the ticket in a header; raises ValueError where it is none."""
    return _TICKET.decode(value)


_ENCODER = msgspec.json.Encoder()
_TICKET = msgspec.json.Decoder(Ticket)
