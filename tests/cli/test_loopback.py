"""The listener that the browser comes back to, over raw sockets."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from auth_server.cli import loopback
from auth_server.cli.errors import CommandError
from auth_server.cli.loopback import Loopback, callback_url

pytestmark = pytest.mark.anyio
Knock = Callable[..., Coroutine[Any, Any, str]]
STATE = "the-state-of-this-sign-in"
GOOD = f"GET /callback?code=the-code&state={STATE} HTTP/1.1"


@pytest.fixture
def port() -> int:
    """Return a port that nobody listens on, on either loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def knock(port: int) -> Knock:
    """Return what sends a request and gives the whole answer."""

    async def send(
        request_line: str, *fields: str, host: str | None = None, address: str = "127.0.0.1"
    ) -> str:
        reader, writer = await asyncio.open_connection(address, port)
        hosts = [f"Host: {host or f'localhost:{port}'}"]
        try:
            writer.write("\r\n".join([request_line, *hosts, *fields, "", ""]).encode("latin-1"))
            return (await reader.read()).decode()
        finally:
            writer.close()

    return send


async def finished(
    waiting: Coroutine[Any, Any, loopback.Redirect], *, signed_in: bool = True
) -> loopback.Redirect:
    """Take the redirect and let the browser see how it ended."""
    redirect = await waiting
    await redirect.answer(signed_in=signed_in)
    return redirect


@pytest.mark.parametrize(
    ("signed_in", "status", "says"), [(True, 200, "signed in"), (False, 400, "not work")]
)
async def test_the_browser_comes_back(
    port: int, knock: Knock, signed_in: bool, status: int, says: str
) -> None:
    """The code is taken, and the page waits to say how it ended: plain, unscripted, without what came."""
    async with Loopback(STATE, port) as listening:
        redirect, page = await asyncio.gather(
            finished(listening.redirect(timeout=5), signed_in=signed_in), knock(GOOD)
        )
    assert (redirect.code, redirect.error) == ("the-code", "")
    assert page.startswith(f"HTTP/1.1 {status} ")
    assert says in page
    assert "default-src 'none'" in page
    assert "Cache-Control: no-store" in page
    assert not any(word in page for word in ("the-code", STATE, "<script", "http:"))


async def test_ipv6_loopback(port: int, knock: Knock) -> None:
    """Where localhost is ::1, the browser comes back there."""
    async with Loopback(STATE, port) as listening:
        _, page = await asyncio.gather(finished(listening.redirect(timeout=5)), knock(GOOD, address="::1"))
    assert "200 OK" in page


async def test_other_addresses_do_not_answer(port: int) -> None:
    """Only loopback is bound: the machine's other addresses refuse, as 127.0.0.2 does."""
    async with Loopback(STATE, port):
        for address in ("127.0.0.2", "127.1.2.3"):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(address, port)


@pytest.mark.parametrize(
    "request_line",
    [
        f"GET /?code=x&state={STATE} HTTP/1.1",
        f"GET /callback/?code=x&state={STATE} HTTP/1.1",
        f"GET /callback/../callback?code=x&state={STATE} HTTP/1.1",
        f"GET /%63allback?code=x&state={STATE} HTTP/1.1",
        f"GET //callback?code=x&state={STATE} HTTP/1.1",
        f"GET /CALLBACK?code=x&state={STATE} HTTP/1.1",
        f"GET http://localhost/callback?code=x&state={STATE} HTTP/1.1",
        "GET /favicon.ico HTTP/1.1",
        "nonsense",
        "",
    ],
)
async def test_other_paths_are_not_found(port: int, knock: Knock, request_line: str) -> None:
    """Everything but the exact path is 404, and uses nothing up."""
    async with Loopback(STATE, port) as listening:
        assert (await knock(request_line)).startswith("HTTP/1.1 404 ")
        redirect, _ = await asyncio.gather(finished(listening.redirect(timeout=5)), knock(GOOD))
    assert redirect.code == "the-code"


async def test_other_methods_and_hosts(port: int, knock: Knock) -> None:
    """A POST is 405; a foreign Host, none or two are 404; none of them uses the listener up."""
    async with Loopback(STATE, port) as listening:
        answer = await knock(GOOD.replace("GET", "POST"))
        assert answer.startswith("HTTP/1.1 405 ")
        assert "Allow: GET" in answer
        assert (await knock(GOOD, host=f"evil.example:{port}")).startswith("HTTP/1.1 404 ")
        assert (await knock(GOOD, host="localhost")).startswith("HTTP/1.1 404 ")
        assert (await knock(GOOD, f"Host: localhost:{port}")).startswith("HTTP/1.1 404 ")
        await asyncio.gather(finished(listening.redirect(timeout=5)), knock(GOOD, host=f"127.0.0.1:{port}"))


@pytest.mark.parametrize(
    "query",
    [
        "code=x&state=another",
        "code=x",
        "code=x&state=",
        "",
        f"code=x&state={STATE}&state={STATE}",
        f"code=x&code=y&state={STATE}",
        f"code=x&state={STATE}%00",
        "code=x&state=%C3%A9",
        f"code=%FF&state={STATE}",
        f"code&state={STATE}",
    ],
)
async def test_a_foreign_redirect(port: int, knock: Knock, query: str) -> None:
    """What does not belong to this sign-in, or has no single reading, ends it without a code."""
    async with Loopback(STATE, port) as listening:
        waiting = asyncio.create_task(listening.redirect(timeout=5))
        assert (await knock(f"GET /callback?{query} HTTP/1.1")).startswith("HTTP/1.1 400 ")
        with pytest.raises(CommandError, match="does not belong to this sign-in"):
            await waiting


async def test_one_request_then_nobody_listens(port: int, knock: Knock) -> None:
    """After the redirect the port is closed, while the browser still waits; an open connection gets 404."""
    async with Loopback(STATE, port) as listening:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        page = asyncio.create_task(knock(GOOD))
        redirect = await listening.redirect(timeout=5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{GOOD}\r\nHost: localhost:{port}\r\n\r\n".encode())
        assert b"404 Not Found" in await reader.read()
        writer.close()
        await redirect.answer(signed_in=True)
        assert "200 OK" in await page


async def test_an_error_comes_back(port: int, knock: Knock) -> None:
    """Cognito's error and its words are handed on."""
    line = f"GET /callback?error=access_denied&error_description=the+person+cancelled&state={STATE} HTTP/1.1"
    async with Loopback(STATE, port) as listening:
        redirect, _ = await asyncio.gather(
            finished(listening.redirect(timeout=5), signed_in=False), knock(line)
        )
    assert (redirect.code, redirect.error, redirect.description) == (
        "",
        "access_denied",
        "the person cancelled",
    )


async def test_nobody_comes_back(port: int) -> None:
    """The wait has an end, which says what Cognito's own page may have said."""
    async with Loopback(STATE, port) as listening:
        with pytest.raises(CommandError, match=r"within 0\.05 s.*redirect_mismatch") as caught:
            await listening.redirect(timeout=0.05)
    assert callback_url(port) in str(caught.value)


async def test_connections_that_say_nothing(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent, endless and broken connections are dropped; none of them stands in the way of the browser."""
    monkeypatch.setattr(loopback, "_PATIENCE", 0.1)
    async with Loopback(STATE, port) as listening:
        silent, w1 = await asyncio.open_connection("127.0.0.1", port)
        endless, w2 = await asyncio.open_connection("127.0.0.1", port)
        _, w3 = await asyncio.open_connection("127.0.0.1", port)
        w2.write(b"x" * 100_000)
        w3.write(b"GET /callb")
        w3.close()
        waiting = asyncio.create_task(finished(listening.redirect(timeout=5)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{GOOD}\r\nHost: localhost:{port}\r\n\r\n".encode())
        assert b"200 OK" in await reader.read()
        assert (await waiting).code == "the-code"
        assert await silent.read() == b""
        with contextlib.suppress(ConnectionResetError):
            assert await endless.read() == b""
        for each in (w1, w2, writer):
            each.close()


@pytest.mark.parametrize(("family", "address"), loopback._ADDRESSES)
async def test_a_port_in_use(port: int, family: socket.AddressFamily, address: str) -> None:
    """Whoever has the port on either address would get the code: that is an error with its remedy."""
    with (
        socket.create_server((address, port), family=family),
        pytest.raises(CommandError, match=rf"port {port} is in use.*--port"),
    ):
        await Loopback(STATE, port).__aenter__()
    async with Loopback(STATE, port):
        pass  # what was bound before the error was let go


async def test_a_port_that_may_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reason is named with its address."""

    async def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "start_server", refuse)
    with pytest.raises(CommandError, match=r"cannot listen on 127\.0\.0\.1 port 80: Permission denied"):
        await Loopback(STATE, 80).__aenter__()


async def test_a_machine_without_ipv6(port: int, knock: Knock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ::1, the other loopback address is enough."""
    start = asyncio.start_server

    async def without(connected: Any, address: str, *rest: Any, **options: Any) -> asyncio.Server:
        if address == "::1":
            raise OSError(99, "Cannot assign requested address")
        return await start(connected, address, *rest, **options)

    monkeypatch.setattr(asyncio, "start_server", without)
    async with Loopback(STATE, port) as listening:
        await asyncio.gather(finished(listening.redirect(timeout=5)), knock(GOOD))
