"""What an MCP server answers → what its caller gets: as a whole, or event by event.

An answer that holds a list and cannot be read goes to nobody: it could hold what nobody may see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from auth_server.errors import UpstreamUnavailable
from auth_server.relay import endpoint, lists
from auth_server.relay.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth_server.relay.events import Event
    from auth_server.relay.lists import Rights

MAX_BYTES = 16 * 1024 * 1024  # of an answer, or of one of its events, that is read before it goes on
MAX_EVENT = 4 * 1024 * 1024  # of an event on a stream that is looked at; what is longer is no list

# No client looks for an answer in a 202: over HTTP+SSE it comes on the stream.
_ANSWERS = frozenset(range(200, 300)) - {202}


class Reader(Protocol):
    """Takes the bytes of an event stream as they come, and gives back those that go on."""

    def feed(self, data: bytes) -> bytes:
        """Return what can go on now; raises UpstreamUnavailable where nothing more may."""

    def rest(self) -> bytes:
        """Return what is left at the end."""


def whole(body: bytes, rights: Rights, rpc_id: str, *, status: int, is_json: bool) -> bytes:
    """Return the answer to a request for a list, cut; raises UpstreamUnavailable where it cannot be read."""
    if not body or (status not in _ANSWERS and not is_json):
        return body
    try:
        return lists.cut(body, rights, rpc_id)
    except ValueError:
        if status not in _ANSWERS:
            return body
        raise _unreadable() from None


class AsItComes:
    """Of an answer that is only passed on."""

    def feed(self, data: bytes) -> bytes:
        """Return it."""
        return data

    def rest(self) -> bytes:
        """Return nothing."""
        return b""


class ListEvents:
    """The answer to a request for a list: one of the events, which is cut."""

    def __init__(self, rights: Rights, rpc_id: str) -> None:
        self._events = Events(most=MAX_BYTES)
        self._rights = rights
        self._id = rpc_id

    def feed(self, data: bytes) -> bytes:
        """Return the events that are whole now; raises UpstreamUnavailable for one that cannot be read."""
        return b"".join(map(self._cut, self._events.feed(data)))

    def rest(self) -> bytes:
        """Return what is left at the end: an event for some clients, and so cut as well."""
        return self._cut(self._events.rest())

    def _cut(self, event: Event) -> bytes:
        if event.is_part:
            raise _unreadable()
        data = event.data
        if not data:
            return event.raw
        try:
            cut = lists.cut(data, self._rights, self._id)
        except ValueError:
            raise _unreadable() from None
        return event.raw if cut is data else event.with_data(cut).raw


class StreamEvents:
    """A stream without an end: answers that a client missed may come again, and those are cut.

    `rights` is asked at each of them, for a policy changes in the life of a stream; None where lists are not
    cut. The first event may be the endpoint of HTTP+SSE.
    """

    def __init__(self, rights: Callable[[], Rights] | None, rewrite: Callable[[bytes], bytes]) -> None:
        self._events = Events(most=MAX_EVENT)
        self._rights = rights
        self._rewrite = rewrite
        self._is_first = True

    def feed(self, data: bytes) -> bytes:
        """Return the events that are whole now; raises UpstreamUnavailable for an endpoint elsewhere."""
        return b"".join(map(self._judged, self._events.feed(data)))

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return self._judged(self._events.rest())

    def _judged(self, event: Event) -> bytes:
        is_first = self._is_first
        data = None if event.is_part else event.data
        if data is None:
            return event.raw
        self._is_first = False
        if is_first and event.type == endpoint.TYPE:
            try:
                return event.with_data(self._rewrite(data)).raw
            except ValueError as error:
                raise UpstreamUnavailable(str(error)) from None
        if self._rights is None or b'"result"' not in data:
            return event.raw
        try:
            cut = lists.cut(data, self._rights(), None)
        except ValueError:  # a result of another kind, or none
            return event.raw
        return event.raw if cut is data else event.with_data(cut).raw


def _unreadable() -> UpstreamUnavailable:
    return UpstreamUnavailable("the list that the MCP server sent cannot be read here, or is too long")
