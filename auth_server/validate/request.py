"""The headers of one request → what is asked of which server, before its message is read, or a refusal.

Each rule here is about a second reading: a header that comes twice, a path that another program would resolve
otherwise, a Host that is not this gateway's, a page of another origin that calls.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_server import contract
from auth_server.errors import (
    ErrorCode,
    Forbidden,
    HeaderMismatch,
    InvalidRequest,
    Misdirected,
    WrongMethod,
)
from auth_server.headers import sent_twice

if TYPE_CHECKING:
    from auth_server.headers import Headers
    from auth_server.validate.message import Message

METHODS = ("GET", "POST", "DELETE")

_ONCE = frozenset(
    {
        contract.AUTHORIZATION,
        contract.CONTENT_ENCODING,
        contract.CONTENT_TYPE,
        contract.HOST,
        contract.ORIGIN,
        contract.REGION,
        contract.USER_POOL_ID,
        b"x-client-id",
    }
)

_SERVER = re.compile(contract.SERVER_NAME_PATTERN)
_JSON = re.compile(r'application/json(?:[ \t]*;[ \t]*charset="?utf-8"?)?[ \t]*', re.IGNORECASE)

# Most paths: no percent sign, and no segment that is empty or begins with a dot.
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]*)+")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/%-]*")
# Also what only lax readers take for a dot, a slash or an end: blanks after dots, controls, overlong UTF-8.
_AMBIGUOUS = re.compile(
    r"//|/\.\.?(?:[/%]|$)|%(?:[01]|2[35ef]|3[bf]|5c|7f|c[01]|e0%[89]|f0%8)|%(?![0-9a-f]{2})|#", re.IGNORECASE
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::[0-9]*)?")
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^/?#]*)")
_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Site:
    """What this gateway is called: its public origin, and the names of hosts that it answers for."""

    origin: str
    hosts: frozenset[str]

    @classmethod
    def of(cls, gateway_url: str, allowed_hosts: tuple[str, ...]) -> Site:
        """Take GATEWAY_URL and ALLOWED_HOSTS; ports don't matter."""
        hosts = {_host(host) for host in (urlsplit(gateway_url).netloc, *allowed_hosts)}
        return cls(gateway_url, frozenset(hosts))

    def answers_for(self, host: str, listener: str) -> bool:
        """Tell whether a Host header names this gateway.

        Loopback's names count where GATEWAY_URL has one of them, or the listener's address is loopback's.
        """
        name = _host(host)
        if name in self.hosts:
            return True
        if not _LOOPBACK.fullmatch(name):
            return False
        return _is_loopback(listener) or any(map(_LOOPBACK.fullmatch, self.hosts))


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose headers have one reading: the server, and how the message would come.

    What the client's Mcp-* headers say of the message is None where it sends none. `path_known` says whether
    the path is one of MCP's own, or one that the server's entry names.
    """

    server: str
    method: str
    mcp_method: str | None = None
    mcp_name: str | None = None
    mcp_version: str | None = None
    path_known: bool = True


def check(headers: Headers, site: Site, *, listener: str) -> str:
    """Return the path as sent, without the query, once path, Host and single headers have one reading.

    `listener` is the address that took the connection, where nginx does not say it. Raises InvalidRequest,
    and Misdirected (421). Holds for pages as for MCP servers.
    """
    for name in headers.repeated():
        if name in _ONCE or name.startswith(b"mcp-"):
            raise sent_twice(name)
    said = headers.get(contract.ORIGINAL_URI)
    target = said or ""
    absolute = _ABSOLUTE.match(target)
    host = headers.get(contract.HOST) or ""
    listener = headers.get(contract.SERVER_ADDRESS) or listener
    if not site.answers_for(absolute["authority"] if absolute else host, listener):
        raise Misdirected("this gateway does not answer for that Host; see GATEWAY_URL and ALLOWED_HOSTS")
    if absolute:
        raise InvalidRequest("the request target must be a path: with a host of its own, there would be two")
    path, _, query = target.partition("?")
    if "#" in query or not (said is None or _PLAIN_PATH.fullmatch(path) or _is_unambiguous(path)):
        raise _ambiguous()
    return path


def check_origin(headers: Headers, site: Site) -> None:
    """Refuse a call from a page of another origin: Forbidden, ORIGIN_MISMATCH."""
    origin = headers.get(contract.ORIGIN)
    if origin is None or origin == site.origin:
        return
    host = headers.get(contract.HOST)
    if origin not in {f"http://{host}", f"https://{host}"}:
        raise Forbidden(ErrorCode.ORIGIN_MISMATCH, "calls from pages of other origins are not accepted")


def read(headers: Headers, site: Site, *, listener: str = "") -> Question:
    """Return what is asked, as far as the headers say it; raises a Refusal where they have no one reading."""
    path = check(headers, site, listener=listener)
    check_origin(headers, site)
    server = headers.get(contract.MCP_SERVER)
    if not server:
        raise InvalidRequest("X-Mcp-Server is missing: nginx sets it from the location that matched")
    if not _SERVER.fullmatch(server):
        raise InvalidRequest(
            "X-Mcp-Server is not a server's name (lower-case letters, digits, “.”, “_”, “-”)"
        )
    # nginx always says the path. Who asks without one has but the server's name to be held to.
    if path and path != f"/{server}" and not path.startswith(f"/{server}/"):
        raise _ambiguous()
    method = headers.get(contract.ORIGINAL_METHOD)
    if method not in METHODS:
        raise WrongMethod(f"only {', '.join(METHODS)} are used here", allowed=METHODS)
    if method == "POST":
        _check_content(headers)
    return Question(
        server,
        method,
        headers.get(contract.MCP_METHOD),
        headers.get(contract.MCP_NAME),
        headers.get(contract.MCP_PROTOCOL_VERSION),
        path_known=not path or _is_for_mcp(path.removeprefix(f"/{server}"), headers),
    )


def check_body(headers: Headers, question: Question, length: int) -> None:
    """Hold the message's length in bytes to what was announced; raises InvalidRequest."""
    announced = headers.get(contract.ORIGINAL_LENGTH) or ""
    if question.method != "POST":
        if length or announced not in {"", "0"}:
            raise InvalidRequest(f"a {question.method} must not have a body: nobody would judge it")
    elif not length:
        raise InvalidRequest("the body is empty; expected one JSON-RPC message")
    elif announced not in {"", "chunked", str(length)}:
        raise InvalidRequest("the message did not come along whole; it is not judged in part")


def compare(question: Question, message: Message) -> None:
    """Hold the client's Mcp-* headers to the message (MCP 2026-07-28, SEP-2243); raises HeaderMismatch.

    They are hints for those in between, and never believed.
    """
    if question.mcp_method is not None and question.mcp_method != (message.method or ""):
        raise HeaderMismatch("the header Mcp-Method does not agree with the body")
    if question.mcp_name is not None and _decoded(question.mcp_name) != message.name:
        raise HeaderMismatch("the header Mcp-Name does not agree with the body")
    if message.version and question.mcp_version not in {None, message.version}:
        raise HeaderMismatch("the header MCP-Protocol-Version does not agree with the body")


def _is_for_mcp(rest: str, headers: Headers) -> bool:
    """Tell whether what follows the server's name is a path of MCP's, or lies below one."""
    named = (headers.get(contract.MCP_PATHS) or "").split()
    ends = (*contract.MCP_ENDPOINTS, *(path.rstrip("/") for path in named))
    return any(rest == end or rest.startswith(f"{end}/") for end in ends)


def _check_content(headers: Headers) -> None:
    content_type = headers.get(contract.CONTENT_TYPE)
    if content_type != "application/json" and not _JSON.fullmatch(content_type or ""):
        raise InvalidRequest("Content-Type must be application/json")
    if headers.get(contract.CONTENT_ENCODING) is not None:
        raise InvalidRequest("the body must not be compressed: remove Content-Encoding")


def _host(authority: str) -> str:
    """Return the name in host:port, in lower case and without the root's dot; empty where there is none."""
    match = _AUTHORITY.fullmatch(authority.lower())
    return match["host"].removesuffix(".") if match else ""


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "unix:")) or address == "::1"


def _is_unambiguous(path: str) -> bool:
    return bool(_PATH.fullmatch(path)) and not _AMBIGUOUS.search(path)


def _ambiguous() -> InvalidRequest:
    return InvalidRequest(
        "the path can be read in more than one way: no “//”, dot segments, “;”, backslash, "
        "or encoded slash, dot or percent sign"
    )


def _decoded(value: str) -> str:
    """Return a value of Mcp-Name: as it is, or UTF-8 in `=?base64?…?=`, in its one spelling."""
    match = _SENTINEL.fullmatch(value)
    if match is None:
        return value
    try:
        raw = base64.b64decode(match[1], validate=True)
        text = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        raise HeaderMismatch("the header Mcp-Name is not base64 of UTF-8") from None
    if base64.b64encode(raw).decode() != match[1]:
        raise HeaderMismatch("the header Mcp-Name is not canonical base64")
    return text
