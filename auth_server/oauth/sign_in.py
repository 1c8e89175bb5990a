"""The rules of signing in with a browser: what is remembered until Cognito answers, and where one returns to.

Each sign-in under way has a cookie of its own, named after its `state`: tabs do not disturb each other, and a
callback counts in the browser that began it alone. The cookie is sealed, not just signed: whoever reads it
learns neither the PKCE verifier nor the nonce.

Single use has three parts: the callback takes the cookie away, Cognito takes each code once, and a code
answers to one verifier alone. So a callback that is played back, even with its cookie, brings nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlencode

from auth_server.contract import ASSETS, LOGIN, SESSION, SIGN_IN_COOKIE
from auth_server.sealed import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PURPOSE = "mcp-gateway-sign-in"
LIFETIME = 600  # seconds from the first step to the last
MAX_PENDING = 5  # sign-ins under way in one browser; each costs it a cookie of about 1 kB
MAX_TARGET = 512  # characters
SCOPE = "openid"  # brings the ID token, with all that the app client may read

_SECRET_BYTES = 32
_VISIBLE = re.compile(r"[!-~]+")
# After decoding: what browsers, proxies and frameworks take for the start of a host, for each other, or drop.
_AMBIGUOUS = re.compile(r"//|[\\@\x00-\x1f\x7f-\U0010ffff]|/\.{1,2}(?:[/?#]|$)")
_OWN = "|".join(re.escape(path.split("/")[1]) for path in (LOGIN, SESSION, ASSETS))
_OWN_PATHS = re.compile(rf"/(?:{_OWN})(?:[/?#]|$)", re.IGNORECASE)
_MAX_DECODING = 5


@dataclass(frozen=True, slots=True)
class Pending:
    """One sign-in under way, as its browser keeps it: made before, compared and proved after."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    target: str
    started: float

    @classmethod
    def begin(cls, randomness: bytes, target: str, *, now: float) -> Pending:
        """Start one from 96 random bytes."""
        parts = [randomness[at : at + _SECRET_BYTES] for at in range(0, 3 * _SECRET_BYTES, _SECRET_BYTES)]
        if len(parts[-1]) != _SECRET_BYTES:
            raise ValueError("a sign-in needs 96 random bytes")
        state, nonce, verifier = map(_base64url, parts)
        return cls(state, nonce, verifier, target, int(now))

    @property
    def challenge(self) -> str:
        """The verifier's S256 challenge (RFC 7636, section 4.2)."""
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    def address(self, endpoint: str, client_id: str, redirect_uri: str) -> str:
        """Return where the person signs in: the authorization endpoint and the request to it.

        RFC 6749, section 4.1.1; RFC 7636, section 4.3; OpenID Connect Core, section 3.1.2.1.
        """
        query = urlencode(
            {
                "response_type": "code",
                "client_id": client_id,
                "redirect_uri": redirect_uri,
                "scope": SCOPE,
                "state": self.state,
                "nonce": self.nonce,
                "code_challenge": self.challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    def sealed(self, keys: Sequence[str], *, now: float) -> str:
        """Return the cookie's value."""
        return seal(PURPOSE, json.dumps(asdict(self), separators=(",", ":")).encode(), keys, now=now)


def unsealed(cookie: str, keys: Sequence[str], *, now: float) -> Pending | None:
    """Return the sign-in that the cookie holds; None for what this gateway did not seal lately as one."""
    try:
        return Pending(**json.loads(unseal(PURPOSE, cookie, keys, max_age=LIFETIME, now=now)))
    except (ValueError, TypeError):  # the latter for other members, as another version may have them
        return None


def cookie_name(state: str, *, secure: bool) -> str:
    """Return the name of the cookie that belongs to this state.

    Over https with the prefix that keeps neighbouring hosts from planting one (RFC 6265bis, 4.1.3.2): else
    they could finish a sign-in of theirs in this browser.
    """
    digest = hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{'__Host-' if secure else ''}{SIGN_IN_COOKIE}_{digest}"


def find(
    state: str, cookies: Iterable[tuple[str, str]], keys: Sequence[str], *, secure: bool, now: float
) -> Pending | None:
    """Return the sign-in that this browser began with this state; None where it did not, or too long ago."""
    name = cookie_name(state, secure=secure)
    found = [value for found, value in cookies if found == name]
    pending = unsealed(found[0], keys, now=now) if len(found) == 1 else None
    if pending is None or not hmac.compare_digest(pending.state.encode(), state.encode("utf-8", "replace")):
        return None
    return pending


def superfluous(
    cookies: Iterable[tuple[str, str]], keys: Sequence[str], *, secure: bool, now: float
) -> list[str]:
    """Return the sign-in cookies to take away before another is set: the oldest, and the useless."""
    prefix = cookie_name("", secure=secure)[:-16]
    pending = {name: unsealed(value, keys, now=now) for name, value in cookies if name.startswith(prefix)}
    ages = {name: found.started if found else 0 for name, found in pending.items()}
    newest = sorted(ages, key=lambda name: ages[name], reverse=True)
    return [name for at, name in enumerate(newest) if at >= MAX_PENDING - 1 or not ages[name]]


def return_target(given: str, gateway_url: str) -> str:
    """Return the path to come back to: the one asked for, or `/` where that leads, or might lead, elsewhere.

    Good is a path on this gateway, or a URL of its origin, in visible ASCII. It is refused where some reader
    could find another host in it, as written or percent-decoded any number of times (`//`, backslash, `@`,
    controls), where it has dot segments, and where it would start or end a session again.
    """
    path = given
    if given == gateway_url or given.startswith((f"{gateway_url}/", f"{gateway_url}?")):
        path = given[len(gateway_url) :]
        path = path if path.startswith("/") else f"/{path}"
    if not path.startswith("/") or len(path) > MAX_TARGET or not _VISIBLE.fullmatch(path):
        return "/"
    return path if all(map(_is_clear, _readings(path))) else "/"


def _readings(path: str) -> list[str]:
    """Return the path as written, then decoded once, twice, … until it stays the same."""
    readings = [path]
    while (decoded := unquote(readings[-1], errors="replace")) != readings[-1]:
        readings.append(decoded)
        if len(readings) > _MAX_DECODING:
            return ["//"]  # nobody encodes so often without a purpose
    return readings


def _is_clear(reading: str) -> bool:
    return not _AMBIGUOUS.search(reading) and not _OWN_PATHS.match(reading)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
