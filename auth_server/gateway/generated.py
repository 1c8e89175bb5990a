"""nginx/generated/: what nginx's files must know of this package's names, errors and answers.

`make generated` writes them; a test compares. They are committed: whoever reads nginx's files finds all
of them there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_server import contract
from auth_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotHere,
    Refusal,
    TooLarge,
    Unavailable,
    UpstreamLate,
    UpstreamUnavailable,
    WrongMethod,
)
from auth_server.gateway.nginx import nginx_folder
from auth_server.validate import request, responses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = (
    "# Generated from auth_server/contract.py by `python -m auth_server.gateway.generated`. Do not edit.\n"
)

# What nginx has to say by itself, and where: before the sidecar can be asked, or where nobody answers.
_OWN_ERRORS: dict[str, Refusal] = {
    "= /gateway/malformed": InvalidRequest(
        "the request is not one that HTTP allows, or its headers are too large"
    ),
    "@not_found": NotHere("no MCP server has this path; expected /<server>/…", code=ErrorCode.SERVER_UNKNOWN),
    "@method_not_allowed": WrongMethod(
        f"only {', '.join(request.METHODS)} are used here", allowed=request.METHODS
    ),
    "@too_large": TooLarge("the body is larger than this gateway reads, or came in too many small chunks"),
    "@unavailable": Unavailable(
        ErrorCode.AUTH_UNAVAILABLE, "the gateway cannot decide now; try again in a moment"
    ),
    "@unreachable": UpstreamUnavailable("the MCP server behind the gateway does not answer"),
    "@unusable": UpstreamUnavailable(
        "the MCP server behind the gateway redirects to elsewhere, or asks for a credential of its own"
    ),
    "@late": UpstreamLate("the MCP server behind the gateway does not answer in time"),
    "@unknown_server": Forbidden(ErrorCode.SERVER_UNKNOWN, "this gateway has no server of that name"),
}
_WIDTH = 236  # nobody reads these line by line
_SERVER = f"^/(?<mcp_server>{contract.SERVER_NAME_PATTERN})(?:/|$)"


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {
        "answer.conf": "".join((_HEAD, *_answer())),
        "backend.conf": "".join((_HEAD, *_backend())),
        "inner.conf": "".join((_HEAD, *_inner())),
        "server.conf": "".join((_HEAD, *_server())),
        "sidecar.conf": "".join((_HEAD, *_sidecar())),
    }


def _sidecar() -> Iterator[str]:
    yield from _filled(
        f"proxy_set_header {_title(name)} {said};" for name, said in contract.SAID_BY_NGINX.items()
    )


def _backend() -> Iterator[str]:
    yield "# Every identity header is overwritten, also with nothing: a client's own never gets through.\n"
    yield from _filled(f"proxy_set_header {_title(name)} {_variable(name)};" for name in contract.IDENTITY)
    told = {contract.MCP_SESSION_ID: contract.BACKEND_SESSION, contract.RELAY: contract.RELAY}
    yield from _filled(f"proxy_set_header {_title(name)} {_variable(said)};" for name, said in told.items())
    yield "# Names that others trust, and what was meant for this gateway alone.\n"
    said = {_title(name) for name in (*contract.SAID_BY_NGINX, *contract.TO_NGINX) if name.startswith(b"x-")}
    cleared = sorted({*contract.NEVER_PASSED, *said} - {_title(contract.REQUEST_ID), _title(contract.RELAY)})
    yield from _filled(f'proxy_set_header {title} "";' for title in cleared)


def _answer() -> Iterator[str]:
    yield "# What each answer of a backend carries, and what none may say.\n"
    carried = contract.ALWAYS_RETURNED
    yield from _filled(f'add_header {title} "{value}" always;' for title, value in carried.items())
    ours = {_title(name) for name in (*contract.IDENTITY, *contract.TO_NGINX) if name.startswith(b"x-auth-")}
    hidden = sorted({*contract.NEVER_RETURNED, *carried, *ours})
    session, sealed = _title(contract.MCP_SESSION_ID), _title(contract.SEALED_SESSION)
    yield from _filled(f"proxy_hide_header {title};" for title in (*hidden, session, sealed))
    yield "# A session's id comes back sealed, from the relay alone.\n"
    yield f"add_header {session} $mcp_sealed_session always;\n"


def _inner() -> Iterator[str]:
    """Yield what the relay sends on through: it knows no MCP server's address."""
    yield f'location ~ "{_SERVER}" {{\n'
    directives = ["proxy_pass $mcp_upstream;", "proxy_request_buffering off;", "error_page 502 504 = @gone;"]
    url = _title(contract.BACKEND_URL)
    directives += [
        f"proxy_hide_header {url};",
        f"add_header {url} $mcp_backend always;",
        "include upstream.conf;",
    ]
    yield from (f"    {line}" for line in _filled(directives))
    yield "}\nlocation / { return 444; } location @gone { return 444; }\n"


def _title(name: bytes) -> str:
    return name.decode().title()


def _underscored(name: bytes) -> str:
    return name.decode().replace("-", "_")


def _variable(name: bytes) -> str:
    """Return nginx's variable for what the sidecar said in this header."""
    return f"$auth_{_underscored(name).removeprefix('x_').removeprefix('auth_')}"


def _server() -> Iterator[str]:
    yield from _filled(
        f"auth_request_set {_variable(name)} $upstream_http_{_underscored(name)};"
        for name in (*contract.IDENTITY, *contract.TO_NGINX)
    )
    yield "auth_request_set $auth_answered $upstream_status;\n"
    yield f'location ~ "^/(?:{"|".join(_pages())})" {{ include page.conf; }}\n'
    yield f'location ~ "{_SERVER}" {{ include mcp.conf; }}\n'
    yield "# What the sidecar refused, in its own words.\n"
    yield from _location("@refused", _REFUSED_HEADERS, [*_refused(), "return 500;"])
    yield "# What the relay refuses to pass back, in its own words.\n"
    error = {contract.AUTH_ERROR: f'"{ErrorCode.UPSTREAM_UNAVAILABLE}"'}
    yield from _location("@not_relayed", error, ["return 502 $mcp_relay_error;"])
    yield "# What nginx has to say by itself.\n"
    for place, refusal in _OWN_ERRORS.items():
        about = responses.About(request_id="$request_id")
        body = responses.error_body(refusal, about, timestamp="$mcp_timestamp")
        said = [f"return {responses.status_of(refusal)} '{body}';"]
        headers = {name: f'"{value}"' for name, value in responses.headers_of(refusal).items()}
        yield from _location(place, headers, said)


_REFUSED_HEADERS = {
    contract.AUTH_ERROR: _variable(contract.AUTH_ERROR),
    contract.WWW_AUTHENTICATE: "$mcp_challenge",
    contract.ALLOW: _variable(contract.ALLOW),
    contract.RETRY_AFTER: _variable(contract.RETRY_AFTER),
}


def _refused() -> Iterator[str]:
    yield "error_page 400 = /gateway/malformed; error_page 500 = @unavailable;"
    location = _variable(contract.AUTH_LOCATION)
    yield f"if ({location}) {{ return 302 {location}; }}"
    for status in responses.statuses():
        told = f"{_variable(contract.AUTH_STATUS)} = {status}"
        yield f"if ({told}) {{ return {status} {_variable(contract.AUTH_ERROR_BODY)}; }}"
    # The sidecar's HTTP library takes no control characters in headers; nginx does.
    yield "if ($auth_answered = 400) { return 400; }"


def _location(place: str, headers: dict[bytes, str], lines: list[str]) -> Iterator[str]:
    begin = [f"location {place} {{", *(["internal;"] if place.startswith("=") else [])]
    common = ["default_type application/json;", "add_header Cache-Control no-store always;"]
    common += [f"add_header {_title(name)} {value} always;" for name, value in headers.items()]
    first, *rest = _filled([*begin, *common, *lines, "}"])
    yield first
    yield from (f"    {line}" for line in rest)


def _filled(directives: Iterable[str]) -> Iterator[str]:
    """Yield lines that hold as many of these directives as fit."""
    line = ""
    for directive in directives:
        if line and len(line) + len(directive) >= _WIDTH and directive != "}":
            yield f"{line}\n"
            line = ""
        line = f"{line} {directive}".strip()
    yield f"{line}\n"


def _pages() -> Iterator[str]:
    """Yield the paths of the sidecar's own pages as expressions, without the slash before them."""
    for path in contract.PAGES:
        yield f"{re.escape(path[1:])}$"
    for prefix in contract.PAGE_PREFIXES:
        yield re.escape(prefix[1:])


def main() -> None:
    """Write the files."""
    folder = nginx_folder() / "generated"
    for name, text in files().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
