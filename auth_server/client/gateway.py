"""A person's session at the gateway, as its command sees it: POST, GET and DELETE /session."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from auth_server import contract, strict_json
from auth_server.oauth.exchange import ExchangeError, exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

_OK = range(200, 300)
_UNAUTHORIZED = 401
_LONGEST = 300  # characters of what the gateway says that are repeated


class GatewayError(Exception):
    """The gateway said no, or nothing that counts; `code` is its error_code, empty where it gave none."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class SessionOverError(GatewayError):
    """The gateway does not know this session, or not any more."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and until when; `cookie` where the gateway has just made it."""

    username: str
    groups: tuple[str, ...]
    expires_at: datetime
    cookie: str = field(default="", repr=False)


async def open_session(gateway: str, id_token: str) -> Session:
    """Exchange an ID token for a session; the gateway verifies it. Raises GatewayError."""
    url = f"{gateway}/session"
    answer = await _ask("POST", url, json={"id_token": id_token})
    cookie = answer.get("cookie")
    value = cookie.get("value") if isinstance(cookie, dict) else None
    if not isinstance(value, str):
        raise GatewayError(f"{url} answered without a cookie; is it this product's gateway?")
    return _session(url, answer, value)


async def show_session(gateway: str, cookie: str) -> Session:
    """Return who the cookie speaks for, in the gateway's own eyes; raises GatewayError."""
    url = f"{gateway}/session"
    return _session(url, await _ask("GET", url, headers=_with(cookie)))


async def end_session(gateway: str, cookie: str) -> None:
    """End the session for good; raises GatewayError."""
    await _ask("DELETE", f"{gateway}/session", headers=_with(cookie))


def _with(cookie: str) -> dict[str, str]:
    return {"Cookie": f"{contract.SESSION_COOKIE}={cookie}"}


async def _ask(method: str, url: str, **request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer = await exchange(method, url, json=request.get("json"), headers=request.get("headers"))
    except ExchangeError as error:
        raise GatewayError(str(error)) from None
    try:
        body = strict_json.parse_object(answer.body) if answer.body else {}
    except ValueError:
        body = {}
    if answer.status in _OK:
        return body
    found = body.get("error")
    said: dict[str, Any] = found if isinstance(found, dict) else {}
    details = said.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    message = said.get("message")
    kind = SessionOverError if answer.status == _UNAUTHORIZED else GatewayError
    if not isinstance(code, str) or not isinstance(message, str):
        raise kind(f"the answer of {url} has status {answer.status}; is it this product's gateway?")
    raise kind(f"the gateway refused with {code[:_LONGEST]}: {message[:_LONGEST]}", code=code[:_LONGEST])


def _session(url: str, answer: Mapping[str, Any], cookie: str = "") -> Session:
    username, groups = answer.get("username"), answer.get("groups", [])
    expires_at = _moment(answer.get("expires_at"))
    if (
        not isinstance(username, str)
        or expires_at is None
        or not isinstance(groups, list)
        or not all(isinstance(group, str) for group in groups)
    ):
        raise GatewayError(f"the answer of {url} is no session; is it this product's gateway?")
    return Session(username, tuple(groups), expires_at, cookie)


def _moment(value: object) -> datetime | None:
    """Return the time that the gateway wrote, in seconds since 1970 or as RFC 3339."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
