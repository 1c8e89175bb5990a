"""Where the browser comes back to: a listener on this machine, for one redirect (RFC 8252, section 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs

from auth_server.cli.errors import CommandError

if TYPE_CHECKING:
    from types import TracebackType

PATH = "/callback"

_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_MAX_HEAD = 16 * 1024
_PATIENCE = 10.0  # seconds that a connection may take to say what it wants
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}

# No script, nothing of what was received, nothing to load.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"""
_SIGNED_IN = ("You are signed in", "You can close this window and go back to the terminal.")
_FAILED = ("Signing in did not work", "Go back to the terminal: it says why and what to do.")
_NOT_FOUND = ("Not found", "Nothing is here. This address is waiting for a sign-in to come back.")


@dataclass(frozen=True, slots=True)
class Redirect:
    """What came back. The browser waits for its page until `answer` says how it ended."""

    code: str
    error: str
    description: str
    _outcome: asyncio.Future[bool]
    _served: asyncio.Task[None]

    async def answer(self, *, signed_in: bool) -> None:
        """Show the person how it ended."""
        self._outcome.set_result(signed_in)
        await asyncio.wait([self._served])


class Loopback:
    """Listens on loopback alone, from entering to the first request of the path; all others are 404."""

    def __init__(self, state: str, port: int) -> None:
        self._state = state
        self._port = port
        self._hosts = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._redirect: asyncio.Future[Redirect] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        """Bind; raises CommandError where somebody else has the port."""
        for family, address in _ADDRESSES:
            try:
                server = await asyncio.start_server(
                    self._connected, address, self._port, family=family, limit=_MAX_HEAD
                )
            except OSError as error:
                if family == socket.AF_INET6 and error.errno != errno.EADDRINUSE:
                    continue  # a machine without IPv6; its browser will not try ::1 either
                self._close()
                raise CommandError(_cannot_listen(address, self._port, error)) from None
            self._servers.append(server)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing open."""
        self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def redirect(self, *, timeout: float) -> Redirect:  # noqa: ASYNC109 - said to the person as it is
        """Wait for the browser to come back; raises CommandError where it does not, or not from here."""
        try:
            async with asyncio.timeout(timeout):
                return await self._redirect
        except TimeoutError:
            raise CommandError(
                f"nobody came back from signing in within {timeout:g} s; run it again. Where Cognito's page "
                f"says redirect_mismatch, list {callback_url(self._port)} in the app client as callback URL"
            ) from None

    def _close(self) -> None:
        for server in self._servers:
            server.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(
                TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError
            ):
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._respond(head.decode("latin-1")))
                async with asyncio.timeout(_PATIENCE):
                    await writer.drain()
        finally:
            writer.close()

    async def _respond(self, head: str) -> bytes:
        request_line, *fields = head.split("\r\n")
        method, _, rest = request_line.partition(" ")
        path, _, query = rest.rpartition(" ")[0].partition("?")
        hosts = [
            value.strip() for name, _, value in (f.partition(":") for f in fields) if name.lower() == "host"
        ]
        # Another Host is another site's name for this machine (DNS rebinding).
        if path != PATH or len(hosts) != 1 or hosts[0].lower() not in self._hosts or self._redirect.done():
            return _page(404, *_NOT_FOUND)
        if method != "GET":
            return _page(405, *_NOT_FOUND)
        # From here on, the one request is used up, whatever it brings.
        self._close()
        given = _parameters(query)
        if given is None or not hmac.compare_digest(given.get("state", "").encode(), self._state.encode()):
            self._redirect.set_exception(
                CommandError(
                    "what came back does not belong to this sign-in (state); run auth-server login again"
                )
            )
            return _page(400, *_FAILED)
        served = asyncio.current_task()
        assert served is not None  # noqa: S101 - this runs in the task of its connection
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        code, error, description = (given.get(name, "") for name in ("code", "error", "error_description"))
        self._redirect.set_result(Redirect(code, error, description, outcome, served))
        return _page(200, *_SIGNED_IN) if await outcome else _page(400, *_FAILED)


def callback_url(port: int) -> str:
    """Return where the browser comes back to, as the app client must list it, to the letter."""
    return f"http://localhost:{port}{PATH}"


def _parameters(query: str) -> dict[str, str] | None:
    """Return the parameters, or None where one occurs twice or cannot be read."""
    try:
        found = parse_qs(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        return None
    return (
        {name: values[0] for name, values in found.items()}
        if all(len(v) == 1 for v in found.values())
        else None
    )


def _page(status: int, title: str, text: str) -> bytes:
    body = _PAGE.format(title=title, text=text).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "Content-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; base-uri 'none'; frame-ancestors 'none'\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"{'Allow: GET' + chr(13) + chr(10) if status == 405 else ''}"  # noqa: PLR2004
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use, and the browser has to come back to it; end what listens there (another "
            "auth-server login?), or use --port with one that the app client's callback URLs list"
        )
    return f"cannot listen on {address} port {port}: {error.strerror}"
