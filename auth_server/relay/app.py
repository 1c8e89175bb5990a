"""The relay's ASGI application: nginx's request, on through nginx's inner socket, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from auth_server import contract
from auth_server.asgi import read_body
from auth_server.errors import ErrorCode, Refusal, Unavailable, UpstreamUnavailable
from auth_server.model import LISTS
from auth_server.relay import answers, endpoint, upstream
from auth_server.relay.lists import Rights
from auth_server.relay.streams import OpenStream, ends_at, over
from auth_server.validate import responses, way
from auth_server.validate.sessions import Sessions
from auth_server.validate.way import Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Message, Receive, Scope, Send

    from auth_server.config.settings import Settings
    from auth_server.identity.revocations import Revocations
    from auth_server.policy.watcher import PolicyFile
    from auth_server.relay.answers import Reader
    from auth_server.relay.upstream import Exchange
    from auth_server.validate.responses import Answer, HeaderPairs
    from auth_server.validate.way import Ticket

log = logging.getLogger("auth_server")

LOOK = 1.0  # seconds between two looks at who may still listen
ABORT = "auth_server.relay.abort"
LAST_WORD = 2.0  # seconds after its stream's end until a client that reads nothing is cut off

_JSON, _EVENTS = b"application/json", b"text/event-stream"
_NO_BODY = (204, 304)
_HOP_BY_HOP = {
    b"connection",
    b"content-length",
    b"keep-alive",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
_NOT_SENT_ON = frozenset(_HOP_BY_HOP | {contract.RELAY, contract.ACCEPT_ENCODING, contract.HOST})
_NOT_PASSED_BACK = frozenset(
    _HOP_BY_HOP
    | {contract.AUTH_ERROR_BODY, contract.BACKEND_URL, contract.MCP_SESSION_ID, contract.SEALED_SESSION}
)


class _Start(NamedTuple):
    """What comes before a body."""

    status: int
    headers: HeaderPairs

    def message(self) -> Message:
        """Return it as ASGI has it."""
        return {"type": "http.response.start", "status": self.status, "headers": self.headers}


class _Asked(NamedTuple):
    """One request: its ticket, its target at the gateway, where its answer goes, and what breaks that off."""

    ticket: Ticket
    target: str
    send: Send
    abort: Callable[[], None]


class Protocol(HttpToolsProtocol):
    """One connection. It can be broken off with data still unsent: uvicorn would wait for its reader."""

    def on_message_begin(self) -> None:
        """Let the application do so."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}


class Relay:
    """The ASGI application, and the streams that are open in it."""

    def __init__(
        self, settings: Settings, policy_file: PolicyFile, revocations: Revocations, *, inner: str
    ) -> None:
        """Take the parts; `inner` is nginx's socket."""
        self._settings = settings
        self._sessions = Sessions(settings.session_keys)
        self._policy_file = policy_file
        self._revocations = revocations
        self._inner = inner
        self._open: set[OpenStream] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one request."""
        headers: HeaderPairs = scope["headers"]
        rpc_id, begun = "", False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            ticket = _ticket(headers)
            rpc_id = ticket.id
            target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
            abort = scope["extensions"][ABORT]["call"]
            asked = _Asked(ticket, target.decode("latin-1"), watched, abort)
            await self._relay(asked, scope["method"], headers, receive)
        except Refusal as refusal:
            log.warning("not relayed", extra={"fields": {"reason": refusal.message}})
            if not begun:  # else it is broken off: uvicorn closes the connection of what is not complete
                said = dict(headers).get(contract.REQUEST_ID, b"").decode("latin-1")
                about = responses.About(said, id=rpc_id)
                answer = responses.refused(refusal, about, now=time.time())
                # nginx answers an MCP server's 502 by itself, unless the relay has more to say.
                answer.headers.append((contract.AUTH_ERROR_BODY, answer.body))
                await _send(answer, send)

    async def watch(self) -> None:
        """End the streams that are over, each second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            for stream in over(self._open, self._revocations.check, now=time.time()):
                stream.end()

    def end_streams(self) -> None:
        """End all of them: the process is about to."""
        for stream in self._open:
            stream.end()

    async def _relay(self, asked: _Asked, method: str, headers: HeaderPairs, receive: Receive) -> None:
        """Send the request on, and its answer back, unless the client goes before its end."""
        body = await read_body(receive)
        onward = [pair for pair in headers if pair[0] not in _NOT_SENT_ON]
        # What is compressed cannot be looked at. Which Host the MCP server expects, nginx knows.
        onward += [(contract.ACCEPT_ENCODING, b"identity"), (contract.HOST, b"relay")]
        asking = asyncio.create_task(upstream.ask(self._inner, method, asked.target, onward, body))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                exchange = asking.result()
                gone.add_done_callback(lambda _: exchange.end())
                await self._pass_back(asked, exchange)
        finally:
            gone.cancel()
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError, UpstreamUnavailable):
                (await asking).close()

    async def _pass_back(self, asked: _Asked, exchange: Exchange) -> None:
        ticket, told = asked.ticket, dict(exchange.headers)
        if not told.get(contract.BACKEND_URL):  # nginx itself says so
            raise UpstreamUnavailable("nginx does not take this request to the MCP server")
        start = _Start(exchange.status, self._headers(ticket, exchange.headers))
        kind = told.get(contract.CONTENT_TYPE, b"").partition(b";")[0].strip().lower()
        if kind != _EVENTS:
            body = await _whole(exchange)
            if ticket.way is Way.LIST:
                rights, is_json = self._rights(ticket), kind == _JSON
                body = answers.whole(body, rights, ticket.id, status=exchange.status, is_json=is_json)
            length = [] if exchange.status in _NO_BODY else [(b"content-length", b"%d" % len(body))]
            answer = responses.Answer(start.status, start.headers + length, body)
            await _send(answer, asked.send)
        elif ticket.way is Way.SESSION:
            await _send_events(_read(exchange, answers.AsItComes()), start, asked.send)
        elif contract.CONTENT_ENCODING in told:
            raise UpstreamUnavailable("the MCP server compressed its events unasked; nobody can look at them")
        elif ticket.way is Way.LIST:
            reader = answers.ListEvents(self._rights(ticket), ticket.id)
            await _send_events(_read(exchange, reader), start, asked.send)
        else:
            await self._stream(asked, exchange, start)

    async def _stream(self, asked: _Asked, exchange: Exchange, start: _Start) -> None:
        """Pass a stream on for as long as its credential counts."""
        ticket = asked.ticket
        url = dict(exchange.headers).get(contract.BACKEND_URL, b"").decode("latin-1")
        rewrite = partial(
            endpoint.through_the_gateway, backend_url=url, server=ticket.server, target=asked.target
        )
        rights = partial(self._rights, ticket) if self._settings.filter_lists else None
        until = ends_at(ticket.identity, max_age=self._settings.stream_max_age, now=time.time())
        try:
            async with asyncio.timeout(None) as last_word:

                def end() -> None:
                    exchange.end()
                    if last_word.when() is None:
                        last_word.reschedule(asyncio.get_running_loop().time() + LAST_WORD)

                stream = OpenStream(ticket.identity, until, end)
                self._open.add(stream)
                try:
                    await asked.send(start.message())
                    events = _read(exchange, answers.StreamEvents(rights, rewrite))
                    await _send_events(events, None, asked.send)
                finally:
                    self._open.discard(stream)
        except TimeoutError:
            asked.abort()

    def _rights(self, ticket: Ticket) -> Rights:
        """Return what the caller may call by the policy of this moment."""
        policy = self._policy_file.policy
        methods = [ticket.method] if ticket.way is Way.LIST else LISTS
        return Rights.of(policy, policy.effective_scopes(ticket.identity), ticket.server, methods)

    def _headers(self, ticket: Ticket, headers: HeaderPairs) -> HeaderPairs:
        """Return what goes back: a session's id as its caller may know it."""
        back = [pair for pair in headers if pair[0] not in _NOT_PASSED_BACK]
        sessions = [value.decode("latin-1") for name, value in headers if name == contract.MCP_SESSION_ID]
        if not sessions:
            return back
        try:
            (session,) = sessions
            sealed = self._sessions.seal(ticket.principal, ticket.server, session)
        except ValueError:
            raise UpstreamUnavailable("the MCP server gave a session's id that MCP does not allow") from None
        return [*back, (contract.SEALED_SESSION, sealed.encode())]


def _ticket(headers: HeaderPairs) -> Ticket:
    try:
        return way.read(dict(headers).get(contract.RELAY, b""))
    except ValueError:
        message = "the relay was not told what to do; try again"
        raise Unavailable(ErrorCode.AUTH_UNAVAILABLE, message) from None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _whole(exchange: Exchange) -> bytes:
    """Return an answer's body; raises UpstreamUnavailable where it is too long or breaks off."""
    body = bytearray()
    async for part in exchange.parts():
        body += part
        if len(body) > answers.MAX_BYTES:
            raise UpstreamUnavailable("the MCP server's answer is too long to be looked at")
    return bytes(body)


async def _read(exchange: Exchange, reader: Reader) -> AsyncIterator[bytes]:
    """Yield what goes on of an event stream, as it comes."""
    async for part in exchange.parts():
        if data := reader.feed(part):
            yield data
    if exchange.is_complete and (data := reader.rest()):
        yield data


async def _send_events(events: AsyncIterator[bytes], start: _Start | None, send: Send) -> None:
    """Send events; `start` goes with the first of them, so that one that cannot be read is a 502."""
    async for data in events:
        if start is not None:
            await send(start.message())
            start = None
        await send({"type": "http.response.body", "body": data, "more_body": True})
    if start is not None:
        await send(start.message())
    await send({"type": "http.response.body", "body": b""})


async def _send(answer: Answer, send: Send) -> None:
    status, headers, body = answer
    await send(_Start(status, headers).message())
    await send({"type": "http.response.body", "body": body})
