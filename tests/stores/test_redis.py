"""What is a server's own: its end, its silence, its password, its clock."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from support.redis_server import serving
from support.waiting import until

from auth_server.errors import ConfigurationError
from auth_server.stores import StoreError, open_store

if TYPE_CHECKING:
    from support.redis_server import RedisServer


from support.store_place import new_names, session

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_killed(tmp_path: Path) -> None:
    """While it is away everything fails in one line; when it is back, what it answered to is there."""
    with serving(tmp_path / "data") as server:
        store = open_store(server.url)
        await store.add([session("a")])
        names, position = await new_names(store, None)
        server.kill()
        asked = (store.add([session("b")]), store.read(position), store.prune(0), store.get("x"))
        for result in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(result, StoreError)
            assert "\n" not in str(result)
        server.start()
        assert (await new_names(store, None))[0] == names == ["a"]
        await store.aclose()


async def test_a_server_that_is_silent(redis_server: RedisServer) -> None:
    """One that accepts and says nothing holds nobody up for long."""
    assert redis_server.process is not None
    store = open_store(redis_server.url)
    await store.read(None)
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(StoreError):
                await store.add([session("x")])
    finally:
        redis_server.process.send_signal(signal.SIGCONT)
    until(redis_server.answers, "the server answers again")
    await store.aclose()


async def test_a_wrong_password_is_not_repeated(redis_server: RedisServer) -> None:
    """Nothing that this server, or the library, says of it holds the password."""
    store = open_store(redis_server.url.replace("//", "//:hush%2Dhush@"))
    with pytest.raises(StoreError) as caught:
        await store.read(None)
    assert "hush" not in str(caught.value)
    assert "hush" not in store.place
    await store.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:port/0",
        "redis://:pass/word@host/x",
        "redis://h/0?socket_timeout=hush",
        "redis://h/0?nonsense=hush",
    ],
)
def test_an_address_that_cannot_be_read(url: str) -> None:
    """It is a mistake in the settings; the line quotes nothing of it."""
    with pytest.raises(ConfigurationError, match="REVOCATION_URL: cannot be read as redis://") as caught:
        open_store(url)
    assert "hush" not in str(caught.value)
    assert "pass/word" not in str(caught.value)


async def test_what_others_wrote(redis_server: RedisServer) -> None:
    """Entries that are no revocations end nobody, and stop nobody from reading the others."""
    store = open_store(redis_server.url)
    with Redis.from_url(redis_server.url) as direct:
        direct.flushall()
        await store.add([session("a")])
        for fields in (
            {"kind": "session"},
            {"kind": "everybody", "value": "x", "revoked_at": "1", "expires_at": "9"},
            {"kind": "session", "value": "", "revoked_at": "1", "expires_at": "9"},
            {"kind": "session", "value": "x", "revoked_at": "nan", "expires_at": "9"},
            {"kind": "session", "value": b"\xff", "revoked_at": "1", "expires_at": "9"},
        ):
            direct.xadd("mcp-auth-server:revocations", fields)
    await store.add([session("b")])
    await store.prune(5)
    assert (await new_names(store, None))[0] == ["a", "b"]
    await store.aclose()


async def test_a_clock_that_goes_back(redis_server: RedisServer) -> None:
    """After a switch to a server whose clock is behind, a follower still sees what is new."""
    store = open_store(redis_server.url)
    await store.add([session("a")])
    ahead = f"{int(time.time() * 1000) + 5000}-0"
    assert "ahead" not in (await new_names(store, ahead))[0]
    await store.add([session("b")])
    names, _ = await new_names(store, ahead)
    assert "b" in names
    await store.aclose()
