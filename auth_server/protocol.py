"""HTTP as the sidecar speaks it: uvicorn's, but for nginx's questions, which are answered without ASGI.

Most wait for nothing, so they need no task, no event and no scope, which take more than a decision. Whatever
has to wait, for a pool's keys or for a person's groups, takes uvicorn's way to the application, as all else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from auth_server.contract import VALIDATE, VALIDATE_HEADERS
from auth_server.headers import listener
from auth_server.validate.validate import Caller

if TYPE_CHECKING:
    from auth_server.app import Sidecar
    from auth_server.validate.responses import Answer
    from auth_server.validate.validate import Validator

_PATHS = {path.encode(): path for path in (VALIDATE, VALIDATE_HEADERS)}
_METHODS = {b"GET", b"POST"}


class Protocol(HttpToolsProtocol):
    """One connection. Of a question that is answered here, uvicorn's own callbacks hear nothing."""

    _caller: Caller | Answer | None = None

    def on_headers_complete(self) -> None:
        """Look who asks: if that is known at once, the answer waits for the message alone."""
        self._caller = self._caller_at_once()
        if self._caller is None:
            super().on_headers_complete()
        else:
            self._parts: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        """Take a part of the message; what a stranger sends is passed over."""
        if self._caller is None:
            super().on_body(body)
        elif isinstance(self._caller, Caller):
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer the message."""
        if self._caller is None:
            super().on_message_complete()
            return
        body = b"".join(self._parts)
        answer = self._validator.answer(_PATHS[self.url], self._caller, body, now=time.time())
        headers = b"".join([b"%b: %b\r\n" % pair for pair in answer.headers])
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[answer.status], headers, answer.body))
        self.on_response_complete()

    @property
    def _validator(self) -> Validator:
        return cast("Sidecar", self.app).validator

    def _caller_at_once(self) -> Caller | Answer | None:
        """Return who asks one of nginx's questions, with nobody before them on this connection."""
        parser = self.parser
        asked = self.url in _PATHS and parser.get_method() in _METHODS and parser.should_keep_alive()
        busy = self.cycle is not None and not self.cycle.response_complete
        if not asked or busy or self.expect_100_continue:
            return None
        return self._validator.caller_at_once(self.headers, now=time.time(), listener=listener(self.scope))
