"""What every store promises, held against a real SQLite file and a real Redis server; then what is each one's own."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from support.redis_server import serving
from support.waiting import until

from auth_server.errors import ConfigurationError
from auth_server.identity.revocation_list import Revocation, RevocationKind, Revoked
from auth_server.stores import StoreError, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.redis_server import RedisServer

    from auth_server.stores import Store

pytestmark = pytest.mark.anyio

FAR = 4e9


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Place:
    """Where a store is; each `open` is what another process would have."""

    url: str
    opened: list[Store] = field(default_factory=list)

    def open(self, *, create: bool = True) -> Store:
        self.opened.append(open_store(self.url, create=create))
        return self.opened[-1]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serving(tmp_path_factory.mktemp("redis") / "data") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[Place]:
    url = f"sqlite://{tmp_path}/store/revocations.sqlite"
    if request.param == "redis":
        url = redis_server.url
        with Redis.from_url(url) as direct:
            direct.flushall()
    found = Place(url)
    yield found
    for store in found.opened:
        await store.aclose()


def session(value: str, at: float = 1, until: float = FAR) -> Revocation:
    return Revocation(RevocationKind.SESSION, value, at, until)


async def new_names(store: Store, position: str | None) -> tuple[list[str], str]:
    page = await store.read(position)
    return [r.value for r in page.revocations], page.position


# ------------------------------------------------------------------------------------------- every store


async def test_an_empty_store(place: Place) -> None:
    """Nothing was revoked, and that is the whole truth."""
    page = await place.open().read(None)
    assert (page.revocations, page.complete) == ((), True)


async def test_what_is_added_is_there_for_others(place: Place) -> None:
    """Another process reads what this one added, to the letter and the microsecond."""
    given = [
        Revocation(kind, value, 1_800_000_000.123456, FAR)
        for kind in RevocationKind
        for value in ("uma", "ümlaut, 名 \n\0'\"", "*")
    ]
    await place.open().add(given)
    page = await place.open().read(None)
    assert page.complete
    assert list(page.revocations) == given


@given(
    st.lists(
        st.builds(
            Revocation,
            st.sampled_from(RevocationKind),
            st.text(st.characters(codec="utf-8"), min_size=1),
            st.floats(0, 4e9),
            st.floats(0, 4e9),
        ),
        max_size=5,
    )
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_name_and_time(place: Place, revocations: list[Revocation]) -> None:
    """A revocation comes back as it went in, whatever somebody is called."""
    store = place.open()
    await store.add(revocations)
    there = Revoked((await store.read(None)).revocations)
    assert all(there.covers(r) for r in revocations)


async def test_reading_on(place: Place) -> None:
    """From a position one gets all that came since, in order; what was there twice may come twice."""
    writer, reader = place.open(), place.open()
    await writer.add([session("a"), session("b")])
    names, position = await new_names(reader, None)
    assert names == ["a", "b"]
    await writer.add([session("c")])
    await place.open().add([session("d")])
    names, position = await new_names(reader, position)
    assert [name for name in names if name not in "ab"] == ["c", "d"]
    names, _ = await new_names(reader, position)
    assert not set(names) - set("abcd")


async def test_adding_again(place: Place) -> None:
    """The same again is no error; the later time counts, whichever came first."""
    store = place.open()
    await store.add([session("a", 5, 50), session("a", 3, 90), session("a", 5, 50)])
    await store.add([])
    (merged,) = Revoked((await store.read(None)).revocations)
    assert merged == session("a", 5, 90)


async def test_pruning(place: Place) -> None:
    """What has ended goes, and nothing else; a reader that was there before misses nothing new."""
    store, reader = place.open(), place.open()
    await store.add([session("old", 1, 10), session("edge", 1, 20), session("new", 1, 30)])
    _, position = await new_names(reader, None)
    await store.prune(20)
    assert await new_names(place.open(), None) != ([], "")
    names, _ = await new_names(place.open(), None)
    assert names == ["new"]
    await store.add([session("newer")])
    names, _ = await new_names(reader, position)
    assert names[-1] == "newer"


async def test_kept_values(place: Place) -> None:
    """A value is there under its key until its time, and the last one counts."""
    store, other, now = place.open(), place.open(), time.time()
    assert await store.get("x") is None
    await store.put("x", b"one\0\xff", now + 60)
    await store.put("x", b"two\0\xff", now + 60)
    assert await other.get("x") == b"two\0\xff"
    await store.put("x", b"over", now - 1)
    assert await other.get("x") is None


async def test_dropping_kept_values(place: Place) -> None:
    """Keys are dropped by pattern, where only the star is special."""
    store, now = place.open(), time.time()
    for key in ("session:1:a", "session:1:b", "session:2:a", "session:11:a", "other:1:a"):
        await store.put(key, b"x", now + 60)

    async def left() -> set[str]:
        keys = ("session:1:a", "session:1:b", "session:2:a", "session:11:a", "other:1:a")
        return {key for key in keys if await store.get(key)}

    await store.delete("session:1:*")
    assert await left() == {"session:2:a", "session:11:a", "other:1:a"}
    await store.delete("session:*:a")
    assert await left() == {"other:1:a"}
    await store.delete("nothing")
    await store.delete("other:1:a")
    assert await left() == set()


async def test_swapping(place: Place) -> None:
    """Of many who would replace the same value, one does; nobody replaces another one, or one that is gone."""
    stores, now = [place.open() for _ in range(5)], time.time()
    await stores[0].put("x", b"old", now + 60)
    new = [f"new{number}".encode() for number in range(20)]
    won = await asyncio.gather(
        *(stores[number % 5].swap("x", b"old", value, now + 60) for number, value in enumerate(new))
    )
    assert won.count(True) == 1
    assert await stores[0].get("x") == new[won.index(True)]
    assert not await stores[1].swap("x", b"old", b"else", now + 60)
    await stores[2].delete("x")
    assert not await stores[3].swap("x", new[won.index(True)], b"again", now + 60)
    assert await stores[4].get("x") is None


WRITE = """
import asyncio, sys
from auth_server.identity.revocation_list import Revocation, RevocationKind
from auth_server.stores import open_store

async def main(url, name, count):
    store = open_store(url)
    for number in range(count):
        value = f"{name}-{number}"
        await store.add([Revocation(RevocationKind.SESSION, value, 1, 4e9)])
        print(value, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writer(place: Place, name: str, count: int) -> subprocess.Popen[bytes]:
    """Start a process that adds so many and says each one once the store has it."""
    argv = [sys.executable, "-c", WRITE, place.url, name, str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


async def test_many_write_at_once(place: Place) -> None:
    """Several processes write; one that follows by position sees every one, and so does one that comes later."""
    reader, seen, position = place.open(), set[str](), None
    writers = [writer(place, name, 60) for name in "abcd"]
    while any(process.poll() is None for process in writers):
        names, position = await new_names(reader, position)
        seen.update(names)
    names, _ = await new_names(reader, position)
    seen.update(names)
    for process in writers:
        assert process.wait() == 0
        process.stdout.close()  # type: ignore[union-attr]
    expected = {f"{name}-{number}" for name in "abcd" for number in range(60)}
    assert seen == expected
    assert set((await new_names(place.open(), None))[0]) == expected


async def test_a_writer_that_is_killed(place: Place) -> None:
    """What a process said it has kept is there after kill -9, whole, and others go on."""
    reader = place.open()
    for round_ in range(3):
        process = writer(place, f"round{round_}", 100_000)
        assert process.stdout is not None
        said = [process.stdout.readline().decode().strip() for _ in range(30)]
        process.send_signal(signal.SIGKILL)
        said += [line.decode().strip() for line in process.stdout if line.endswith(b"\n")]
        process.wait()
        process.stdout.close()
        names, _ = await new_names(reader, None)
        assert set(said) <= set(names)
        assert all(name.startswith(("round", "after-")) for name in names)
        await reader.add([session(f"after-{round_}")])


# ------------------------------------------------------------------------------------------------ SQLite


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Place]:
    found = Place(f"sqlite://{tmp_path}/store/revocations.sqlite")
    yield found
    for store in found.opened:
        await store.aclose()


def path_of(place: Place) -> Path:
    return Path(place.url.removeprefix("sqlite://"))


async def test_the_file_is_for_nobody_else(file: Place) -> None:
    """Folder and files can be read by their owner alone, those that SQLite adds as well."""
    await file.open().add([session("a")])
    files = sorted(path_of(file).parent.iterdir())
    assert len(files) == 3
    assert {found.stat().st_mode & 0o777 for found in files} == {0o600}
    assert path_of(file).parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_was_replaced(file: Place, tmp_path: Path) -> None:
    """Who has the old file open reads the new one, as a whole."""
    reader = file.open()
    await reader.add([session("a"), session("b")])
    _, position = await new_names(reader, None)
    other = Place(f"sqlite://{tmp_path}/other/revocations.sqlite")
    store = other.open()
    await store.add([session("c")])
    await store.aclose()
    for found in path_of(file).parent.iterdir():
        found.unlink()
    path_of(other).rename(path_of(file))
    page = await reader.read(position)
    assert ([r.value for r in page.revocations], page.complete) == (["c"], True)


async def test_a_file_that_was_taken_away(file: Place) -> None:
    """A gateway makes a new one; a command, which must not, fails."""
    store, command = file.open(), file.open(create=False)
    await store.add([session("a")])
    _, position = await new_names(store, None)
    for found in path_of(file).parent.iterdir():
        found.unlink()
    with pytest.raises(StoreError, match="there is no such file"):
        await command.add([session("b")])
    page = await store.read(position)
    assert (page.revocations, page.complete) == ((), True)
    await command.add([session("b")])
    assert (await new_names(store, None))[0] == ["b"]


async def test_a_folder_in_its_place(file: Place) -> None:
    """What is no file is a failure in one line, until it is one again."""
    path_of(file).mkdir(parents=True)
    store = file.open()
    with pytest.raises(StoreError) as caught:
        await store.read(None)
    assert "\n" not in str(caught.value)
    path_of(file).rmdir()
    await store.add([session("a")])


async def test_a_file_that_is_no_database(file: Place) -> None:
    """Another file's content is never taken for an empty list."""
    path_of(file).parent.mkdir()
    path_of(file).write_text("[section]\nkey = value\n" * 50)
    with pytest.raises(StoreError, match="not a database"):
        await file.open().read(None)
    with pytest.raises(ConfigurationError, match="not a database"):
        file.open().prepare()
    assert path_of(file).read_text().startswith("[section]")


async def test_a_file_of_another_version(file: Place) -> None:
    """A file with other tables is left alone."""
    file.open().prepare()
    with sqlite3.connect(path_of(file)) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(StoreError, match="version 2"):
        await file.open().add([session("a")])


async def test_a_file_that_is_held(file: Place) -> None:
    """Reading goes on while somebody writes; a writer waits, and fails when it takes too long."""
    store = file.open()
    await store.add([session("a")])
    holder = sqlite3.connect(path_of(file), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert (await new_names(store, None))[0] == ["a"]
    with pytest.raises(StoreError, match="locked"):
        await store.add([session("b")])
    holder.execute("ROLLBACK")
    holder.close()
    await store.add([session("c")])
    assert (await new_names(store, None))[0] == ["a", "c"]


async def test_a_start_while_the_file_is_held(file: Place) -> None:
    """What may pass is no mistake in the settings."""
    file.open().prepare()
    holder = sqlite3.connect(path_of(file), isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    file.open().prepare()
    holder.execute("ROLLBACK")
    holder.close()


FULL = """
import asyncio, sys
from auth_server.identity.revocation_list import Revocation, RevocationKind
from auth_server.stores import StoreError, open_store

async def main(url):
    store = open_store(url)
    store.prepare()
    for number in range(100_000):
        try:
            await store.add([Revocation(RevocationKind.SESSION, f"{number:06d}" * 100, 1, 4e9)])
        except StoreError as error:
            page = await store.read(None)
            assert len(page.revocations) == number, (len(page.revocations), number)
            print(number, error)
            return
        if number == 5:
            await store.aclose()
            store = open_store(url)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_disk_that_is_full(file: Place) -> None:
    """What does not fit fails; what was kept before can still be read, and is there for the next start."""

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    done = subprocess.run(
        [sys.executable, "-c", FULL, file.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=little_room,
    )
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split()[0])
    assert count > 10
    store = file.open()
    names, _ = await new_names(store, None)
    assert len(names) == count
    await store.add([session("after")])


READ_ONLY = """
import asyncio, os, sys
import concurrent.futures.thread  # while the interpreter's files can be read
from auth_server.errors import ConfigurationError
from auth_server.identity.revocation_list import Revocation, RevocationKind
from auth_server.stores import StoreError, open_store

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
store = open_store(sys.argv[1])
try:
    store.prepare()
except ConfigurationError as error:
    print(error)
try:
    asyncio.run(store.add([Revocation(RevocationKind.SESSION, "x", 1, 4e9)]))
except StoreError as error:
    print(error)
"""


async def test_a_file_that_may_only_be_read() -> None:
    """A store that may not be written is a mistake in the settings, and a failure; nothing is written."""
    with tempfile.TemporaryDirectory() as folder:
        file = Place(f"sqlite://{folder}/revocations.sqlite")
        store = file.open()
        await store.add([session("a")])
        await store.aclose()
        Path(folder).chmod(0o755)
        path_of(file).chmod(0o444)
        argv = [sys.executable, "-c", READ_ONLY, file.url]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        mistake, failure = done.stdout.splitlines()
        assert mistake.startswith(f"REVOCATION_URL: {path_of(file)} cannot be used (Permission denied)")
        assert "PermissionError" in failure
        path_of(file).chmod(0o600)
        store = file.open()
        assert (await new_names(store, None))[0] == ["a"]
        await store.aclose()


async def test_a_closed_store(file: Place) -> None:
    """After its end a store opens nothing again."""
    store = file.open()
    await store.aclose()
    with pytest.raises(StoreError, match="closed"):
        await store.read(None)


# ------------------------------------------------------------------------------------------------- Redis


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
