"""What was handed out and still counts: codes, refresh tokens and browser sessions, in memory."""

import secrets
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from auth_server.demo.cognito.directory import User

CODE_LIFETIME = 300
"""Authorization codes live five minutes (Cognito developer guide, "Token endpoint")."""

SESSION_LIFETIME = 3600
"""The managed-login session cookie lives one hour (Cognito developer guide, "Managed login")."""

Value = TypeVar("Value")


class Vault(Generic[Value]):
    """Values under unguessable handles, each until its time."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[str, tuple[float, Value]] = {}

    def put(self, value: Value, *, expires_at: float, now: float) -> str:
        """Keep the value until `expires_at` and return its handle."""
        self._entries = {handle: entry for handle, entry in self._entries.items() if entry[0] > now}
        handle = secrets.token_urlsafe(32)
        self._entries[handle] = (expires_at, value)
        return handle

    def get(self, handle: str, *, now: float) -> Value | None:
        """Return the value, if it is there and still counts."""
        expires_at, value = self._entries.get(handle, (0.0, None))
        return value if now < expires_at else None

    def take(self, handle: str, *, now: float) -> Value | None:
        """Return the value as `get` does and forget it: the handle works once."""
        value = self.get(handle, now=now)
        self._entries.pop(handle, None)
        return value


@dataclass(frozen=True, slots=True)
class Authentication:
    """One sign-in of a user for one client: what all tokens that come from it have in common."""

    user: User
    client_id: str
    scopes: tuple[str, ...]
    auth_time: int
    origin_jti: str
    resource: str | None = None
    hosted: bool = True


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """What an authorization code stands for, and what it is bound to (RFC 6749, 4.1.3; RFC 7636, 4.4)."""

    authentication: Authentication
    redirect_uri: str
    code_challenge: str
    nonce: str | None


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """What a refresh token stands for."""

    authentication: Authentication
    expires_at: float


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser in which somebody signed in."""

    user: User
    auth_time: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books of one pool. `revoked` holds the origin_jti of every sign-in whose tokens were revoked."""

    codes: Vault[CodeGrant] = field(default_factory=Vault)
    refresh_tokens: Vault[RefreshGrant] = field(default_factory=Vault)
    sessions: Vault[BrowserSession] = field(default_factory=Vault)
    revoked: set[str] = field(default_factory=set)
