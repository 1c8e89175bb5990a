"""`auth-server revoke`: the store has it, or the command fails."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from support.cli import Command
from support.gateway import free_port

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
        store = open_store(command.settings["REVOCATION_URL"], create=False)
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
    absent = dict.fromkeys(("REVOCATION_URL", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"))
    outcome = command("revoke", "--user", "uma", **absent)
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


def test_check_names_the_store(command: Command) -> None:
    """`check` says where revocations are kept and how far that reaches; it makes no file itself."""
    more = {"COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI", "REVOCATION_URL": None}
    command.write("scopes.yml", "a/b: [{server: x, methods: ['*']}]\n")
    outcome = command("check", **more)
    assert f"sqlite {command.folder}/state/revocations.sqlite, for this machine alone" in outcome.out
    assert not (command.folder / "state").exists()
    outcome = command("check", **more | {"REVOCATION_URL": "redis://:pass-word@valkey:6379/3"})
    assert "redis valkey:6379/3, for every machine" in outcome.out
    assert "pass-word" not in outcome.out


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(
            (name, path)
            for name in ("check", "serve", "gateway")
            for path in ("/dev/null/x/r.sqlite", "/dev")
        ),
        # A folder that takes nothing, though nobody forbids it: found by trying, which `check` does not.
        ("serve", "/proc/none/r.sqlite"),
        ("gateway", "/sys/r.sqlite"),
    ],
)
def test_a_folder_that_cannot_be_written(command: Command, name: str, path: str) -> None:
    """It is a mistake in the settings, told before anything starts."""
    command.write("scopes.yml", "a/b: [{server: x, methods: ['*']}]\n")
    more = ["--listen", f"127.0.0.1:{free_port()}", "--server", "x=http://127.0.0.1:9"]
    settings = {"COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI", "COGNITO_ALLOWED_CLIENT_IDS": "a"}
    if name != "gateway":
        more = []
    done = command.process(name, *more, **settings, REVOCATION_URL=f"sqlite://{path}")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert "REVOCATION_URL: " in line
    assert f"{path} cannot be used (" in line
