"""Every header name this product reads or writes, and the one encoding of their values.

In: the raw pairs of a `/validate` request become a credential and a target, or are refused.
Out: values outside printable ASCII, and list separators inside a value, are percent-encoded as UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from auth_server.errors import ErrorCode, InvalidRequest, Unauthenticated
from auth_server.model import (
    KIND_OF_METHOD,
    METHODS_WITH_A_NAME,
    BearerToken,
    Credential,
    Kind,
    Name,
    SessionCookie,
    Target,
)

AUTHORIZATION = b"authorization"
COOKIE = b"cookie"
ORIGINAL_URI = b"x-original-uri"
ORIGINAL_METHOD = b"x-original-method"
REQUEST_ID = b"x-request-id"
MCP_SERVER = b"x-mcp-server"
MCP_METHOD = b"mcp-method"
MCP_NAME = b"mcp-name"
MCP_TARGETS = b"x-mcp-targets"
USER_POOL_ID = b"x-user-pool-id"
REGION = b"x-region"

USER = b"x-user"
USERNAME = b"x-username"
EMAIL = b"x-email"
CLIENT_ID = b"x-client-id"
SCOPES = b"x-scopes"
GROUPS = b"x-groups"
AUTH_METHOD = b"x-auth-method"
SERVER_NAME = b"x-server-name"
TOOL_NAME = b"x-tool-name"
ALLOWED_TOOLS = b"x-allowed-tools"
AUTH_ERROR = b"x-auth-error"
AUTH_ERROR_BODY = b"x-auth-error-body"
WWW_AUTHENTICATE = b"www-authenticate"
CACHE_CONTROL = b"cache-control"
RETRY_AFTER = b"retry-after"

SESSION_COOKIE = "mcp_gateway_session"
# The name that browsers get over https: with this prefix they take the cookie from this very host alone, over
# https alone, so that no neighbouring host can plant one (RFC 6265bis, section 4.1.3.2).
HOST_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
SIGN_IN_COOKIE = "mcp_gateway_sign_in"

# A list of tools is a comfort for backends; past this it is cut at a whole name, never inside one.
MAX_TOOLS_BYTES = 4096

RawHeaders = Iterable[tuple[bytes, bytes]]
Values = tuple[bytes | None, ...]

_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_METHOD = re.compile(r"[!-~]{1,256}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SAFE = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"  # printable ASCII but space, comma and the percent sign itself
_PLAIN = re.compile(r"[!-$&-+\--~]*")  # the same with letters and digits: what quote() would leave as it is


# What a decision depends on, beside the credential.
_ASKED = (MCP_SERVER, ORIGINAL_METHOD, MCP_METHOD, MCP_NAME, MCP_TARGETS, USER_POOL_ID, REGION)


class Incoming:
    """The headers of one question. A name that may come once and comes twice is refused."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, raw: RawHeaders) -> None:
        """Take ASGI's raw pairs: lower-case names, undecoded values."""
        self._pairs = list(raw)
        self._values = dict(self._pairs)

    def get(self, name: bytes) -> str | None:
        """Return the value, or None where the header is absent; raises InvalidRequest for a second one."""
        found = self._values.get(name)
        if found is None:
            return None
        if len(self._values) < len(self._pairs) and len(self.every(name)) > 1:
            raise InvalidRequest(f"the header {name.decode()} was sent more than once; send it once")
        return found.decode("latin-1").strip(" \t")

    def every(self, name: bytes) -> list[str]:
        """Return the values of a header that may be repeated."""
        if name not in self._values:
            return []
        return [value.decode("latin-1") for found, value in self._pairs if found == name]

    def fingerprint(self) -> tuple[Values, Values] | None:
        """Return who asks, and what: two questions share both only if they are the same.

        The first holds digests of the credentials, not the credentials. None where a header is repeated.
        """
        values = self._values
        if len(values) < len(self._pairs):
            return None
        who = (_digest(values.get(AUTHORIZATION)), _digest(values.get(COOKIE)))
        return who, tuple(map(values.get, _ASKED))


def _digest(value: bytes | None) -> bytes | None:
    return None if value is None else hashlib.sha256(value).digest()


def credential(headers: Incoming) -> Credential:
    """Return what the caller offers as proof.

    `Authorization`, when present, alone decides: a bad one never falls back to the cookie. Raises
    Unauthenticated where there is none or it is no bearer token (RFC 6750, section 2.1), InvalidRequest
    where there are two.
    """
    authorization = headers.get(AUTHORIZATION)
    cookie_headers = headers.every(COOKIE)
    sessions = session_cookies(cookie_headers) if cookie_headers else []
    if len(sessions) > 1:
        raise InvalidRequest(f"the cookie {SESSION_COOKIE} was sent {len(sessions)} times; send it once")
    if authorization is not None:
        if match := _BEARER.fullmatch(authorization):
            return BearerToken(match[1])
        raise Unauthenticated(
            ErrorCode.TOKEN_MALFORMED,
            "the Authorization header must be “Bearer”, one space and a token",
        )
    if sessions:
        return SessionCookie(sessions[0])
    raise Unauthenticated(
        ErrorCode.TOKEN_MISSING,
        f"no credential: send “Authorization: Bearer <token>” or the cookie {SESSION_COOKIE}",
    )


def session_cookies(cookie_headers: Iterable[str]) -> list[str]:
    """Return the values of every session cookie in these Cookie headers.

    It has two names, one of which browsers get over https; the same value under both is one cookie.
    """
    found = [pair for pair in cookies(cookie_headers) if pair[0] in {SESSION_COOKIE, HOST_SESSION_COOKIE}]
    names, values = {name for name, _ in found}, {value for _, value in found}
    return list(values) if len(values) == 1 and len(names) == len(found) else [value for _, value in found]


def cookies(cookie_headers: Iterable[str]) -> list[tuple[str, str]]:
    """Return the names and values of all cookies in these Cookie headers (RFC 6265, section 5.4)."""
    pairs = (pair.partition("=") for header in cookie_headers for pair in header.split(";"))
    return [(name.strip(" \t"), value.strip(' \t"')) for name, _, value in pairs]


def target(headers: Incoming) -> Target:
    """Return what is to be done, as nginx read it from path and body.

    Raises InvalidRequest where server, method or names are missing or have no single reading.
    """
    server = headers.get(MCP_SERVER)
    if not server:
        raise InvalidRequest("X-Mcp-Server is missing: nginx sets it from the location that matched")
    if not _SERVER.fullmatch(server):
        raise InvalidRequest("X-Mcp-Server is not a server's name (letters, digits, “.”, “_”, “-”)")
    http_method = headers.get(ORIGINAL_METHOD)
    method = headers.get(MCP_METHOD) or None
    if http_method not in {"GET", "POST", "DELETE", None} or (http_method is None and method is None):
        raise InvalidRequest("X-Original-Method must be GET, POST or DELETE")
    if method is not None and not _METHOD.fullmatch(method):
        raise InvalidRequest("Mcp-Method is not printable ASCII of at most 256 characters")
    names = _names(method, headers.get(MCP_NAME), headers.get(MCP_TARGETS))
    if method in METHODS_WITH_A_NAME and not names:
        raise InvalidRequest(f"{method} names nothing: Mcp-Name or X-Mcp-Targets is missing")
    return Target(server, method, names)


def decode_mcp_value(value: str) -> str:
    """Decode a value of Mcp-Name: as it is, or UTF-8 in `=?base64?…?=` (MCP 2026-07-28, SEP-2243).

    Raises InvalidRequest unless the base64 is canonical and the text plain UTF-8 without controls.
    """
    if match := _SENTINEL.fullmatch(value):
        try:
            raw = base64.b64decode(match[1], validate=True)
            text = raw.decode("utf-8")
        except (binascii.Error, ValueError):
            raise InvalidRequest("Mcp-Name: the base64 form does not hold UTF-8") from None
        if base64.b64encode(raw).decode() != match[1]:
            raise InvalidRequest("Mcp-Name: the base64 form is not canonical")
        value = text
    elif not value.isascii():
        raise InvalidRequest("Mcp-Name: a value outside ASCII must come as =?base64?…?=")
    return _clean(value, "Mcp-Name")


def encode(value: str) -> str:
    """Percent-encode one value, so that it can neither split a header nor a list."""
    if _PLAIN.fullmatch(value):
        return value
    # A lone surrogate, which JSON can spell, keeps an encoding of its own and becomes no other name.
    return quote(value, safe=_SAFE, errors="surrogatepass")


def encode_list(values: Iterable[str], separator: str) -> str:
    """Join values with a separator that none of them can hold."""
    values = list(values)
    plain = _PLAIN.fullmatch("".join(values))  # one look at all of them
    return separator.join(values if plain else map(encode, values))


def encode_tools(tools: list[str]) -> str:
    """Join the names of tools, cut after the last that fits in MAX_TOOLS_BYTES."""
    joined = encode_list(tools, ",")
    return joined if len(joined) <= MAX_TOOLS_BYTES else joined[: MAX_TOOLS_BYTES + 1].rpartition(",")[0]


def _names(method: str | None, mcp_name: str | None, mcp_targets: str | None) -> tuple[Name, ...]:
    implied = KIND_OF_METHOD.get(method or "")
    names: list[Name] = []
    if mcp_targets:
        names.extend(_target(item, implied) for item in _json_array(mcp_targets))
    if mcp_name:
        value = decode_mcp_value(mcp_name)
        if implied is not None:
            names.append(Name(implied, value))
        elif method == "completion/complete" and value not in {name.value for name in names}:
            raise InvalidRequest(
                f"{method}: X-Mcp-Targets must say whether Mcp-Name is a prompt or a resource"
            )
        # Any other method's name (a task's id, say) is in no list of a grant: its method alone is judged.
    return tuple(dict.fromkeys(names))


def _json_array(text: str) -> list[Any]:
    """Parse the array, in ASCII (other characters as JSON escapes): raw bytes have no one reading."""
    try:
        items = json.loads(text, object_pairs_hook=_members) if text.isascii() else None
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise InvalidRequest("X-Mcp-Targets must be a JSON array in ASCII")
    return items


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _target(item: Any, implied: Kind | None) -> Name:
    """Read one element: a name, or {kind: name} where the method alone does not tell the kind."""
    if isinstance(item, str) and implied is not None:
        return Name(implied, _clean(item, "X-Mcp-Targets"))
    if isinstance(item, dict) and len(item) == 1:
        ((kind, value),) = item.items()
        if kind in set(Kind) and isinstance(value, str):
            return Name(Kind(kind), _clean(value, "X-Mcp-Targets"))
    raise InvalidRequest('X-Mcp-Targets: expected names, or objects such as {"prompts": "name"}')


def _clean(value: str, place: str) -> str:
    if not value or (not value.isprintable() and _CONTROL.search(value)):
        raise InvalidRequest(f"{place}: a name must not be empty or hold control characters")
    return value
