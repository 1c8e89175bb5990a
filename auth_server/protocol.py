"""HTTP as the sidecar speaks it: uvicorn's, but for the usual question, which is answered without ASGI.

A call by a caller who is known waits for nothing, so it needs no task, no event and no scope, which take more
than its decision. Whatever else comes takes uvicorn's way to the application.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from auth_server.contract import VALIDATE

if TYPE_CHECKING:
    from auth_server.app import Sidecar
    from auth_server.validate.validate import Caller, Validator

_USUAL = VALIDATE.encode()


class Protocol(HttpToolsProtocol):
    """One connection. Of a question that is answered here, uvicorn's own callbacks hear nothing."""

    _caller: Caller | None = None

    def on_headers_complete(self) -> None:
        """Look who asks: somebody known is answered when the message is complete."""
        self._caller = self._known_caller()
        if self._caller is None:
            super().on_headers_complete()
        else:
            self._parts: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        """Take a part of the message."""
        if self._caller is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer the message."""
        if self._caller is None:
            super().on_message_complete()
            return
        answer = self._validator.judge(self._caller, b"".join(self._parts), now=time.time())
        headers = b"".join([b"%b: %b\r\n" % pair for pair in answer.headers])
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[answer.status], headers, answer.body))
        self.on_response_complete()

    @property
    def _validator(self) -> Validator:
        return cast("Sidecar", self.app).validator

    def _known_caller(self) -> Caller | None:
        """Return who asks the usual question, known and with nobody before them on this connection."""
        usual = self.url == _USUAL and self.parser.get_method() == b"POST" and self.parser.should_keep_alive()
        busy = self.cycle is not None and not self.cycle.response_complete
        if not usual or busy or self.expect_100_continue:
            return None
        return self._validator.known(self.headers, now=time.time())
