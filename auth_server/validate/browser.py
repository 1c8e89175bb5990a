"""What a browser does by itself is no call of MCP: nothing of it reaches a server.

A page that a server answers with would be of this gateway's origin, with all that the person may do there.
No page can forge what a browser says in Sec-Fetch-* (W3C Fetch Metadata); programs send none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_server import contract
from auth_server.errors import ErrorCode, Forbidden, Navigation
from auth_server.model import AuthMethod

if TYPE_CHECKING:
    from auth_server.headers import Headers

_OWN_SITES = frozenset({None, "same-origin", "none"})
_PAGE = re.compile(r"\btext/html\b", re.IGNORECASE)


def is_person(headers: Headers) -> bool:
    """Tell whether somebody opens a page: programs offer a token, or ask for something else than a page."""
    if headers.every(contract.ORIGINAL_METHOD) != ["GET"] or headers.every(contract.AUTHORIZATION):
        return False
    modes = set(headers.every(contract.SEC_FETCH_MODE))
    return modes <= {"navigate"} and bool(_PAGE.search(",".join(headers.every(contract.ACCEPT))))


def check(headers: Headers, method: AuthMethod) -> None:
    """Refuse what no script of this gateway's own origin asked for.

    Raises Navigation, and Forbidden with ORIGIN_MISMATCH. A browser sends a cookie by itself, but never a
    token: which site a request comes from counts with a cookie alone.
    """
    if is_person(headers) or headers.get(contract.SEC_FETCH_MODE) == "navigate":
        raise Navigation("an MCP server's address is not a page: open the gateway's own")
    if headers.get(contract.SEC_FETCH_DEST) not in {None, "empty"} or headers.get(contract.SERVICE_WORKER):
        raise _mismatch("only scripts may call MCP servers from a browser: no image, frame or worker does")
    if method is AuthMethod.SESSION_COOKIE and headers.get(contract.SEC_FETCH_SITE) not in _OWN_SITES:
        raise _mismatch("calls from pages of other sites are not accepted")


def _mismatch(message: str) -> Forbidden:
    return Forbidden(ErrorCode.ORIGIN_MISMATCH, message)
