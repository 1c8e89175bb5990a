"""`auth-server revoke`: the store has it, or the command fails."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from support.command import Command
from support.shared_machine import free_port

from auth_server.identity.revocations import AHEAD, Revocation, RevocationKind
from auth_server.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command with a store that a gateway has made."""
    url = f"sqlite://{tmp_path}/store/revocations.sqlite"
    open_store(url).prepare()
    return Command(tmp_path, monkeypatch, capsys, {"REVOCATION_URL": url})


def kept(command: Command) -> list[Revocation]:
    """Return what the store holds."""

    async def read() -> list[Revocation]:
        store = open_store(command.settings["REVOCATION_URL"] or "", create=False)
        try:
            return list((await store.read(None)).revocations)
        finally:
            await store.aclose()

    return asyncio.run(read())


@pytest.mark.parametrize("kind", RevocationKind)
def test_it_is_in_the_store(command: Command, kind: RevocationKind) -> None:
    """What the command says was ended, the store has; for a user or client with what comes right after."""
    outcome = command("revoke", f"--{kind.value}", "uma")
    assert (outcome.code, outcome.err) == (0, "")
    assert "uma" in outcome.out
    assert "within 1 s" in outcome.out
    assert str(command.folder / "store/revocations.sqlite") in outcome.out
    (found,) = kept(command)
    assert (found.kind, found.value) == (kind, "uma")
    ahead = 0 if kind is RevocationKind.SESSION else AHEAD
    assert -5 < found.revoked_at - ahead - time.time() <= 0
    assert found.expires_at > found.revoked_at + 86_400


def test_json(command: Command) -> None:
    """For programs."""
    answer = json.loads(command("revoke", "--client", "7agent", "--json").out)
    assert answer.pop("issued_until").endswith("Z")
    place = f"sqlite {command.folder}/store/revocations.sqlite"
    assert answer == {"kind": "client", "value": "7agent", "within_seconds": 1.0, "store": place}


def test_a_session_lasts_as_long_as_the_setting_says(command: Command) -> None:
    """A revocation is kept for the longest life of any credential."""
    assert command("revoke", "--session", "sid", SESSION_MAX_AGE="1000000").code == 0
    (found,) = kept(command)
    assert found.expires_at - found.revoked_at > 1_000_000


def test_no_store(command: Command) -> None:
    """A file that no gateway has made would be one that no gateway reads: it is not made here either."""
    outcome = command("revoke", "--user", "uma", REVOCATION_URL=None)
    assert outcome.code == 1
    assert outcome.errors[0].startswith("auth-server: nothing was ended: sqlite ")
    assert str(command.folder / "state/revocations.sqlite") in outcome.err
    assert not (command.folder / "state").exists()


def test_no_state_folder(command: Command) -> None:
    """Without a home, nobody guesses where the store might be."""
    command.settings = dict.fromkeys(("REVOCATION_URL", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"))
    outcome = command("revoke", "--user", "uma")
    assert outcome.code == 1
    assert outcome.errors[0].startswith("auth-server: REVOCATION_URL: there is no folder")


def test_a_store_that_is_down(command: Command) -> None:
    """Exit 1 and one line that says which store, without its password."""
    url = f"redis://:pass-word@127.0.0.1:{free_port()}/0"
    done = command.process("revoke", "--session", "sid", REVOCATION_URL=url)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("auth-server: nothing was ended: redis 127.0.0.1:")
    assert "pass-word" not in line


@pytest.mark.usefixtures("short_waits_for_a_file")
def test_a_store_that_somebody_holds(command: Command) -> None:
    """A file that is locked for longer than one waits is a failure, and nothing is kept of it."""
    path = command.folder / "store/revocations.sqlite"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    outcome = command("revoke", "--session", "sid")
    holder.execute("ROLLBACK")
    holder.close()
    assert outcome.code == 1
    assert "database is locked" in outcome.err
    assert kept(command) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--user"],
        ["--user", ""],
        ["--user", " "],
        ["--session", "a\nb"],
        ["--user", "uma", "--session", "sid"],
        ["uma"],
    ],
)
def test_wrong_use(command: Command, arguments: list[str]) -> None:
    """It is said whom, once, or nothing happens."""
    outcome = command("revoke", *arguments)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (2, "", 1)
    assert kept(command) == []
