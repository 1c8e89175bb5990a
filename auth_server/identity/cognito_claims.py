"""The claims of a Cognito token whose signature was verified → who is asking (RFC 7519; RFC 8725).

The one place where a claim is judged. Time is an argument; nothing is read from outside.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auth_server import strict_json
from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.model import AuthMethod, Identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from auth_server.model import Pool

ACCESS = "access"
ID = "id"

# Beyond 2**53 a number has no one reading in JSON (RFC 8259, section 6).
_MAX_TIME = 2**53
_TIMES = ("exp", "nbf", "iat", "auth_time")
_STRINGS = ("iss", "sub", "scope", "client_id", "jti", "token_use", "username", "cognito:username", "email")
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Rules:
    """What a token must be, beyond being from the pool whose key signed it.

    `clients` are the app clients whose tokens count, None for every client of the pool; empty means none.
    `audiences` are the URLs of this gateway that an access token may be bound to (RFC 8707): one that is
    bound must name one of them or a path below it, so that empty refuses every bound token. One that is bound
    to nothing is judged by its client alone.
    `leeway` and `max_auth_age` are in seconds; None for no limit since sign-in.
    """

    clients: frozenset[str] | None
    token_uses: frozenset[str] = frozenset({ACCESS, ID})
    audiences: frozenset[str] = frozenset()
    leeway: int = 30
    max_auth_age: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A user, as verified, and the name they go by, where the token says it."""

    identity: Identity
    name: str = ""


def verify(payload: bytes, pool: Pool, rules: Rules, *, now: float) -> Identity:
    """Return who the token speaks for.

    `payload` is what a key of `pool` signed. Judged in this order: types, times, issuer, token_use, client
    and audience, time of sign-in. Raises Unauthenticated; each failure has a code and says what is expected.
    """
    claims = _claims(payload)
    _check_times(claims, rules.leeway, now)
    _expect("iss", claims.get("iss"), pool.issuers, ErrorCode.INVALID_ISSUER)
    token_use: str | None = claims.get("token_use")
    _expect("token_use", token_use, sorted(rules.token_uses & {ACCESS, ID}), ErrorCode.INVALID_TOKEN_USE)
    client = _client(claims, token_use, rules)
    expires_at = claims["exp"]
    if rules.max_auth_age is not None:
        _check_sign_in(claims, rules.max_auth_age, rules.leeway, now)
        expires_at = min(expires_at, claims["auth_time"] + rules.max_auth_age)
    return _identity(claims, token_use, client, expires_at)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What an ID token must answer: the sign-in that asked for it, and the access token it came with."""

    nonce: str = field(repr=False)
    access_token: str = field(default="", repr=False)


def verify_sign_in(payload: bytes, pool: Pool, rules: Rules, asked: SignIn, *, now: float) -> Person:
    """Return who has signed in (OpenID Connect Core, section 3.1.3.7).

    `payload` is what a key of `pool` signed; `rules` are those for ID tokens of the app client that asked.
    Beyond what `verify` judges: it has the nonce of this very sign-in, and it belongs to the access token if
    it names one (at_hash, section 3.1.3.8). Raises Unauthenticated.
    """
    identity = verify(payload, pool, rules, now=now)
    claims = _claims(payload)
    nonce, at_hash = claims.get("nonce", ""), claims.get("at_hash", "")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), asked.nonce.encode()):
        raise Unauthenticated(
            ErrorCode.SESSION_INVALID, "the ID token answers another sign-in: its nonce is not the one sent"
        )
    if at_hash != "" and at_hash != _half_hash(asked.access_token):
        raise Unauthenticated(
            ErrorCode.SESSION_INVALID, "the ID token came with another access token than the one it names"
        )
    return person(payload, identity)


def person(payload: bytes, identity: Identity) -> Person:
    """Return the person that a verified user token speaks for; raises Unauthenticated where there is none."""
    if not identity.username:
        raise Unauthenticated(
            ErrorCode.INVALID_TOKEN_USE,
            "the token speaks for an app client and no user; a session has a user",
        )
    name = _claims(payload).get("name", "")
    return Person(identity, name if isinstance(name, str) else "")


def check_resource(identity: Identity, gateway_url: str, server: str) -> None:
    """Hold a token that is bound to one MCP server (RFC 8707) to that server.

    Raises Unauthenticated unless it is bound to nothing, to the gateway itself, or to this server's URL or a
    path below it.
    """
    own = f"{gateway_url}/{server}"
    if identity.resources and not any(
        resource.rstrip("/") == gateway_url or resource == own or resource.startswith(f"{own}/")
        for resource in identity.resources
    ):
        raise Unauthenticated(
            ErrorCode.INVALID_AUDIENCE,
            f"bound to the resource {shown(', '.join(identity.resources))}, which is not {own}",
        )


def unverified_issuer(payload: bytes) -> str | None:
    """Return what an unverified token says its issuer is, None where it says nothing readable.

    Good for one thing: to choose among trusted key sets. `verify` judges the claim.
    """
    try:
        issuer = strict_json.parse_object(payload).get("iss")
    except ValueError:
        return None
    return issuer if isinstance(issuer, str) else None


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = strict_json.parse_object(payload)
    except ValueError:
        raise _malformed("the token's payload is not a JSON object with unique names") from None
    for name in _TIMES:
        value = claims.get(name, 0)
        if type(value) is not int or not 0 <= value <= _MAX_TIME:
            raise _malformed(f"the claim {name} is not a whole number of seconds")
    for name in _STRINGS:
        if not isinstance(claims.get(name, ""), str):
            raise _malformed(f"the claim {name} is not a string")
    if not _is_strings(claims.get("cognito:groups", [])):
        raise _malformed("the claim cognito:groups is not an array of strings")
    audience = claims.get("aud", "")
    if not isinstance(audience, str) and not _is_strings(audience):
        raise _malformed("the claim aud is neither a string nor an array of strings")
    return claims


def _check_times(claims: dict[str, Any], leeway: int, now: float) -> None:
    """RFC 7519, sections 4.1.4 to 4.1.6; a token without an end is none of Cognito's."""
    if "exp" not in claims:
        raise _malformed("the claim exp is missing: the token would never end")
    if now >= claims["exp"] + leeway:
        ago = int(now - claims["exp"])
        raise Unauthenticated(ErrorCode.TOKEN_EXPIRED, f"the token expired {ago} s ago; ask for a new one")
    for name in ("nbf", "iat"):
        ahead = claims.get(name, 0) - now
        if ahead > leeway:
            raise Unauthenticated(
                ErrorCode.TOKEN_NOT_YET_VALID,
                f"the token's {name} is {int(ahead)} s ahead of this machine's clock; are both clocks right?",
            )


def _client(claims: dict[str, Any], token_use: str | None, rules: Rules) -> str:
    """Return the app client that the token was issued for: client_id, or aud of an ID token."""
    name = "client_id" if token_use == ACCESS else "aud"
    client = claims.get(name)
    if not isinstance(client, str) or not client:
        raise Unauthenticated(
            ErrorCode.INVALID_AUDIENCE, f"the {token_use} token has no {name}, its app client"
        )
    if rules.clients is not None and client not in rules.clients:
        raise Unauthenticated(
            ErrorCode.INVALID_AUDIENCE,
            f"issued for app client {shown(client)}, which is not in COGNITO_ALLOWED_CLIENT_IDS",
        )
    if token_use == ACCESS and "aud" in claims:
        bound = _bound(claims)
        if not any(_is_ours(resource, rules.audiences) for resource in bound):
            raise Unauthenticated(
                ErrorCode.INVALID_AUDIENCE,
                f"bound to the resource {shown(', '.join(bound))}, which is not this gateway (GATEWAY_URL)",
            )
    return client


def _check_sign_in(claims: dict[str, Any], max_age: int, leeway: int, now: float) -> None:
    """OpenID Connect Core, section 3.1.3.7, item 13."""
    if "auth_time" not in claims:
        raise Unauthenticated(ErrorCode.TOKEN_EXPIRED, "MAX_AUTH_AGE is set and the token has no auth_time")
    age = now - claims["auth_time"]
    if age < -leeway:
        raise Unauthenticated(ErrorCode.TOKEN_NOT_YET_VALID, "the token's auth_time is in the future")
    if age > max_age + leeway:
        raise Unauthenticated(
            ErrorCode.TOKEN_EXPIRED,
            f"signed in {int(age)} s ago, more than MAX_AUTH_AGE allows ({max_age} s); sign in again",
        )


def _identity(claims: dict[str, Any], token_use: str | None, client: str, expires_at: int) -> Identity:
    """Read the user, unless there is none: an agent's own token has its client as sub, and no username."""
    is_access = token_use == ACCESS
    username = claims.get("username" if is_access else "cognito:username", "")
    is_user = username != "" and not (is_access and claims.get("sub") == client)
    return Identity(
        method=AuthMethod.JWT,
        expires_at=expires_at,
        username=username if is_user else "",
        email=claims.get("email", "") if is_user and not is_access else "",
        client_id=client,
        # Not str.split(): other white space is part of a name (RFC 6749, section 3.3).
        scopes=tuple(filter(None, claims.get("scope", "").split(" "))) if is_access else (),
        groups=tuple(claims.get("cognito:groups", ())) if is_user else (),
        session_id=claims.get("jti", ""),
        issued_at=claims.get("iat", 0),
        resources=_bound(claims) if is_access else (),
    )


def _expect(name: str, actual: str | None, expected: Collection[str], code: ErrorCode) -> None:
    """Compare one claim; the message says what came and what would have been accepted."""
    if actual not in expected:
        came = "missing" if actual is None else shown(actual)
        raise Unauthenticated(code, f"{name} is {came}; accepted: {', '.join(expected) or 'none'}")


def _half_hash(access_token: str) -> str:
    left = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(left).rstrip(b"=").decode()


def _bound(claims: dict[str, Any]) -> tuple[str, ...]:
    audience = claims.get("aud", ())
    return (audience,) if isinstance(audience, str) else tuple(audience)


def _is_ours(resource: str, audiences: Iterable[str]) -> bool:
    return any(resource == own or resource.startswith(own.rstrip("/") + "/") for own in audiences)


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def shown(value: str) -> str:
    """Return a claim as it may stand in a message: printable and of bounded length."""
    text = "".join(c if c.isprintable() else "?" for c in value[:_SHOWN])
    return f"“{text}{'…' if len(value) > _SHOWN else ''}”"


def _malformed(message: str) -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_MALFORMED, message)
