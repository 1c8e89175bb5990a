"""What every store promises, held against a real SQLite file and a real Redis server."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth_server.stores.revocation_list import Revocation, RevocationKind, RevocationList

if TYPE_CHECKING:
    pass

from support.store_place import FAR, Place, new_names, session

pytestmark = pytest.mark.anyio


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
    there = RevocationList((await store.read(None)).revocations)
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
    (merged,) = RevocationList((await store.read(None)).revocations)
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
from auth_server.stores.revocation_list import Revocation, RevocationKind
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
        process.communicate()
        assert process.returncode == 0
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
