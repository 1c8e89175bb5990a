"""A person's session, lent to their agent: the file that `auth-server login` writes, and the auth plug-in."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auth_server import contract
from auth_server.client.errors import SessionCookieError
from auth_server.client.plug import Auth

if TYPE_CHECKING:
    from collections.abc import Generator

COOKIE_FILE = Path("~/.mcp/session_cookie")

_NAME = contract.SESSION_COOKIE
_NAMES = {_NAME, contract.HOST_SESSION_COOKIE}
_COOKIE = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")
_UNAUTHORIZED = 401


class SessionCookie(Auth):
    """Sends the session cookie of the person who ran `auth-server login` with each request.

    The file is read when this is made, which raises SessionCookieError where it cannot be used, and again
    after a 401: where somebody has signed in anew since, the request is sent again with the new cookie, once.
    """

    requires_request_body = True  # so that it can be sent again

    def __init__(self, path: Path | str = COOKIE_FILE) -> None:
        self.path = Path(path).expanduser()
        self._cookie = read_cookie(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send one request of a client, sync or asyncio."""
        sent = self._cookie
        response = yield _signed(request, sent)
        if response.status_code == _UNAUTHORIZED:
            # Signed out, or an unusable file by now: then the 401 is the better answer.
            with contextlib.suppress(SessionCookieError):
                self._cookie = read_cookie(self.path)
            if self._cookie != sent:
                yield _signed(request, self._cookie)


def read_cookie(path: Path, *, even_if_open: bool = False) -> str:
    """Return the saved cookie's value; raises SessionCookieError, also where others could read the file."""
    shown = str(path)
    try:
        # Not blocking: somebody may have put a named pipe there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            content = file.read(8192) if stat.S_ISREG(mode) else b""
    except FileNotFoundError:
        raise SessionCookieError(
            f"nobody is signed in: {shown} does not exist; run auth-server login"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise SessionCookieError(f"{shown} cannot be read: {reason}; check its permissions") from None
    if not stat.S_ISREG(mode):
        raise SessionCookieError(f"{shown} is no ordinary file; remove it and run auth-server login")
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not even_if_open:
        raise SessionCookieError(
            f"{shown} is open to other users (mode {stat.S_IMODE(mode):04o}) and not used; if nobody can "
            f"have read it: chmod 600 {shown}; else run auth-server logout and auth-server login"
        )
    value = content.decode("ascii", "replace").strip()
    if not _COOKIE.fullmatch(value):
        raise SessionCookieError(f"{shown} holds no session cookie; run auth-server login")
    return value


def save_cookie(path: Path, value: str) -> None:
    """Write the cookie where only its owner can read it, whole or not at all; raises SessionCookieError."""
    if not _COOKIE.fullmatch(value):
        raise SessionCookieError(
            "the gateway's answer holds no session cookie; is it this product's gateway?"
        )
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path == COOKIE_FILE.expanduser():
            folder.chmod(0o700)  # it is ours; another one may be shared on purpose
        descriptor, written = tempfile.mkstemp(prefix=".session_cookie-", dir=folder)  # 0600 from the start
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{value}\n")
                file.flush()
                os.fsync(descriptor)
            Path(written).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(written).unlink()
            raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise SessionCookieError(
            f"{path} cannot be written: {reason}; check the folder, or give another file with --cookie-file"
        ) from None


def remove_cookie(path: Path) -> None:
    """Remove the file, whatever it holds; raises SessionCookieError where it stays."""
    try:
        path.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise SessionCookieError(f"{path} cannot be removed: {reason}; remove it yourself") from None


def _signed(request: Any, cookie: str) -> Any:
    """Put the session cookie beside the client's other cookies; the gateway refuses two of its own."""
    pairs = [pair.strip() for pair in request.headers.get("Cookie", "").split(";")]
    others = [pair for pair in pairs if pair and pair.partition("=")[0].strip() not in _NAMES]
    request.headers["Cookie"] = "; ".join([*others, f"{_NAME}={cookie}"])
    return request
