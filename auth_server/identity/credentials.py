"""What a caller offers as proof: a bearer token, or this gateway's session cookie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_server.contract import (
    AUTHORIZATION,
    COOKIE,
    HOST_SESSION_COOKIE,
    SESSION_COOKIE,
    SIGN_IN_COOKIE,
)
from auth_server.errors import ErrorCode, InvalidRequest, Unauthenticated
from auth_server.model import BearerToken, SessionCookie

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_server.headers import Headers
    from auth_server.model import Credential

_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
_SESSIONS = frozenset({SESSION_COOKIE, HOST_SESSION_COOKIE})
_SIGN_INS = (f"{SIGN_IN_COOKIE}_", f"__Host-{SIGN_IN_COOKIE}_")


def credential(headers: Headers) -> Credential:
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
    found = [pair for pair in cookies(cookie_headers) if pair[0] in _SESSIONS]
    names, values = {name for name, _ in found}, {value for _, value in found}
    return list(values) if len(values) == 1 and len(names) == len(found) else [value for _, value in found]


def cookies(cookie_headers: Iterable[str]) -> list[tuple[str, str]]:
    """Return the names and values of all cookies in these Cookie headers (RFC 6265, section 5.4)."""
    pairs = (pair.partition("=") for header in cookie_headers for pair in header.split(";"))
    return [(name.strip(" \t"), value.strip(' \t"')) for name, _, value in pairs]


def without_ours(cookie_headers: Iterable[str]) -> str:
    """Return a Cookie header as it was sent, but for the cookies of this gateway."""
    kept = (pair for pair in "; ".join(cookie_headers).split(";") if not _is_ours(pair))
    return ";".join(kept).strip()


def _is_ours(pair: str) -> bool:
    name = pair.partition("=")[0].strip()
    return name in _SESSIONS or name.startswith(_SIGN_INS)
