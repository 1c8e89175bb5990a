"""The session cookie: who signed in, signed by this gateway. Never a token inside, and nothing secret."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.model import AuthMethod, Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

SALT = "mcp-gateway-session"
# Browsers drop larger cookies without a word (RFC 6265, section 6.1).
MAX_LENGTH = 4096 - len("__Host-mcp_gateway_session=")
MAX_AHEAD = 30  # seconds that another replica's clock may be ahead


@dataclass(frozen=True, slots=True)
class Session:
    """What a session cookie says: the user, as Cognito knew them at sign-in, and the session's own id."""

    username: str
    groups: tuple[str, ...]
    sid: str
    email: str = ""
    name: str = ""

    @classmethod
    def of(cls, user: Identity, *, name: str, sid: str) -> Session:
        """Return a new session of somebody whom Cognito has just named."""
        return cls(user.username, user.groups, sid, user.email, name)


def mint(session: Session, keys: Sequence[str], *, now: float) -> str:
    """Return the cookie's value, signed with the first key.

    Raises ValueError where there is no key, or more groups than fit in a cookie.
    """
    payload: dict[str, object] = {
        "username": session.username,
        "groups": list(session.groups),
        "sid": session.sid,
    }
    payload |= {name: value for name, value in (("email", session.email), ("name", session.name)) if value}

    class SignerAt(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(now)

    cookie = str(_serializer(keys, SignerAt).dumps(payload))
    if len(cookie) > MAX_LENGTH:
        raise ValueError(f"the session of a user with {len(session.groups)} groups does not fit in a cookie")
    return cookie


def verify(cookie: str, keys: Sequence[str], *, max_age: int, now: float) -> Identity:
    """Return who the cookie speaks for; any of the keys may have signed it.

    Raises Unauthenticated: SESSION_INVALID for what this gateway did not sign as a session (sign-in state and
    other signed values have salts of their own) or not for now, SESSION_EXPIRED for one older than `max_age`
    seconds. Raises ValueError where there is no key.
    """
    if len(cookie) > MAX_LENGTH or not cookie.isascii():
        raise _invalid("the session cookie is not one of this gateway's")
    serializer = _serializer(keys, TimestampSigner)
    try:
        # The library's own max_age reads its own clock and takes a replica's second ahead for a forgery.
        payload, signed_at = serializer.loads(cookie, return_timestamp=True)
    except (BadData, ValueError, OverflowError, OSError):  # the last three from a date beyond the calendar
        # Not the library's text: its exceptions carry the payload.
        raise _invalid("the session cookie is not one of this gateway's; sign in again") from None
    issued = signed_at.timestamp()
    if issued - now > MAX_AHEAD:
        raise _invalid("the session cookie is from the future; are all replicas' clocks right?")
    if now - issued > max_age:
        raise Unauthenticated(ErrorCode.SESSION_EXPIRED, "the session is over; sign in again")
    session = _session(payload)
    return Identity(
        method=AuthMethod.SESSION_COOKIE,
        expires_at=issued + max_age,
        username=session.username,
        email=session.email,
        groups=session.groups,
        session_id=session.sid,
        issued_at=issued,
    )


def _session(payload: object) -> Session:
    if not isinstance(payload, dict):
        raise _invalid("the session cookie holds no session; sign in again")
    groups = payload.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise _invalid("the session cookie's groups are not a list of names; sign in again")
    texts = {name: payload.get(name, "") for name in ("username", "sid", "email", "name")}
    if not all(isinstance(text, str) for text in texts.values()) or not texts["username"] or not texts["sid"]:
        raise _invalid("the session cookie names no user or no session; sign in again")
    return Session(groups=tuple(groups), **texts)


def _serializer(keys: Sequence[str], signer: type[TimestampSigner]) -> URLSafeTimedSerializer:
    if not keys or not all(keys):
        raise ValueError("a session cookie needs a key to sign it")
    options: dict[str, Any] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    # The library signs with the last key, the contract with the first.
    return URLSafeTimedSerializer(list(reversed(keys)), salt=SALT, signer=signer, signer_kwargs=options)


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(ErrorCode.SESSION_INVALID, message)
