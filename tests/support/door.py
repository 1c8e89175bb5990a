"""A door to knock on: a client that can say anything to the gateway, and what refusals look like."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auth_server.identity import session_cookie
from support import cognito, raw
from support.gateway import SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.backend import Backend, Seen
    from support.gateway import Gateway

SCOPES = Path(__file__).parent.parent / "gateway" / "scopes.yml"
KINDS = {400: "RequestError", 401: "AuthenticationError", 403: "AuthorizationError", 404: "RequestError"}
KINDS |= {405: "RequestError", 413: "RequestError", 421: "RequestError"}
KINDS |= {502: "ServiceError", 503: "ServiceError", 504: "ServiceError"}
LIMIT = 4 * 1024 * 1024


@dataclass(eq=False)
class Door:
    """The gateway with a recording backend behind it, and a client that can say anything to it."""

    gateway: Gateway
    backend: Backend
    secret: Backend
    token: str
    scopes: Path

    @property
    def host(self) -> str:
        """The Host of an honest request."""
        return f"127.0.0.1:{self.gateway.port}"

    def message(
        self,
        body: bytes | str | dict[str, Any],
        *,
        method: str = "POST",
        target: str | bytes = "/time/mcp",
        headers: tuple[tuple[str | bytes, str | bytes], ...] = (),
        replace: Mapping[str, str | None] | None = None,
        version: str = "HTTP/1.1",
    ) -> bytes:
        """Return an honest request with this body as bytes; `headers` are added, `replace` swaps or drops."""
        data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else compact(body)
        honest: dict[str, str | None] = {
            "Host": self.host,
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Content-Length": str(len(data)),
        }
        honest |= dict(replace or {})
        given = [(name, value) for name, value in honest.items() if value is not None]
        return raw.request(method, target, [*given, *headers], data, version=version)

    def post(self, body: bytes | str | dict[str, Any], **options: Any) -> raw.Answer:
        """Send such a request on a connection of its own and read the answer."""
        return self.send(self.message(body, **options), method=options.get("method", "POST"))

    def get(self, target: str | bytes = "/time/mcp", *, method: str = "GET", **options: Any) -> raw.Answer:
        """Send a request without a body."""
        replace = {"Content-Length": None, "Content-Type": None} | options.pop("replace", {})
        return self.send(
            self.message(b"", method=method, target=target, replace=replace, **options), method=method
        )

    def send(self, data: bytes, *, method: str = "POST") -> raw.Answer:
        """Send any bytes and read one answer."""
        return raw.exchange(self.gateway.address, data, method=method)

    def passes(self, body: bytes | str | dict[str, Any], **options: Any) -> Seen:
        """Send a request that must reach the backend, and return it as the backend saw it."""
        answer = self.post(body, **options)
        assert answer.status == 200, (answer.status, answer.body)
        return self.backend.only()

    def refuses(self, answer: raw.Answer, status: int, code: str) -> dict[str, Any]:
        """Check a refusal: status, code, the contract's body, and that no backend saw anything."""
        assert self.backend.requests == []
        assert self.secret.requests == []
        return refusal(answer, status, code)


def refusal(answer: raw.Answer, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is the contract's error, and return its `error`."""
    assert (answer.status, answer.header("X-Auth-Error")) == (status, code), answer
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Cache-Control") == "no-store"
    body = answer.json()
    assert body["success"] is False
    assert body["jsonrpc"] == "2.0"
    error: dict[str, Any] = body["error"]
    assert error["details"]["error_code"] == code
    assert error["type"] == ("RequestError" if code == "REQUEST_INVALID" else KINDS[status])
    assert isinstance(error["message"], str)
    assert error["message"]
    assert len(error["request_id"]) == 32
    stamp = datetime.fromisoformat(error["timestamp"])
    assert error["timestamp"].endswith("Z")
    assert abs(datetime.now(UTC) - stamp) < timedelta(minutes=1)
    if code == "HEADER_MISMATCH":
        assert error["code"] == -32020
    assert isinstance(error["code"], int)
    return error


def compact(value: Any) -> bytes:
    """Return JSON as most clients write it."""
    return json.dumps(value, separators=(",", ":")).encode()


def call(name: Any = "granted", **params: Any) -> dict[str, Any]:
    """Return a call of a tool."""
    return rpc("tools/call", {"name": name, "arguments": {}} | params)


def rpc(method: Any, params: Any = None, **members: Any) -> dict[str, Any]:
    """Return a request."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method} | members
    return message if params is None else message | {"params": params}


def mint(kind: str = "agent", **changes: Any) -> str:
    """Return a token that is good now."""
    return cognito.mint(kind, changes, now=int(time.time()))


def cookie(username: str = "ada", groups: tuple[str, ...] = ("readers",), **more: Any) -> str:
    """Return a session cookie's value that is good now."""
    session = session_cookie.Session(username, groups, "sid-1", **more)
    return session_cookie.mint(session, [SECRET_KEY], now=time.time())
