"""What is a file's own: who may read it, what becomes of it, and who holds it."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from auth_server.errors import ConfigurationError
from auth_server.stores import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


from support.store_place import Place, new_names, session

pytestmark = pytest.mark.anyio


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


@pytest.mark.usefixtures("short_waits_for_a_file")
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


@pytest.mark.usefixtures("short_waits_for_a_file")
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
from auth_server.stores.revocation_list import Revocation, RevocationKind
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
from auth_server.stores.revocation_list import Revocation, RevocationKind
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
