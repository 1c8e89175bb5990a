"""Outcome → status, headers and JSON body: the one place that knows status codes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from auth_server import contract as h
from auth_server.errors import (
    Forbidden,
    InvalidRequest,
    NotHere,
    Refusal,
    Unauthenticated,
    Unavailable,
    WrongMethod,
)
from auth_server.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_server.model import Identity, Target


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response, ready for ASGI."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class About:
    """What an error answer says of the question it answers. All of it is safe to repeat."""

    request_id: str = ""
    resource_metadata: str = ""
    discovery_url: str = ""


_COMPACT = json.JSONEncoder(separators=(",", ":"))

# RFC 6750, section 3.1, gives the client a word for why its token was refused.
_KINDS: dict[type[Refusal], tuple[int, str]] = {
    Unauthenticated: (401, "AuthenticationError"),
    Forbidden: (403, "AuthorizationError"),
    InvalidRequest: (400, "RequestError"),
    NotHere: (404, "RequestError"),
    WrongMethod: (405, "RequestError"),
    Unavailable: (503, "ServiceError"),
}


def call_headers(
    target: Target, *, scopes: Iterable[str], groups: Iterable[str], tools: list[str]
) -> list[tuple[bytes, bytes]]:
    """Return what a 200 says of the call, alike for all callers who have these scopes and groups."""
    tool = next((name.value for name in target.names if name.kind is Kind.TOOLS), "")
    return [
        (h.SCOPES, h.encode_list(scopes, " ").encode()),
        (h.GROUPS, h.encode_list(groups, ",").encode()),
        (h.SERVER_NAME, target.server.encode()),
        (h.TOOL_NAME, h.encode(tool).encode()),
        (h.ALLOWED_TOOLS, h.encode_tools(tools).encode()),
    ]


def allowed(identity: Identity, call: list[tuple[bytes, bytes]], *, max_age: int) -> Answer:
    """Return 200 with every identity header, empty where there is nothing to say, and with those of the call.

    An absent header would let a client's own of that name through some proxies, so none is left out.
    """
    username = h.encode(identity.username).encode()
    headers = [
        (h.USER, username),
        (h.USERNAME, username),
        (h.EMAIL, h.encode(identity.email).encode()),
        (h.CLIENT_ID, h.encode(identity.client_id).encode()),
        (h.AUTH_METHOD, identity.method.value.encode()),
        *call,
        (h.CACHE_CONTROL, b"max-age=%d" % max_age),
        (b"content-length", b"0"),
    ]
    return Answer(200, headers)


def refused(refusal: Refusal, about: About, *, now: float, to_client: bool = False) -> Answer:
    """Return the status, headers and body that the contract names for this refusal.

    Without `to_client` nginx asks, by auth_request, which carries no 400: it gets 403 and makes one of it.
    """
    status, kind = next(_KINDS[cls] for cls in type(refusal).__mro__ if cls in _KINDS)
    if isinstance(refusal, InvalidRequest) and not to_client:
        status = 403
    body = error_body(refusal, kind, about, now=now)
    values = [
        (b"content-type", "application/json"),
        (b"content-length", str(len(body))),
        (h.CACHE_CONTROL, "no-store"),
        (h.AUTH_ERROR, refusal.code.value),
        (h.AUTH_ERROR_BODY, body.decode()),
    ]
    match refusal:
        case Unauthenticated():
            values.append((h.WWW_AUTHENTICATE, _challenge(refusal, about)))
        case Forbidden(scope=scope) if scope:
            values.append((h.WWW_AUTHENTICATE, _bearer(_insufficient_scope(refusal, about, scope))))
        case WrongMethod(allowed=methods):
            values.append((b"allow", ", ".join(methods)))
        case Unavailable(retry_after=seconds):
            values.append((h.RETRY_AFTER, str(seconds)))
    return Answer(status, [(name, value.encode("ascii")) for name, value in values], body)


def error_body(refusal: Refusal, kind: str, about: About, *, now: float) -> bytes:
    """Return the contract's error body as one line of ASCII JSON, so that it also fits in a header."""
    details: dict[str, Any] = {"error_code": refusal.code.value}
    if isinstance(refusal, Unauthenticated) and about.discovery_url:
        details["discovery_url"] = about.discovery_url
    stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    error = {
        "type": kind,
        "message": refusal.message,
        "details": details,
        "timestamp": stamp,
        "request_id": about.request_id,
    }
    return _COMPACT.encode({"success": False, "error": error}).encode()


def _challenge(refusal: Unauthenticated, about: About) -> str:
    params = {}
    if refusal.code is not refusal.code.TOKEN_MISSING:  # RFC 6750: no error where nothing was sent
        params = {"error": "invalid_token", "error_description": refusal.message}
    return _bearer(params | {"resource_metadata": about.resource_metadata})


def _insufficient_scope(refusal: Forbidden, about: About, scope: str) -> dict[str, str]:
    return {
        "error": "insufficient_scope",
        "scope": scope,
        "error_description": refusal.message,
        "resource_metadata": about.resource_metadata,
    }


def _bearer(params: dict[str, str]) -> str:
    quoted = [f'{name}="{_quotable(value)}"' for name, value in params.items() if value]
    return f"Bearer {', '.join(quoted)}" if quoted else "Bearer"


def _quotable(value: str) -> str:
    """Reduce to the characters of RFC 6750's error_description: printable ASCII but quote and backslash."""
    plain = value.translate({ord("“"): "'", ord("”"): "'", ord('"'): "'", ord("\\"): "/"})
    return plain.encode("ascii", "replace").decode()
