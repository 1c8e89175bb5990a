"""Outcome → status, headers and JSON body: the one place that knows status codes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from auth_server import contract
from auth_server.errors import (
    ErrorCode,
    Forbidden,
    HeaderMismatch,
    InvalidParams,
    InvalidRequest,
    Misdirected,
    NoSuchMethod,
    NotHere,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamLate,
    UpstreamUnavailable,
    WrongMethod,
)
from auth_server.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_server.model import Identity, Target

HeaderPairs = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """One HTTP response, ready for ASGI."""

    status: int
    headers: HeaderPairs
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class About:
    """What an error answer says of the request it answers. All of it is safe to repeat.

    `id` is the JSON-RPC id as JSON text, empty where none is known. `page` is where a person is sent instead.
    """

    request_id: str = ""
    resource_metadata: str = ""
    discovery_url: str = ""
    id: str = ""
    page: str = ""


_COMPACT = json.JSONEncoder(separators=(",", ":"))

_KINDS: dict[type[Refusal], tuple[int, str]] = {
    Unauthenticated: (401, "AuthenticationError"),
    Forbidden: (403, "AuthorizationError"),
    InvalidRequest: (400, "RequestError"),
    Misdirected: (421, "RequestError"),
    NoSuchMethod: (404, "RequestError"),
    NotHere: (404, "RequestError"),
    TooLarge: (413, "RequestError"),
    WrongMethod: (405, "RequestError"),
    Unavailable: (503, "ServiceError"),
    UpstreamUnavailable: (502, "ServiceError"),
    UpstreamLate: (504, "ServiceError"),
}
# What auth_request can carry (ngx_http_auth_request_module), beside 200; 503 is 500 there, and 503 again.
_CARRIED = frozenset({401, 403, 503})

MAX_ID = 256

_UNQUOTABLE = re.compile(r"[^ -~]")


def caller_headers(identity: Identity) -> HeaderPairs:
    """Return what a 200 says of who asks, alike for all of their calls.

    An absent header would let a client's own of that name through some proxies, so none is left out.
    """
    username = contract.encode(identity.username).encode()
    return [
        (contract.USER, username),
        (contract.USERNAME, username),
        (contract.EMAIL, contract.encode(identity.email).encode()),
        (contract.CLIENT_ID, contract.encode(identity.client_id).encode()),
        (contract.AUTH_METHOD, identity.method.value.encode()),
    ]


def call_headers(
    target: Target, *, scopes: Iterable[str], groups: Iterable[str], tools: list[str]
) -> HeaderPairs:
    """Return what a 200 says of the call, alike for all callers who have these scopes and groups."""
    tool = next((name.value for name in target.names if name.kind is Kind.TOOLS), "")
    return [
        (contract.SCOPES, contract.encode_list(scopes, " ").encode()),
        (contract.GROUPS, contract.encode_list(groups, ",").encode()),
        (contract.SERVER_NAME, target.server.encode()),
        (contract.TOOL_NAME, contract.encode(tool).encode()),
        (contract.ALLOWED_TOOLS, contract.encode_tools(tools).encode()),
    ]


def allowed(caller: HeaderPairs, call: HeaderPairs) -> Answer:
    """Return 200 with these headers."""
    return Answer(200, [*caller, *call, (b"content-length", b"0")])


def refused(refusal: Refusal, about: About, *, now: float) -> Answer:
    """Return the status, headers and body that the contract names for this refusal."""
    status, _ = _kind(refusal)
    body = error_body(refusal, about, timestamp=_iso(now))
    values = [
        (b"content-type", "application/json"),
        (b"content-length", str(len(body))),
        (b"cache-control", "no-store"),
        *headers_of(refusal).items(),
    ]
    match refusal:
        case Unauthenticated():
            values.append((contract.WWW_AUTHENTICATE, _challenge(refusal, about)))
        case Forbidden(scope=scope) if scope:
            values.append((contract.WWW_AUTHENTICATE, _bearer(_insufficient_scope(refusal, about, scope))))
    return Answer(status, [(name, value.encode("ascii")) for name, value in values], body.encode())


def for_nginx(answer: Answer, about: About, more: HeaderPairs) -> Answer:
    """Return a refusal as auth_request takes it: a status that this carries, the body in a header as well."""
    told = [
        (contract.AUTH_STATUS, b"%d" % answer.status),
        (contract.AUTH_ERROR_BODY, answer.body),
        *more,
    ]
    if about.page:
        told.append((contract.AUTH_LOCATION, about.page.encode()))
    status = answer.status if answer.status in _CARRIED else 403
    return answer._replace(status=status, headers=[*answer.headers, *told])


def error_body(refusal: Refusal, about: About, *, timestamp: str) -> str:
    """Return the contract's error, which is a JSON-RPC error as well, as one line of ASCII JSON.

    So MCP clients show its message, and it fits in a header.
    """
    status, kind = _kind(refusal)
    details = {"error_code": refusal.code.value}
    if isinstance(refusal, Unauthenticated) and about.discovery_url:
        details["discovery_url"] = about.discovery_url
    error = {
        "code": _rpc_code(refusal, status),
        "type": kind,
        "message": refusal.message,
        "details": details,
        "timestamp": timestamp,
        "request_id": about.request_id,
    }
    rpc_id = about.id if 0 < len(about.id) <= MAX_ID else "null"
    return f'{{"jsonrpc":"2.0","id":{rpc_id},"success":false,"error":{_COMPACT.encode(error)}}}'


def headers_of(refusal: Refusal) -> dict[bytes, str]:
    """Return what headers say of this refusal, whoever asked."""
    headers = {contract.AUTH_ERROR: refusal.code.value}
    match refusal:
        case WrongMethod(allowed=methods):
            headers[contract.ALLOW] = ", ".join(methods)
        case Unavailable(retry_after=seconds):
            headers[contract.RETRY_AFTER] = str(seconds)
    return headers


def status_of(refusal: Refusal) -> int:
    """Return the status that a client gets for this refusal."""
    return _kind(refusal)[0]


def statuses() -> list[int]:
    """Return every status that a refusal can have, but those of MCP servers that do not answer."""
    judged = {status for kind, (status, _) in _KINDS.items() if not issubclass(kind, UpstreamUnavailable)}
    return sorted(judged)


def _kind(refusal: Refusal) -> tuple[int, str]:
    return next(_KINDS[cls] for cls in type(refusal).__mro__ if cls in _KINDS)


def _rpc_code(refusal: Refusal, status: int) -> int:
    """JSON-RPC 2.0, section 5.1; -32020 is MCP's own (2026-07-28, SEP-2243)."""
    match refusal:
        case HeaderMismatch():
            return -32020
        case NoSuchMethod():
            return -32601
        case InvalidParams():
            return -32602
    return -32600 if status == 400 else -32000  # noqa: PLR2004 - this module knows status codes


def _iso(now: float) -> str:
    stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _challenge(refusal: Unauthenticated, about: About) -> str:
    params = {}
    if refusal.code is not ErrorCode.TOKEN_MISSING:  # RFC 6750: no error where nothing was sent
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
    return _UNQUOTABLE.sub("?", plain)
