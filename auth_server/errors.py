"""Every way a question can be refused, and every way a configuration can be wrong.

    Refusal                 an expected "no", with the code that the client is told
    ├── Unauthenticated     no, bad or expired credential
    ├── Forbidden           known, but not permitted
    │   └── Navigation      … to open an MCP server's address as a page
    ├── InvalidRequest      the question itself has no single meaning
    │   ├── HeaderMismatch  a header contradicts the message
    │   ├── InvalidParams   the params do not name what their method needs
    │   ├── Misdirected     the Host is not this gateway's
    │   ├── NoSuchMethod    the message's own version of MCP has no such method
    │   ├── NotHere         nothing is at this path
    │   ├── TooLarge        more than this gateway reads
    │   └── WrongMethod     what is at this path takes other methods
    ├── Unavailable         cannot be decided now
    └── UpstreamUnavailable allowed, but the MCP server does not answer
        └── UpstreamLate    … in time
    ConfigurationError      settings or scopes.yml; carries every mistake at once

Which HTTP status each becomes is known to `responses` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """The `error_code` values of the contract."""

    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_MALFORMED = "TOKEN_MALFORMED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_NOT_YET_VALID = "TOKEN_NOT_YET_VALID"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    INVALID_ISSUER = "INVALID_ISSUER"
    INVALID_AUDIENCE = "INVALID_AUDIENCE"
    INVALID_TOKEN_USE = "INVALID_TOKEN_USE"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    SESSION_INVALID = "SESSION_INVALID"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    REVOKED = "REVOKED"
    ACCESS_DENIED = "ACCESS_DENIED"
    SERVER_UNKNOWN = "SERVER_UNKNOWN"
    PATH_UNKNOWN = "PATH_UNKNOWN"
    MCP_SESSION_UNKNOWN = "MCP_SESSION_UNKNOWN"
    ORIGIN_MISMATCH = "ORIGIN_MISMATCH"
    REQUEST_INVALID = "REQUEST_INVALID"
    HEADER_MISMATCH = "HEADER_MISMATCH"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"
    AUTH_UNAVAILABLE = "AUTH_UNAVAILABLE"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"


class Refusal(Exception):  # noqa: N818 - a refusal is an outcome, not a fault
    """The answer is no; `code` is for programs, `message` for people. Neither holds a secret."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Unauthenticated(Refusal):
    """The credential is absent, wrong or over."""


class Forbidden(Refusal):
    """The caller is known and may not do this.

    `scope` is what a new token would need, where a new token could help (RFC 6750, section 3.1).
    """

    def __init__(self, code: ErrorCode, message: str, *, scope: str = "") -> None:
        super().__init__(code, message)
        self.scope = scope


class Navigation(Forbidden):
    """A browser opens an MCP server's address, where no page is."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.ORIGIN_MISMATCH, message)


class InvalidRequest(Refusal):
    """The question could be read in two ways, or in none."""

    def __init__(self, message: str, *, code: ErrorCode = ErrorCode.REQUEST_INVALID) -> None:
        super().__init__(code, message)


class HeaderMismatch(InvalidRequest):
    """A header says something else than the message (MCP 2026-07-28, SEP-2243)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=ErrorCode.HEADER_MISMATCH)


class InvalidParams(InvalidRequest):
    """The params do not name what their method needs (JSON-RPC 2.0, section 5.1)."""


class NoSuchMethod(InvalidRequest):
    """The version of MCP that the message is in has no such method."""


class Misdirected(InvalidRequest):
    """The Host is not one that this gateway answers for (RFC 9110, section 15.5.20)."""


class NotHere(InvalidRequest):
    """Nothing is at this path."""


class TooLarge(InvalidRequest):
    """The body is larger than what is read here."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=ErrorCode.BODY_TOO_LARGE)


class WrongMethod(InvalidRequest):
    """What is at this path takes the methods of `allowed` instead."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Unavailable(Refusal):
    """No decision is possible now; asking again after `retry_after` seconds may help."""

    def __init__(self, code: ErrorCode, message: str, *, retry_after: int = 1) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class UpstreamUnavailable(Refusal):
    """The MCP server behind the gateway does not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.UPSTREAM_UNAVAILABLE, message)


class UpstreamLate(UpstreamUnavailable):
    """The MCP server behind the gateway does not answer in time."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration: where (a setting's name or file:line), what, and the remedy."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ConfigurationError(Exception):
    """Settings or scopes.yml cannot be used; `mistakes` holds everything that was found."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)
