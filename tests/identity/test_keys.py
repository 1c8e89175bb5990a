import asyncio
import contextlib
import itertools
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest
from support.cognito import ISSUER, OTHER_ISSUER, OTHER_POOL, POOL, jwks, key, mint
from support.jwks_server import JwksServer, jwks_server

from auth_server.errors import ErrorCode, Unauthenticated, Unavailable
from auth_server.identity import jws
from auth_server.identity.jwks import usable_keys
from auth_server.identity.jws import Jws
from auth_server.identity.keys import MAX_REMEMBERED, Keys, Timing
from auth_server.model import Pool

pytestmark = pytest.mark.anyio

FAULTS = [
    "500 Internal Server Error",
    "404 Not Found",
    "204 No Content",
    "hang",
    "drip",
    "30 MB",
    "30 MB without a length",
    "gzip",
    "close",
    "half",
    "not HTTP",
    "redirect",
    "HTML",
]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as uvicorn does."""
    return "asyncio"


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


@dataclass
class World:
    """One pool's endpoint, the keys under test, and their clock."""

    server: JwksServer
    keys: Keys
    clock: Clock = field(default_factory=Clock)

    @property
    def state(self) -> dict[str, object]:
        """The state of the one pool."""
        (state,) = self.keys.state()
        return state

    async def reload(self) -> None:
        """Let the keys be fetched once more, as an unknown kid does."""
        self.clock.now += 3600
        with pytest.raises((Unauthenticated, Unavailable)):
            await self.keys.get(named(f"unknown-{self.clock.now}"))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Keys that are loaded, of a pool whose endpoint works."""
    async with jwks_server(jwks()) as server:
        clock = Clock()
        keys = Keys([server.pool(POOL)], timing=Timing(limit=0.3, clock=clock))
        assert (await keys.get(parsed()))[1].id == POOL.id
        yield World(server, keys, clock)
        await keys.aclose()


def parsed(name: str = "access", issuer: str = ISSUER) -> Jws:
    """Return a token signed with that key, taken apart."""
    return jws.parse(mint(changes={"iss": issuer}, signer=key(name)))


def named(kid: str, issuer: str = ISSUER) -> Jws:
    """Return a token that names that key."""
    return Jws(kid, json.dumps({"iss": issuer}).encode(), b"", b"")


async def until(condition: Callable[[], object], *, within: float = 5) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(keys: Keys) -> AsyncIterator[None]:
    """Run the background refresh, and end it as the application does."""
    task = asyncio.create_task(keys.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(asyncio.all_tasks()) == len([t for t in asyncio.all_tasks() if t is not task])


def spin(coroutine: object) -> object:
    """Return what a coroutine returns that never waits; fail where it would."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as result:
        return result.value
    return pytest.fail("a known key waited")


async def test_a_known_key_never_waits(world: World) -> None:
    """A warm look-up finishes without giving up control once, also while a fetch hangs."""
    world.server.fault = "hang"
    world.clock.now += 3600
    stranger = asyncio.create_task(world.keys.get(named("unknown")))
    await until(lambda: world.server.waiting)
    spin(world.keys.get(parsed()))
    spin(world.keys.get(parsed("id")))
    with pytest.raises(Unauthenticated):
        await stranger


async def test_keys_are_fetched_once_and_cached(world: World) -> None:
    """Tokens of known keys cause no fetch."""
    for _ in range(100):
        await world.keys.get(parsed())
    assert world.server.requests == 1
    assert world.keys.ready


async def test_one_fetch_at_a_time() -> None:
    """A hundred first questions share one fetch."""
    async with jwks_server(jwks()) as server:
        keys = Keys([server.pool(POOL)])
        found = await asyncio.gather(*(keys.get(parsed()) for _ in range(100)))
        assert len(found) == 100
        assert server.requests == 1
        await keys.aclose()


async def test_the_state_of_the_keys(world: World) -> None:
    """What /readyz shows: pool, keys, age, last error, fetches, unknown kids."""
    world.clock.now += 42
    assert world.state == {
        "pool": POOL.id,
        "keys": 2,
        "age_seconds": 42,
        "last_error": None,
        "fetches": 1,
        "unknown_kids": 0,
    }


@pytest.mark.parametrize("fault", FAULTS)
async def test_known_keys_outlive_a_fault(world: World, fault: str) -> None:
    """Whatever the endpoint does, the last good set stays in force, and the state says what is wrong."""
    world.server.fault = fault
    await world.reload()
    assert world.state["keys"] == 2
    assert world.state["last_error"]
    assert world.server.requests == 2
    spin(world.keys.get(parsed()))


@pytest.mark.parametrize(
    "document",
    [
        {"keys": []},
        {},
        [],
        {"keys": [key("small", 1024).jwk()]},
        {"keys": [{"kty": "EC", "kid": "a"}]},
        {"keys": None},
    ],
)
async def test_a_set_without_a_usable_key_replaces_nothing(world: World, document: object) -> None:
    """An empty or useless set does not lock everybody out."""
    world.server.document = document
    await world.reload()
    assert world.state["keys"] == 2
    assert "not a JSON object" in str(world.state["last_error"]) or "key" in str(world.state["last_error"])


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_cold_start_with_a_fault(fault: str) -> None:
    """Without keys the answer is KEYS_UNAVAILABLE, never 401, and heals without a restart."""
    async with jwks_server(jwks()) as server:
        server.fault = fault
        clock = Clock()
        keys = Keys([server.pool(POOL)], timing=Timing(limit=0.2, clock=clock))
        with pytest.raises(Unavailable) as caught:
            await keys.get(parsed())
        assert caught.value.code is ErrorCode.KEYS_UNAVAILABLE
        assert 1 <= caught.value.retry_after <= 60
        assert not keys.ready
        server.fault = ""
        clock.now += 2
        with pytest.raises(Unavailable):
            spin(keys.get(parsed()))  # in an outage nobody waits: the fetch that this starts is for the next
        await until(lambda: keys.ready)
        spin(keys.get(parsed()))
        await keys.aclose()


async def test_an_endpoint_that_is_not_there() -> None:
    """A refused connection is an outage like any other."""
    keys = Keys([POOL])
    with pytest.raises(Unavailable):
        await keys.get(parsed())
    assert "ConnectError" in str(keys.state()[0]["last_error"])
    await keys.aclose()


@pytest.mark.parametrize("url", ["gopher://x/", "http://", "http://[::1", "", "https://127.0.0.1:1/"])
async def test_an_address_that_is_none(url: str) -> None:
    """A wrong address is an outage that says what is wrong."""
    keys = Keys([Pool(POOL.id, POOL.region, POOL.issuers, url)])
    with pytest.raises(Unavailable):
        await keys.get(parsed())
    assert keys.state()[0]["last_error"]
    await keys.aclose()


async def test_a_rotated_key_is_found_at_once(world: World) -> None:
    """A token of a new key is accepted by the fetch that it causes."""
    world.server.document = jwks("id", "rotated")
    found, pool = await world.keys.get(parsed("rotated"))
    assert found.public_numbers() == key("rotated").private.public_key().public_numbers()
    assert pool.id == POOL.id
    assert world.server.requests == 2
    with pytest.raises(Unauthenticated):
        await world.keys.get(parsed("access"))


async def test_ten_thousand_unknown_kids_cost_one_fetch_per_ten_seconds(world: World) -> None:
    """A flood of kids cannot be turned into a flood of fetches."""
    for second in range(20):
        for number in range(500):
            with pytest.raises(Unauthenticated) as caught:
                await world.keys.get(named(f"{second}-{number}"))
            assert caught.value.code is ErrorCode.UNKNOWN_KEY
        world.clock.now += 1
    assert world.server.requests == 1 + 2
    assert world.state["unknown_kids"] == 10_000


async def test_a_kid_that_keeps_coming_is_looked_for_ever_more_rarely(world: World) -> None:
    """A retired key costs a fetch after 10, 20, 40 and then every 60 seconds; a new kid is not held up."""
    fetched = []
    for second in range(200):
        before = world.server.requests
        with pytest.raises(Unauthenticated):
            await world.keys.get(named("retired"))
        if world.server.requests > before:
            fetched.append(second)
        world.clock.now += 1
    assert fetched == [0, 10, 30, 70, 130, 190]
    world.server.document = jwks("rotated")
    await world.keys.get(parsed("rotated"))


async def test_the_memory_of_unknown_kids_is_bounded(world: World) -> None:
    """Unknown kids do not fill the memory."""
    key_set = world.keys._sets[0]
    for number in range(MAX_REMEMBERED + 10):
        world.clock.now += 11
        with pytest.raises(Unauthenticated):
            await world.keys.get(named(str(number)))
    assert len(key_set._absent) == MAX_REMEMBERED
    assert "5" not in key_set._absent


async def test_an_unknown_kid_waits_for_the_fetch_under_way_and_no_other(world: World) -> None:
    """Unknown kids share the fetch that the first one caused, and are refused when it has ended."""
    world.server.fault = "hang"
    world.clock.now += 3600
    waiting = [asyncio.create_task(world.keys.get(named(str(number)))) for number in range(50)]
    await until(lambda: world.server.waiting)
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in done} == {Unauthenticated}
    assert world.server.requests == 2
    with pytest.raises(Unauthenticated):
        spin(world.keys.get(named("0")))


async def test_a_client_that_goes_away_stops_no_fetch(world: World) -> None:
    """The fetch belongs to the key set: the request that caused it may be cancelled."""
    world.server.fault = "hang"
    world.clock.now += 3600
    request = asyncio.create_task(world.keys.get(named("unknown")))
    await until(lambda: world.server.waiting)
    request.cancel()
    await asyncio.wait([request])
    assert request.cancelled()
    await until(lambda: world.state["last_error"])
    assert "0.3 s" in str(world.state["last_error"])


async def test_old_keys_have_an_end(world: World) -> None:
    """After max_stale without a good answer the keys are used no more: trust has an end."""
    world.server.fault = "500 Internal Server Error"
    world.clock.now += 86400
    spin(world.keys.get(parsed()))
    world.clock.now += 1
    with pytest.raises(Unavailable):
        await world.keys.get(parsed())
    assert not world.keys.ready
    assert world.state["keys"] == 0
    world.server.fault = ""
    world.clock.now += 60
    with pytest.raises(Unavailable):
        await world.keys.get(parsed())
    await until(lambda: world.keys.ready)


async def test_a_foreign_issuer_never_causes_a_fetch(world: World) -> None:
    """A token that names another issuer has no key here, and the endpoint hears nothing of it."""
    world.clock.now += 3600
    for issuer in ("https://mallory.example", OTHER_ISSUER, ""):
        with pytest.raises(Unauthenticated) as caught:
            spin(world.keys.get(named("unknown", issuer)))
        assert caught.value.code is ErrorCode.UNKNOWN_KEY
    with pytest.raises(Unauthenticated):
        spin(world.keys.get(Jws("unknown", b"\xff", b"", b"")))
    assert world.server.requests == 1


async def test_a_foreign_issuer_under_a_known_key(world: World) -> None:
    """The key is given, so that the claim is judged after the signature."""
    found, pool = await world.keys.get(parsed(issuer="https://mallory.example"))
    assert found is (await world.keys.get(parsed()))[0]
    assert pool.id == POOL.id


@pytest.fixture
async def two_pools() -> AsyncIterator[tuple[Keys, JwksServer, JwksServer]]:
    """Keys of two pools, each with an endpoint of its own."""
    async with jwks_server(jwks()) as one, jwks_server(jwks("other")) as two:
        keys = Keys([one.pool(POOL), two.pool(OTHER_POOL)], timing=Timing(limit=0.3))
        yield keys, one, two
        await keys.aclose()


async def test_a_token_s_issuer_chooses_the_pool(two_pools: tuple[Keys, JwksServer, JwksServer]) -> None:
    """Each pool's tokens are verified with that pool's keys."""
    keys, _, _ = two_pools
    assert (await keys.get(parsed()))[1].id == POOL.id
    assert (await keys.get(parsed("other", OTHER_ISSUER)))[1].id == OTHER_POOL.id
    with pytest.raises(Unauthenticated):
        await keys.get(parsed("other", ISSUER))


async def test_a_kid_that_two_pools_have(two_pools: tuple[Keys, JwksServer, JwksServer]) -> None:
    """A pool that publishes another's kid neither lends nor blocks its key."""
    keys, _, two = two_pools
    two.document = {"keys": [key("other").jwk(kid=key().kid)]}
    mine, _ = await keys.get(parsed())
    theirs, _ = await keys.get(named(key().kid, OTHER_ISSUER))
    assert mine.public_numbers() == key().private.public_key().public_numbers()
    assert theirs.public_numbers() == key("other").private.public_key().public_numbers()


async def test_a_foreign_issuer_with_a_key_of_some_pool(
    two_pools: tuple[Keys, JwksServer, JwksServer],
) -> None:
    """The pool that a foreign issuer's key belongs to is found among all."""
    keys, _, _ = two_pools
    await keys.get(parsed())
    await keys.get(parsed("other", OTHER_ISSUER))
    _, pool = await keys.get(parsed("other", "https://mallory.example"))
    assert pool.id == OTHER_POOL.id


async def test_one_pool_down_harms_no_other(two_pools: tuple[Keys, JwksServer, JwksServer]) -> None:
    """A pool whose endpoint hangs at the start has no keys; the other works, and the whole is ready."""
    keys, _, two = two_pools
    two.fault = "hang"
    async with running(keys):
        await until(lambda: two.waiting)
        assert (await keys.get(parsed()))[1].id == POOL.id
        with pytest.raises(Unavailable):
            await keys.get(parsed("other", OTHER_ISSUER))
        assert keys.ready


async def test_the_background_refresh() -> None:
    """Keys come and are refreshed without a question; a dead endpoint is asked ever more rarely."""
    async with jwks_server(jwks()) as server:
        timing = Timing(refresh=0.05, first_retry=0.05, last_retry=0.2)
        keys = Keys([server.pool(POOL)], timing=timing)
        async with running(keys):
            await until(lambda: server.requests >= 3)
            server.document = jwks("rotated")
            await until(lambda: keys._sets[0].key(key("rotated").kid))
            server.fault = "500 Internal Server Error"
            await until(lambda: keys.state()[0]["last_error"])
            before, start = server.requests, time.monotonic()
            await until(lambda: server.requests >= before + 5)
            assert time.monotonic() - start > 0.5
            server.fault = ""
            await until(lambda: keys.state()[0]["last_error"] is None)


async def test_a_cold_start_heals_by_itself() -> None:
    """With the endpoint down at the start, the background refresh brings the keys when it is back."""
    async with jwks_server(jwks()) as server:
        server.fault = "500 Internal Server Error"
        keys = Keys([server.pool(POOL)], timing=Timing(first_retry=0.05, last_retry=0.1))
        async with running(keys):
            await until(lambda: server.requests >= 3)
            assert not keys.ready
            server.fault = ""
            await until(lambda: keys.ready)
            spin(keys.get(parsed()))


async def test_the_end_of_the_refresh_while_a_fetch_hangs() -> None:
    """Cancelling the refresh ends the fetch under way; nothing is left running, and asking again works."""
    async with jwks_server(jwks()) as server:
        server.fault = "hang"
        keys = Keys([server.pool(POOL)])
        async with running(keys):
            await until(lambda: server.waiting)
        server.fault = ""
        assert await keys.get(parsed())
        await keys.aclose()


async def test_known_tokens_never_wait_for_a_fault() -> None:
    """With the endpoint at its worst, the key of a known token is there without a single wait."""
    async with jwks_server(jwks()) as server:
        timing = Timing(refresh=0.01, limit=0.2, first_retry=0.01, last_retry=0.02)
        keys = Keys([server.pool(POOL)], timing=timing)
        async with running(keys):
            await until(lambda: keys.ready)
            token = parsed()
            for fault in ("hang", "30 MB", "HTML"):
                server.fault = fault
                await until(lambda: keys.state()[0]["last_error"])
                for _ in range(100):
                    with pytest.raises(StopIteration):  # it returned at its first step
                        keys.get(token).send(None)
                    await asyncio.sleep(0)


async def test_a_key_that_is_left_out_is_warned_of_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An unusable key beside good ones gives one warning, not one per refresh."""
    world.server.document = {"keys": [*jwks()["keys"], key("enc").jwk(use="enc")]}
    with caplog.at_level(logging.WARNING, "auth_server"):
        for _ in range(3):
            await world.reload()
    assert [record.getMessage() for record in caplog.records] == ["keys skipped"]
    assert caplog.records[0].fields["reasons"] == ["keys[2]: use is not sig"]  # type: ignore[attr-defined]


async def test_a_client_of_the_caller_s() -> None:
    """A client that was handed in is used, and left open."""
    async with jwks_server(jwks()) as server, httpx.AsyncClient(trust_env=False) as client:
        keys = Keys([server.pool(POOL)], client=client)
        await keys.get(parsed())
        await keys.aclose()
        assert not client.is_closed


async def test_a_proxy_for_the_internet_is_not_asked_for_a_plain_http_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTP_PROXY could put its own keys in place of a stand-in's: it does not count."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with jwks_server(jwks()) as server:
        keys = Keys([server.pool(POOL)])
        await keys.get(parsed())
        await keys.aclose()


async def test_a_proxy_counts_for_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a company's proxy, the pool's own endpoint is reached through it."""
    async with jwks_server(jwks()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        keys = Keys(
            [Pool(POOL.id, POOL.region, POOL.issuers, "https://cognito.invalid/jwks.json")],
            timing=Timing(limit=0.3),
        )
        with pytest.raises(Unavailable):
            await keys.get(parsed())
        assert proxy.requests == 1  # CONNECT
        await keys.aclose()


def test_the_pauses_after_failures() -> None:
    """Pauses double from 1 to 60 seconds, spread, and never leave those bounds."""
    timing = Timing()
    for failures in itertools.chain(range(1, 20), [10_000]):
        middle = min(2.0 ** min(failures - 1, 16), 60)
        pauses = {timing.until_retry(failures) for _ in range(50)}
        assert max(1, middle * 0.79) <= min(pauses)
        assert max(pauses) <= min(60, middle * 1.21)
        assert len(pauses) > 1
    assert 270 <= timing.until_refresh() <= 300


def test_pools_do_not_vouch_for_each_other() -> None:
    """A key that another pool holds is not this pool's."""
    keys = Keys((POOL, OTHER_POOL))
    first, second = keys._sets
    first._succeeded(usable_keys(jwks())[0], [])
    held = first.key(key("access").kid)
    assert keys.holds(POOL, key("access").kid, held)
    assert not keys.holds(OTHER_POOL, key("access").kid, held)
    assert not keys.holds(POOL, key("access").kid, None)
    assert second.key(key("access").kid) is None
