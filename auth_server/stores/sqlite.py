"""Revocations in a SQLite file: one machine, shared by all its workers and commands."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from auth_server.errors import ConfigurationError, Mistake
from auth_server.stores.base import Page, StoreError, one_line
from auth_server.stores.revocation_list import Revocation, RevocationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

_BUSY_SECONDS = 3.0
_VERSION = 1

# SQLite has one writer at a time, so that numbers are given in the order of the commits: whoever has seen
# number 7 has seen all before it. AUTOINCREMENT never gives a number twice.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS revocations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'user', 'client')),
    value TEXT NOT NULL CHECK (value <> ''),
    revoked_at REAL NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS revocations_by_name ON revocations (kind, value);
CREATE TABLE IF NOT EXISTS kept (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    expires_at REAL NOT NULL
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""

_ADD = """
INSERT INTO revocations (kind, value, revoked_at, expires_at) SELECT :kind, :value, :revoked_at, :expires_at
WHERE NOT EXISTS (
    SELECT 1 FROM revocations
    WHERE kind = :kind AND value = :value AND revoked_at >= :revoked_at AND expires_at >= :expires_at
)
"""
_READ = """
SELECT number, kind, value, revoked_at, expires_at FROM revocations WHERE number > ? ORDER BY number
"""


class SqliteStore:
    """One connection, used by one thread at a time; a file that was replaced is opened anew."""

    kind = "sqlite"

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path
        self._create = create
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._opened = 0  # times; numbers of another opening may be those of another file
        self._closed = False

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    def prepare(self) -> None:
        """Open the file once, and make it where there is none, if that is asked for; else only look.

        Raises ConfigurationError where it cannot be used. A full disk, or a file that somebody holds, passes.
        """
        try:
            if self._create or self._path.exists():
                self._locked(lambda _: None)
            else:
                _check_folder(self._path.parent)
        except (sqlite3.Error, OSError) as error:
            if _may_pass(error):
                return
            reason = getattr(error, "strerror", None) or str(error)
            message = (
                f"{self._path} cannot be used ({reason}); name a file that this user may write, "
                "such as sqlite:///var/lib/mcp-auth-server/revocations.sqlite"
            )
            raise ConfigurationError([Mistake("REVOCATION_URL", message)]) from None
        finally:
            with self._lock:
                self._disconnect()

    async def add(self, revocations: Iterable[Revocation]) -> None:
        """Keep these until they end."""
        rows = [
            {"kind": r.kind.value, "value": r.value, "revoked_at": r.revoked_at, "expires_at": r.expires_at}
            for r in revocations
        ]

        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_ADD, rows)

        await self._run(work)

    async def read(self, after: str | None) -> Page:
        """Return what was added since, or everything where the file is not the one of that position."""

        def work(connection: sqlite3.Connection) -> Page:
            opened, _, number = (after or "").partition(":")
            complete = opened != str(self._opened)
            last = 0 if complete else int(number)
            rows = connection.execute(_READ, (last,)).fetchall()
            found = tuple(Revocation(RevocationKind(row[1]), *row[2:]) for row in rows)
            last = rows[-1][0] if rows else last
            return Page(found, f"{self._opened}:{last}", complete)

        return await self._run(work)

    async def prune(self, now: float) -> None:
        """Drop what has ended."""

        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("DELETE FROM revocations WHERE expires_at <= ?", (now,))
                connection.execute("DELETE FROM kept WHERE expires_at <= ?", (now,))

        await self._run(work)

    async def put(self, key: str, value: bytes, expires_at: float) -> None:
        """Keep a value in place of any before it."""
        await self._execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", key, value, expires_at)

    async def get(self, key: str) -> bytes | None:
        """Return the value, None where there is none or it has ended."""

        def work(connection: sqlite3.Connection) -> bytes | None:
            asked = (key, time.time())
            row = connection.execute("SELECT value FROM kept WHERE key = ? AND expires_at > ?", asked)
            found: tuple[bytes] | None = row.fetchone()
            return found[0] if found else None

        return await self._run(work)

    async def delete(self, pattern: str) -> None:
        """Drop every value whose key matches."""
        await self._execute("DELETE FROM kept WHERE key GLOB ?", pattern)

    async def swap(self, key: str, old: bytes, new: bytes, expires_at: float) -> bool:
        """Put `new` in the place of exactly `old`."""
        statement = "UPDATE kept SET value = ?, expires_at = ? WHERE key = ? AND value = ? AND expires_at > ?"
        return await self._execute(statement, new, expires_at, key, old, time.time()) == 1

    async def aclose(self) -> None:
        """Close the file."""

        def close() -> None:
            with self._lock:
                self._closed = True
                self._disconnect()

        await asyncio.to_thread(close)

    async def _execute(self, statement: str, *values: object) -> int:
        return await self._run(lambda connection: connection.execute(statement, values).rowcount)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.to_thread(self._locked, work)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(one_line(error)) from None

    def _locked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the store is closed")
            try:
                return work(self._connected())
            except (sqlite3.Error, OSError):
                self._disconnect()  # an open transaction ends with it; the next use starts afresh
                raise

    def _connected(self) -> sqlite3.Connection:
        found = _identity(self._path)
        # While it is open here no other file can have its inode: a different one means that the path was
        # taken away or replaced, and that this connection is to something nobody else will read.
        if self._connection is None or found is None or found != self._file:
            self._disconnect()
            if found is None and not self._create:
                raise FileNotFoundError("there is no such file")
            self._open()
        assert self._connection is not None  # noqa: S101 - for the type checker
        return self._connection

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its own files beside this one the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._file = _identity(self._path)
        self._connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._opened += 1
        _use_wal(self._connection)
        self._connection.execute("PRAGMA synchronous = FULL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._connection.executescript(_SCHEMA)
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"the file has version {version} of the tables, not {_VERSION}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers go on while somebody writes. SQLite's own waiting does not cover this change."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # between two tries
        else:
            return


def _check_folder(folder: Path) -> None:
    """Raise OSError where this folder could not be made or written."""
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _may_pass(error: sqlite3.Error | OSError) -> bool:
    """Tell whether waiting may help, as opposed to another setting."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
