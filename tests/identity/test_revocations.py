"""Each worker judges from memory, follows the store, and loses nothing of what it knows."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.redis_server import serving
from support.waiting import eventually

from auth_server.errors import ErrorCode, Unauthenticated, Unavailable
from auth_server.identity.revocations import (
    AHEAD,
    DAY,
    MARGIN,
    Revocation,
    RevocationKind,
    Revocations,
    Rhythm,
)
from auth_server.model import AuthMethod, Identity
from auth_server.stores import StoreError, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.redis_server import RedisServer

    from auth_server.stores import Page

pytestmark = pytest.mark.anyio

NOW = time.time()
SESSION, USER, CLIENT = RevocationKind
EVERY_LOOK = Rhythm(look=0.01, read_all=0, put_back_again=0, prune=0)


def who(sid: str = "sid", username: str = "uma", client_id: str = "", issued_at: float = NOW) -> Identity:
    return Identity(
        AuthMethod.SESSION_COOKIE,
        NOW + 3600,
        username,
        client_id=client_id,
        session_id=sid,
        issued_at=issued_at,
    )


def ended(revocations: Revocations, identity: Identity) -> bool:
    """Tell whether it is refused as revoked."""
    try:
        revocations.check(identity)
    except Unauthenticated as refusal:
        return refusal.code is ErrorCode.REVOKED
    return False


@dataclass
class Store:
    """A SQLite store that can be broken, and workers on it."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "revocations.sqlite"

    def worker(self, rhythm: Rhythm | None = None, session_max_age: int = 28_800) -> Revocations:
        store = open_store(f"sqlite://{self.path}")
        return Revocations(store, session_max_age=session_max_age, rhythm=rhythm or Rhythm())

    def lose(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.folder)

    def break_(self) -> None:
        """Take everything away, and let nothing new be made."""
        self.lose()
        self.folder.write_text("")

    def mend(self) -> None:
        """Let there be an empty store again."""
        self.folder.unlink()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


async def test_who_never_read_the_store_cannot_judge(store: Store) -> None:
    """Before the first look, and while it fails, nobody is let in: others may have ended this session long ago."""
    store.folder.write_text("")
    worker = store.worker()
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            worker.check(who())
        assert caught.value.code is ErrorCode.AUTH_UNAVAILABLE
        assert not worker.ready
        await worker.look()
    state = worker.state()
    assert (state["reachable"], state["behind_seconds"], state["entries"]) == (False, None, 0)
    assert "Error" in state["last_error"]
    store.mend()
    await worker.look()
    worker.check(who())
    assert worker.state() | {"behind_seconds": 0} == {
        "store": "sqlite",
        "reachable": True,
        "entries": 0,
        "behind_seconds": 0,
        "last_error": None,
    }


@pytest.mark.parametrize("kind", RevocationKind)
async def test_what_one_worker_ends_is_ended_in_the_others(store: Store, kind: RevocationKind) -> None:
    """Session, user or client: the other worker refuses it after its next look, and nobody else."""
    one, other = store.worker(), store.worker()
    await other.look()
    await one.look()
    await one.revoke(kind, "x", now=NOW)
    held = who("x", "x", "x")
    assert ended(one, held)
    await other.look()
    assert ended(other, held)
    assert not ended(other, who("y", "y", "y"))
    later = who("z", "x", "x", issued_at=NOW + AHEAD + 1)
    assert not ended(other, later)
    assert ended(other, who("z", "x", "x", issued_at=NOW + AHEAD)) is (kind is not SESSION)


async def test_following(store: Store) -> None:
    """A follower needs nobody to tell it; it sees within a second what others ended."""
    worker = store.worker()
    task = asyncio.create_task(worker.follow())
    await eventually(lambda: worker.ready)
    other = store.worker()
    await other.revoke(USER, "uma", now=NOW)
    await eventually(lambda: ended(worker, who()), seconds=1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_how_long_it_is_kept(store: Store) -> None:
    """For the longest life of a token, or of a session where that is longer."""
    for session_max_age, lifetime in ((60, DAY), (DAY * 30, DAY * 30)):
        revocation = await store.worker(session_max_age=session_max_age).revoke(SESSION, "x", now=NOW)
        assert revocation == Revocation(SESSION, "x", NOW, NOW + lifetime + MARGIN)


async def test_the_end_of_a_revocation(store: Store) -> None:
    """What is over is forgotten here and dropped there, and is not put back again."""
    now = time.time()
    worker = store.worker(EVERY_LOOK)
    await open_store(f"sqlite://{store.path}").add(
        [
            Revocation(SESSION, "over", now - 9, now - 1),
            Revocation(SESSION, "about to be", now - 9, now + MARGIN / 2),
            Revocation(SESSION, "not yet", now - 9, now + 999),
        ]
    )
    await worker.look()
    await worker.look()
    assert [ended(worker, who(sid)) for sid in ("over", "about to be", "not yet")] == [False, True, True]
    assert worker.state()["entries"] == 2
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT count(*) FROM revocations").fetchall() == [(2,)]
    connection.close()


async def test_while_the_store_is_down(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Decisions go on with what is known; the state says so, and the log once."""
    worker = store.worker()
    await worker.look()
    await worker.revoke(SESSION, "ended", now=NOW)
    store.break_()
    logging.getLogger("auth_server").propagate = True
    with caplog.at_level(logging.INFO, "auth_server"):
        for _ in range(3):
            await worker.look()
        assert ended(worker, who("ended"))
        assert not ended(worker, who("other"))
        state = worker.state()
        assert (state["reachable"], state["entries"]) == (False, 1)
        assert state["last_error"]
        store.mend()
        await worker.look()
    assert worker.state()["reachable"]
    said = [record.message for record in caplog.records]
    assert said == [
        "revocations: the store is down, the last known list counts",
        "revocations: the store is back",
        "revocations put back",
    ]


async def test_ending_while_the_store_is_down(store: Store) -> None:
    """It fails loudly, counts in this worker at once, and for all as soon as the store is back."""
    worker = store.worker()
    await worker.look()
    store.break_()
    with pytest.raises(StoreError):
        await worker.revoke(SESSION, "x", now=NOW)
    assert ended(worker, who("x"))
    assert "not written" in worker.state()["last_error"]
    store.mend()
    other = store.worker()
    await other.look()
    assert not ended(other, who("x"))
    await worker.look()
    await other.look()
    assert ended(other, who("x"))
    assert worker.state()["last_error"] is None


async def test_a_store_that_lost_its_data(store: Store) -> None:
    """Whatever a worker knows and the store lacks is put back: a worker that starts later knows it as well."""
    worker = store.worker(EVERY_LOOK)
    await worker.look()
    for kind in RevocationKind:
        await worker.revoke(kind, "x", now=NOW)
    store.lose()
    await worker.look()
    later = store.worker()
    await later.look()
    assert later.state()["entries"] == 3
    assert ended(later, who("x"))


async def test_two_workers_put_back_what_each_knows(store: Store) -> None:
    """Each writes what it has that the store lacks, and neither takes anything away."""
    one, other = store.worker(EVERY_LOOK), store.worker(EVERY_LOOK)
    await one.look()
    await other.look()
    store.break_()
    for worker, name in ((one, "a"), (other, "b")):
        with pytest.raises(StoreError):
            await worker.revoke(USER, name, now=NOW)
    store.mend()
    for worker in (one, other, one):
        await worker.look()
    for worker in (one, other):
        assert [ended(worker, who("s", name)) for name in "abc"] == [True, True, False]


@pytest.mark.usefixtures("short_waits_for_a_file")
async def test_a_store_that_can_be_read_and_not_written(store: Store, tmp_path: Path) -> None:
    """What could not be put back is tried again, and meanwhile the state says that it is not written."""
    worker = store.worker(EVERY_LOOK)
    await worker.look()
    await worker.revoke(SESSION, "x", now=NOW)
    store.lose()
    await store.worker().look()
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    await worker.look()
    state = worker.state()
    assert state["reachable"]
    assert "not written" in state["last_error"]
    assert ended(worker, who("x"))
    holder.execute("ROLLBACK")
    holder.close()
    await worker.look()
    assert worker.state()["last_error"] is None
    later = store.worker()
    await later.look()
    assert ended(later, who("x"))


async def test_making_a_credential_out_of_another(store: Store) -> None:
    """Then the store itself is asked: what was ended a moment ago makes no new one, and nothing while it is down."""
    worker = store.worker()
    await worker.look()
    await worker.confirm(who("x"))
    await store.worker().revoke(SESSION, "x", now=NOW)
    with pytest.raises(Unauthenticated):
        await worker.confirm(who("x"))
    store.break_()
    with pytest.raises(Unavailable):
        await worker.confirm(who("y"))
    worker.check(who("y"))


@pytest.mark.parametrize("value", ["", "\ud800"])
async def test_nobody_in_particular(store: Store, value: str) -> None:
    """An empty name ends nobody, nor does one that no store can hold."""
    with pytest.raises(ValueError, match=r"names the user|surrogates"):
        await store.worker().revoke(USER, value, now=NOW)


class Surprising:
    """A store whose library fails as nobody foresaw."""

    kind = place = "surprising"

    def prepare(self) -> None:
        """Find nothing."""

    async def read(self, _: str | None) -> Page:
        raise RuntimeError("token=secret")


async def test_a_failure_that_nobody_foresaw() -> None:
    """The follower lives on, and says no more than its type."""
    worker = Revocations(Surprising())  # type: ignore[arg-type]  # only what is asked here
    await worker.look()
    assert not worker.ready
    assert worker.state()["last_error"] == "unexpected RuntimeError"


# ---------------------------------------------------------------------------------------- a real server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with serving(tmp_path / "data") as running:
        yield running


@pytest.mark.parametrize("empty", [False, True])
async def test_redis_is_killed_and_returns(server: RedisServer, empty: bool) -> None:
    """Killed while workers follow it, and back with or without its data: the list is whole in every worker."""
    workers = [Revocations(open_store(server.url)) for _ in range(2)]
    tasks = [asyncio.create_task(worker.follow()) for worker in workers]
    await eventually(lambda: all(worker.ready for worker in workers))
    await workers[0].revoke(SESSION, "before", now=NOW)
    await eventually(lambda: ended(workers[1], who("before")))
    server.kill()
    await eventually(lambda: not any(worker.state()["reachable"] for worker in workers))
    with pytest.raises(StoreError):
        await workers[1].revoke(USER, "meanwhile", now=NOW)
    assert all(ended(worker, who("before")) for worker in workers)
    server.start(empty=empty)
    await eventually(lambda: ended(workers[0], who("s", "meanwhile")), seconds=10)
    later = Revocations(open_store(server.url))
    await until_looked(later, who("s", "meanwhile"))
    assert ended(later, who("before"))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for worker in (*workers, later):
        await worker.aclose()


async def until_looked(worker: Revocations, identity: Identity) -> None:
    """Look until this is known to be ended."""
    async with asyncio.timeout(10):
        while True:
            await worker.look()
            if ended(worker, identity):
                return
            await asyncio.sleep(0.05)
