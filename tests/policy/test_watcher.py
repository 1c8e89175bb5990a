import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.waiting import eventually

from auth_server.errors import ConfigurationError
from auth_server.policy import scopes_file, watcher
from auth_server.policy.grants import Policy
from auth_server.policy.watcher import PolicyFile

pytestmark = pytest.mark.anyio

ONE, TWO = "one/x: []\n", "two/x: []\n"
BAD = "bad/x: oops\n"
IN_FORCE_WITHIN = 2.0
OFTEN = 0.05  # seconds between two looks, where how soon something is seen is not the question


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a good file."""
    made = tmp_path / "scopes.yml"
    made.write_text(ONE)
    return made


@asynccontextmanager
async def watched(path: Path, **interval: float) -> AsyncIterator[PolicyFile]:
    """Load the file and follow it while the test runs, as the sidecar does where no interval is given."""
    file = PolicyFile(path)
    file.load_first()
    task = asyncio.create_task(file.watch(**interval))
    try:
        yield file
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def watched_often(path: Path) -> AsyncIterator[PolicyFile]:
    """Follow the file with looks that come fast, each of which reads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watcher, "CONTENT_SECONDS", OFTEN)
        async with watched(path, interval=OFTEN) as file:
            yield file


async def test_a_good_edit_is_in_force_within_two_seconds(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The new policy replaces the old one whole, and the log says so."""
    caplog.set_level(logging.INFO, "auth_server")
    async with watched(path) as file:
        before, at = file.policy, file.loaded_at
        path.write_text(TWO)
        assert await eventually(lambda: "two/x" in file.policy.scopes) < IN_FORCE_WITHIN
    assert "one/x" in before.scopes
    assert file.loaded_at > at
    assert file.error is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is in force: 1 scopes, digest {file.policy.digest[:12]}"
    ]


async def test_a_bad_edit_leaves_the_policy_and_says_so_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old policy stays, the mistake is named in the log once, and a correction heals it."""
    async with watched_often(path) as file:
        before = file.policy
        path.write_text(BAD)
        await eventually(lambda: file.error is not None)
        await asyncio.sleep(8 * OFTEN)  # more than one look at the file: nothing may come of it
        assert file.policy is before
        assert file.error == (
            "scopes.yml:1: the scope bad/x must be a list of grants, not the text oops; [] grants nothing"
        )
        (record,) = caplog.records
        assert file.error in record.getMessage()
        caplog.set_level(logging.INFO, "auth_server")
        path.write_text(ONE)
        await eventually(lambda: file.error is None)
        assert "again in force" in caplog.records[-1].getMessage()


async def test_a_file_that_goes_away_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Deleting the file keeps the policy and is said once; when it comes back the same, all is well again."""
    async with watched_often(path) as file:
        path.unlink()
        await eventually(lambda: file.error is not None)
        assert "does not exist" in (file.error or "")
        await asyncio.sleep(8 * OFTEN)  # more than one look at the file: nothing may come of it
        assert len(caplog.records) == 1
        assert "one/x" in file.policy.scopes
        path.write_text(ONE)
        await eventually(lambda: file.error is None)


async def test_another_mistake_is_named_in_its_turn(path: Path) -> None:
    """The last failure is the one that is shown, also when an earlier text returns."""
    async with watched_often(path) as file:
        path.write_text(BAD)
        await eventually(lambda: "oops" in (file.error or ""))
        path.unlink()
        await eventually(lambda: "exist" in (file.error or ""))
        path.write_text(BAD)
        await eventually(lambda: "oops" in (file.error or ""))


async def test_a_file_replaced_by_rename_is_seen(path: Path, tmp_path: Path) -> None:
    """Editors write beside and rename."""
    async with watched(path) as file:
        beside = tmp_path / "new"
        beside.write_text(TWO)
        beside.replace(path)
        assert await eventually(lambda: "two/x" in file.policy.scopes) < IN_FORCE_WITHIN


async def test_a_turned_symbolic_link_is_seen(tmp_path: Path) -> None:
    """Kubernetes turns a link to a folder when a ConfigMap changes."""
    for name, text in (("v1", ONE), ("v2", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scopes.yml").write_text(text)
    (tmp_path / "data").symlink_to("v1")
    path = tmp_path / "scopes.yml"
    path.symlink_to("data/scopes.yml")
    async with watched(path) as file:
        (tmp_path / "turned").symlink_to("v2")
        (tmp_path / "turned").replace(tmp_path / "data")
        assert await eventually(lambda: "two/x" in file.policy.scopes) < IN_FORCE_WITHIN


async def test_an_edit_that_no_time_stamp_shows_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where size and times stay as they were, the content tells."""
    monkeypatch.setattr(watcher, "_signature", lambda _: (1, 1, 1, 1, 1))
    async with watched(path) as file:
        stamp = path.stat()
        path.write_text(TWO)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert await eventually(lambda: "two/x" in file.policy.scopes) < IN_FORCE_WITHIN


async def test_a_file_half_written_is_not_believed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is judged only once it was read twice the same."""
    texts = iter([TWO, TWO + "three/x: []\n"])
    final = TWO + "three/x: []\n"
    judged: list[str] = []
    parse = scopes_file.parse

    def noting(text: str, *, source: str) -> object:
        judged.append(text)
        return parse(text, source=source)

    async with watched_often(path) as file:
        monkeypatch.setattr(scopes_file, "read", lambda _: next(texts, final))
        monkeypatch.setattr(scopes_file, "parse", noting)
        await eventually(lambda: "three/x" in file.policy.scopes)
    assert judged == [final]


async def test_a_touched_file_is_not_loaded_again(path: Path) -> None:
    """The same text is the same policy."""
    async with watched_often(path) as file:
        before = file.policy
        path.touch()
        await asyncio.sleep(8 * OFTEN)  # more than one look at the file: nothing may come of it
        assert file.policy is before


async def test_the_watch_survives_what_nobody_expected(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is logged by its kind alone, and looked at again."""

    def broken(_: Path) -> str:
        raise RuntimeError("with a secret")

    async with watched_often(path) as file:
        with monkeypatch.context() as patch:
            patch.setattr(scopes_file, "read", broken)
            path.write_text(TWO)
            await eventually(lambda: file.error == "unexpected RuntimeError")
        await eventually(lambda: "two/x" in file.policy.scopes)
    assert "secret" not in caplog.text


async def test_the_loop_stays_free_while_a_file_is_parsed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing happens beside the event loop: requests do not wait for the file."""
    threads = []
    parse = scopes_file.parse

    def noted(text: str, *, source: str) -> Policy:
        threads.append(threading.get_ident())
        return parse(text, source=source)

    monkeypatch.setattr(scopes_file, "parse", noted)
    async with watched_often(path) as file:
        path.write_text(TWO)
        await eventually(lambda: "two/x" in file.policy.scopes)
    assert threads[-1] != threading.get_ident()


async def test_a_bad_file_is_refused_at_start(path: Path) -> None:
    """Nothing starts with half a policy."""
    path.write_text(BAD)
    file = PolicyFile(path)
    with pytest.raises(ConfigurationError):
        file.load_first()
    assert not hasattr(file, "policy")


async def test_warnings_are_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What may mean less than it seems is in the log when it is loaded."""
    path.write_text("a/b:\n- {server: x, methods: [all]}\n")
    PolicyFile(path).load_first()
    (record,) = caplog.records
    assert record.getMessage().startswith("scopes.yml:2: all is a literal name")
