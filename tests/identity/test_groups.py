"""SESSION_REFRESH: a session has the groups that Cognito says its user has, in every worker, and ends with them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from support.redis_server import serving
from support.sidecar import SECRET_KEY, running
from support.signin import CLIENT, GATEWAY, POOL, Browser, Stage, signing_in

from auth_server.demo.cognito.directory import Directory
from auth_server.identity import groups, renewal, session_cookie
from auth_server.oauth.provider import Provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from support.redis_server import RedisServer
    from support.sidecar import Sidecar

    from auth_server.oauth.provider import UserTokens

pytestmark = pytest.mark.anyio

EVERY = 2  # SESSION_REFRESH; cookies are dated in whole seconds, so one would sometimes be over at once


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def staged(folder: Path, **changes: str) -> AsyncIterator[tuple[Stage, Sidecar]]:
    """Run Cognito and two sidecars that share a store; sign-in happens at the first."""
    settings = {"SESSION_REFRESH": str(EVERY), "REVOCATION_URL": f"sqlite://{folder}/store.sqlite"} | changes
    (folder / "second").mkdir()
    async with signing_in(folder, **settings) as stage:
        async with running(folder / "second", **stage.cognito.settings(**settings)) as second:
            yield stage, second


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as (first, second):
        first.second = second  # type: ignore[attr-defined]
        yield first


async def says(sidecar: Sidecar, cookie: str) -> str:
    """Return what a sidecar says of a session: its groups, or the error's code."""
    host = urlsplit(GATEWAY).netloc
    response = await sidecar.ask(cookie=f"mcp_gateway_session={cookie}", server="notes", host=host)
    return response.headers.get("x-groups") or str(response.headers["x-auth-error"])


async def both(stage: Stage, cookie: str) -> set[str]:
    """Return what the two sidecars say."""
    second: Sidecar = stage.second  # type: ignore[attr-defined]
    return {await says(stage.sidecar, cookie), await says(second, cookie)}


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)  # between two looks at the condition


async def until_both(stage: Stage, cookie: str, said: str) -> None:
    """Wait until both say this, and nothing else."""
    await until(lambda: _are(stage, cookie, {said}))


async def _are(stage: Stage, cookie: str, said: set[str]) -> bool:
    return await both(stage, cookie) == said


async def signed_in(stage: Stage) -> str:
    browser: Browser = stage.browser()
    await browser.sign_in()
    assert await both(stage, browser.session) == {"readers"}
    return browser.session


def refreshes(stage: Stage) -> list[dict[str, list[str]]]:
    """Return the questions with a refresh token, as Cognito got them."""
    return [asked for asked in stage.cognito.requests if asked.get("grant_type") == ["refresh_token"]]


async def test_a_group_that_was_taken_away(stage: Stage) -> None:
    """A person who left a group has it no longer, in either worker; one who joined another has that."""
    cookie = await signed_in(stage)
    stage.cognito.change("uma", groups=("writers", "readers"))
    await until_both(stage, cookie, "writers,readers")
    stage.cognito.change("uma", groups=("writers",))
    await until_both(stage, cookie, "ACCESS_DENIED")
    stage.cognito.change("uma", groups=("readers",))
    await until_both(stage, cookie, "readers")


async def test_an_idle_session_waits_for_the_check(stage: Stage) -> None:
    """Whoever comes back after a while calls by no group that was taken away meanwhile, not even once."""
    cookie = await signed_in(stage)

    async def twice() -> bool:
        assert await both(stage, cookie) == {"readers"}
        return len(refreshes(stage)) >= 2

    await until(twice)  # both have learned the groups from the store
    stage.cognito.change("uma", groups=())
    began = time.time()
    await until(lambda: _passed(began + EVERY + 1.6))
    assert await both(stage, cookie) == {"ACCESS_DENIED"}


async def _passed(moment: float) -> bool:
    return time.time() >= moment


async def test_rotation(stage: Stage) -> None:
    """Each refresh token is used once, by one worker, though both have the session in use; the newest is kept."""
    cookie = await signed_in(stage)

    async def thrice() -> bool:
        assert await both(stage, cookie) == {"readers"}
        return len(refreshes(stage)) >= 3

    await until(thrice)
    used = [asked["refresh_token"][0] for asked in refreshes(stage)]
    assert len(set(used)) == len(used)


async def test_without_rotation(stage: Stage) -> None:
    """Where Cognito keeps the token, so does the gateway."""
    directory = stage.cognito.service.directory
    (pool,) = directory.pools
    clients = tuple(replace(c, rotate_refresh_tokens=c.id != CLIENT) for c in pool.clients)
    stage.cognito.service.directory = Directory((replace(pool, clients=clients),))
    cookie = await signed_in(stage)

    async def twice() -> bool:
        assert await both(stage, cookie) == {"readers"}
        return len(refreshes(stage)) >= 2

    await until(twice)
    assert len({asked["refresh_token"][0] for asked in refreshes(stage)}) == 1


async def test_a_user_who_is_no_more(stage: Stage) -> None:
    """Where Cognito does not renew a sign-in, the session has ended for everybody, with its refresh token."""
    cookie = await signed_in(stage)
    stage.cognito.change("uma", absent=True)
    await until_both(stage, cookie, "REVOKED")
    assert await kept(stage) == 0


async def test_cognito_is_down(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last known groups stay in force, and Cognito is not asked for each call; then they are checked again."""
    monkeypatch.setattr(groups, "PAUSE", 2.0)
    cookie = await signed_in(stage)
    stage.cognito.change("uma", groups=())
    stage.cognito.is_down = True
    began, calls = time.time(), 0

    async def goes_on() -> bool:
        nonlocal calls
        calls += 1
        assert await both(stage, cookie) == {"readers"}
        return time.time() > began + 2 * EVERY

    await until(goes_on)
    assert 0 < stage.cognito.turned_away < 10 < calls
    stage.cognito.is_down = False
    await until_both(stage, cookie, "ACCESS_DENIED")


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"cognito:username": "eve"}, "REVOKED"),
        ({"aud": "stranger"}, "REVOKED"),
        ({"token_use": "access"}, "REVOKED"),
        ({"iss": "https://evil.example"}, "REVOKED"),
        ({"exp": 1}, "REVOKED"),
    ],
)
async def test_a_token_that_does_not_count(stage: Stage, claims: dict[str, Any], said: str) -> None:
    """A new ID token is verified like any other; one that does not count, or is another user's, ends the session."""
    cookie = await signed_in(stage)
    stage.cognito.id_claims = claims
    await until_both(stage, cookie, said)


async def test_a_sign_in_that_has_grown_too_old(tmp_path: Path) -> None:
    """A session ends at the check where its sign-in is older than MAX_AUTH_AGE."""
    async with staged(tmp_path, MAX_AUTH_AGE="600") as (stage, second):
        stage.second = second  # type: ignore[attr-defined]
        cookie = await signed_in(stage)
        stage.cognito.id_claims = {"auth_time": int(time.time()) - 700}
        await until_both(stage, cookie, "REVOKED")


async def test_ending_a_session(stage: Stage) -> None:
    """Its refresh token goes with it."""
    browser = stage.browser()
    await browser.sign_in()
    assert await kept(stage) == 1
    assert (await browser.send("DELETE", "/session")).status_code == 204
    assert await kept(stage) == 0


async def test_a_session_without_a_refresh_token(stage: Stage) -> None:
    """One that came of a token alone cannot be checked again, and lasts until it would have to be."""
    browser = stage.browser()
    answer = await browser.send("POST", "/session", json={"id_token": stage.cognito.sign()})
    cookie = answer.json()["cookie"]["value"]
    assert await both(stage, cookie) == {"readers"}
    await until_both(stage, cookie, "SESSION_EXPIRED")


async def test_an_app_client_without_refresh_tokens(stage: Stage) -> None:
    """The same where Cognito gives none: signing in works, for as long."""
    stage.cognito.answer = {"refresh_token": None}
    cookie = await signed_in(stage)
    await until_both(stage, cookie, "SESSION_EXPIRED")


async def test_what_is_kept_is_sealed(stage: Stage, tmp_path: Path) -> None:
    """Nothing in the store's files can be read: no token, and not whose it is."""
    await signed_in(stage)
    (asked,) = list(stage.cognito.service.ledgers[POOL].refresh_tokens._entries)
    files = b"".join(file.read_bytes() for file in tmp_path.glob("store.sqlite*"))
    assert asked.encode() not in files
    assert b"uma" not in files
    assert re.search(rb"session:[0-9a-f]{32}:[0-9a-f]{32}", files)


async def test_without_the_setting(tmp_path: Path) -> None:
    """No refresh token is kept, and a session has the groups that it began with."""
    async with signing_in(tmp_path, REVOCATION_URL=f"sqlite://{tmp_path}/store.sqlite") as stage:
        browser = stage.browser()
        await browser.sign_in()
        assert await kept(stage) == 0


async def kept(stage: Stage) -> int:
    """Return how many values the store keeps beside the revocations."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(stage.sidecar.scopes_file.parent / "store.sqlite")) as file:
        (count,) = file.execute("SELECT count(*) FROM kept").fetchone()
    return int(count)


# ---------------------------------------------------------------------------------------- a real server


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[tuple[Stage, RedisServer]]:
    with serving(tmp_path / "redis") as server:
        async with staged(tmp_path, REVOCATION_URL=server.url) as (first, second):
            first.second = second  # type: ignore[attr-defined]
            yield first, server


async def test_the_store_is_down(shared: tuple[Stage, RedisServer]) -> None:
    """Who is known goes on as they are; who is not known here, and is due, is let in by nobody who cannot know."""
    stage, server = shared
    one = await signed_in(stage)
    stage.cognito.change("uma", groups=("readers", "writers"))
    await until_both(stage, one, "readers,writers")
    browser = stage.browser()
    await browser.sign_in("eve")
    server.kill()
    began = time.time()
    await until(lambda: _passed(began + EVERY + 0.6))
    assert await both(stage, one) == {"readers,writers"}
    assert await both(stage, browser.session) == {"AUTH_UNAVAILABLE"}
    server.start()
    await until_both(stage, browser.session, "readers")
    stage.cognito.change("uma", groups=())
    await until_both(stage, one, "ACCESS_DENIED")


async def test_a_store_that_lost_its_data(shared: tuple[Stage, RedisServer]) -> None:
    """Refresh tokens are nowhere else: the sessions end at their next check, and people sign in again."""
    stage, server = shared
    cookie = await signed_in(stage)
    with Redis.from_url(server.url) as direct:
        direct.flushall()
    await until_both(stage, cookie, "SESSION_EXPIRED")
    browser = stage.browser()
    await browser.sign_in()
    assert await both(stage, browser.session) == {"readers"}


async def test_a_worker_that_died_while_asking(shared: tuple[Stage, RedisServer]) -> None:
    """Its turn ends, and another worker asks."""
    stage, server = shared
    cookie = await signed_in(stage)
    stage.cognito.change("uma", groups=())
    now = time.time()
    identity = session_cookie.verify(cookie, [SECRET_KEY], max_age=9999, now=now)
    with Redis.from_url(server.url) as direct:
        place = f"mcp-auth-server:kept:{renewal.key(identity)}"
        raw = direct.get(place)
        assert isinstance(raw, bytes)
        found = renewal.unsealed(raw, identity, [SECRET_KEY], max_age=9999, now=now)
        assert found is not None
        turn = replace(found, asked_until=now + 3)
        direct.set(place, turn.sealed([SECRET_KEY], now=now))
    await until_both(stage, cookie, "ACCESS_DENIED")
    assert time.time() >= now + 3
    assert len(refreshes(stage)) == 1


async def test_a_store_that_dies_between_two_tokens(
    shared: tuple[Stage, RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cognito has replaced the token, and the store is down: the new one is kept as soon as it is back."""
    stage, server = shared
    returns: list[asyncio.Task[None]] = []
    refresh = Provider.refresh

    async def interrupted(self: Provider, token: str) -> UserTokens:
        answer = await refresh(self, token)
        if not returns:
            server.kill()
            returns.append(asyncio.create_task(asyncio.to_thread(server.start)))
        return answer

    monkeypatch.setattr(Provider, "refresh", interrupted)
    cookie = await signed_in(stage)

    async def thrice() -> bool:
        # Whoever has not yet learned the groups cannot know them now; nobody is told that it is over.
        assert await both(stage, cookie) <= {"readers", "AUTH_UNAVAILABLE"}
        return len(refreshes(stage)) >= 3

    await until(thrice, 20)
    await asyncio.gather(*returns)
    used = [asked["refresh_token"][0] for asked in refreshes(stage)]
    assert len(set(used)) == len(used)
    stage.cognito.change("uma", groups=())
    await until_both(stage, cookie, "ACCESS_DENIED")


async def test_a_store_that_is_down_while_one_signs_in(shared: tuple[Stage, RedisServer]) -> None:
    """Signing in works; the session lasts until it would have to be checked."""
    stage, server = shared
    server.kill()
    cookie = await signed_in(stage)
    server.start()
    await until_both(stage, cookie, "SESSION_EXPIRED")


async def test_values_that_were_swapped(shared: tuple[Stage, RedisServer]) -> None:
    """A value that was moved to another session's place is of no use there."""
    stage, server = shared
    one, two = await signed_in(stage), stage.browser()
    await two.sign_in("eve")
    with Redis.from_url(server.url) as direct:
        keys = sorted(direct.keys("mcp-auth-server:kept:*"))
        values = [direct.get(key) for key in keys]
        for key, value in zip(keys, reversed(values), strict=True):
            assert isinstance(value, bytes)
            direct.set(key, value)
    await until_both(stage, one, "SESSION_EXPIRED")
    await until_both(stage, two.session, "SESSION_EXPIRED")
