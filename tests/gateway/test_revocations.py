"""What was ended is refused everywhere: in every worker of every gateway, through nginx."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import cognito, composed, processes
from support.composed import ComposedValkey
from support.door import Door, call, compact, mint
from support.gateway import SECRET_KEY, environment, run_to_end, running
from support.load import Load
from support.redis_server import serving
from support.waiting import until

from auth_server.identity import session_cookie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.backend import Backend
    from support.jwks_server import JwksServer
    from support.redis_server import RedisServer

CALL = compact(call())
# Until every worker knows; beyond that, what a busy machine needs.
IN_FORCE, SLACK = 1, 2.5
OPTIONS = ("--workers", "2", "--nginx-workers", "2")
REVOKE = ("exec", "-T", "auth-server", "auth-server", "revoke")


def cookie(username: str, sid: str) -> dict[str, str | None]:
    """Return the headers of a person with a session."""
    session = session_cookie.Session(username, ("readers",), sid)
    value = session_cookie.mint(session, [SECRET_KEY], now=time.time() - 5)
    return {"Authorization": None, "Cookie": f"mcp_gateway_session={value}"}


def token(kind: str, **changes: object) -> dict[str, str | None]:
    """Return the headers of a program with a token."""
    return {"Authorization": f"Bearer {mint(kind, **changes)}"}


def statuses(door: Door, who: dict[str, str | None], count: int = 12) -> set[int]:
    """Return what that many connections are told: enough to meet every worker."""
    return {door.post(CALL, replace=who).status for _ in range(count)}


def lets_in(door: Door, who: dict[str, str | None]) -> bool:
    """Tell whether any worker lets them in."""
    return 200 in statuses(door, who)


def refuses(door: Door, who: dict[str, str | None]) -> bool:
    """Tell whether every worker refuses them by now."""
    return statuses(door, who) == {401}


def refused(who: dict[str, str | None], *doors: Door) -> bool:
    """Tell whether every worker refuses them; none may let them in, whoever is not there yet."""
    found = set[int]().union(*(statuses(door, who) for door in doors))
    assert 200 not in found
    return found == {401}


def in_force() -> None:
    """Wait for as long as a revocation may take: nginx's kept connections do not lead a test to every worker."""
    since = time.monotonic()
    until(
        lambda: time.monotonic() > since + IN_FORCE + SLACK,
        "every worker knows",
        seconds=2 * (IN_FORCE + SLACK),
    )


def revoke(environ: dict[str, str], cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return run_to_end(["revoke", *arguments], environ, cwd=cwd)


@dataclass
class Pair:
    """Two gateways of two workers each, and the store that they share. In containers, one nginx before two sidecars."""

    doors: list[Door]
    server: RedisServer | ComposedValkey
    revoke: Callable[..., subprocess.CompletedProcess[str]]

    def all(self, who: dict[str, str | None]) -> set[int]:
        """Return what any worker of either gateway says."""
        return statuses(self.doors[0], who) | statuses(self.doors[1], who)

    def refuses(self, who: dict[str, str | None]) -> bool:
        """Tell whether every worker of both refuses them."""
        return self.all(who) == {401}


@pytest.fixture
def pair(
    backends: tuple[Backend, Backend], key_server: JwksServer, scopes: Path, tmp_path: Path
) -> Iterator[Pair]:
    for backend in backends:
        backend.reset()
    servers = {"time": backends[0].url}
    with contextlib.ExitStack() as stack:
        if composed.CHOSEN:
            environ = environment(key_server.url, scopes, REVOCATION_URL=ComposedValkey.url)
            gateway = stack.enter_context(composed.running(servers, environ, *OPTIONS, cwd=tmp_path))
            door = Door(gateway, *backends, mint(), scopes)  # type: ignore[arg-type]  # as good as a Gateway
            command = partial(gateway.stack.compose, *REVOKE, check=False)
            yield Pair([door, door], ComposedValkey(gateway.stack), command)
            return
        server = stack.enter_context(serving(tmp_path / "redis"))
        environ = environment(key_server.url, scopes, REVOCATION_URL=server.url)
        doors = [
            Door(
                stack.enter_context(running(servers, environ, *OPTIONS, cwd=tmp_path)),
                *backends,
                mint(),
                scopes,
            )
            for _ in range(2)
        ]
        yield Pair(doors, server, partial(revoke, environ, tmp_path))


def test_every_kind_in_every_worker(pair: Pair) -> None:
    """A cookie, a person's token and an agent's end on both gateways, by id or by name; those of others go on."""
    ends = {
        "a session by its id": (cookie("ada", "sid-1"), ("--session", "sid-1")),
        "a session by its user": (cookie("uma", "sid-2"), ("--user", "uma")),
        "a person's token by its id": (token("access", jti="jti-3"), ("--session", "jti-3")),
        "a person's token by its user": (token("access", username="eve", jti="4"), ("--user", "eve")),
        "an agent's token by its id": (token("agent", jti="jti-5"), ("--session", "jti-5")),
        "an agent's token by its client": (token("agent", jti="jti-6"), ("--client", cognito.AGENT)),
    }
    others = [cookie("bob", "sid-7"), token("access", username="bob", jti="jti-8")]
    for which, (who, arguments) in ends.items():
        assert pair.all(who) == {200}, which
        done = pair.revoke(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), which
        until(partial(pair.refuses, who), which, seconds=IN_FORCE + SLACK)
    assert [pair.all(other) for other in others] == [{200}, {200}]
    answer = pair.doors[1].post(CALL, replace=ends["a session by its id"][0])
    assert answer.header("X-Auth-Error") == "REVOKED"


def test_signing_out_on_one_gateway(pair: Pair) -> None:
    """Whoever ends a session at one gateway has ended every copy of the cookie at the other."""
    who = cookie("ada", "sid-1")
    assert pair.all(who) == {200}
    answer = pair.doors[0].get("/session", method="DELETE", replace=who)
    assert answer.status == 204
    until(lambda: pair.all(who) == {401}, "it is refused on both", seconds=IN_FORCE + SLACK)


@pytest.mark.parametrize("empty", [False, True])
def test_a_store_that_is_killed_under_load(pair: Pair, empty: bool) -> None:
    """kill -9 of the store: nobody who was ended gets in, nobody else is held up, and it comes back whole."""
    good, bad = cookie("ada", "good"), cookie("eve", "bad")
    first, second = pair.doors
    assert pair.revoke("--session", "bad").returncode == 0
    in_force()
    assert pair.all(bad) == {401}
    requests = [door_message(first, who) for who in (good, bad)]
    with Load(first.gateway.address, requests, 60) as one, Load(second.gateway.address, requests, 60) as two:
        until(lambda: one.sent > 40 and two.sent > 40, "the load is under way")
        pair.server.kill()
        until(lambda: "the store is down" in first.gateway.log, "one notices")
        until(lambda: "the store is down" in second.gateway.log, "the other notices")
        done = pair.revoke("--user", "ada")
        assert done.returncode == 1
        assert "nothing was ended: redis" in done.stderr
        sent = one.sent, two.sent
        until(lambda: one.sent > sent[0] + 80 and two.sent > sent[1] + 80, "the load without a store")
        pair.server.start(empty=empty)
        until(lambda: "the store is back" in first.gateway.log, "one follows again")
        until(lambda: "the store is back" in second.gateway.log, "the other follows again")
        sent = one.sent, two.sent
        until(lambda: one.sent > sent[0] + 80 and two.sent > sent[1] + 80, "the load with the store again")
    assert set(one.seen) == set(two.seen) == {(0, 200), (1, 401)}
    # A worker that starts only now has nothing but the store to learn from.
    until(lambda: pair.server.length("mcp-auth-server:revocations") >= 1, "the list is put back")
    for door in pair.doors:
        kill_workers(door)
        until(partial(lets_in, door, good), "somebody is there again", seconds=20)
    until(lambda: refused(bad, *pair.doors), "all are there again, and know", seconds=20)
    assert pair.all(good) == {200}
    assert pair.revoke("--user", "ada").returncode == 0
    until(partial(pair.refuses, good), "the store takes it again", seconds=IN_FORCE + SLACK)


def test_a_worker_that_starts_without_the_store(pair: Pair) -> None:
    """It knows nothing of what was ended, and so it lets nobody in until it does."""
    (door, _) = pair.doors
    good, bad = cookie("ada", "good"), cookie("eve", "bad")
    assert pair.revoke("--session", "bad").returncode == 0
    until(lambda: pair.all(bad) == {401}, "it is refused", seconds=IN_FORCE + SLACK)
    pair.server.kill()
    until(lambda: "the store is down" in door.gateway.log, "it is noticed")
    kill_workers(door)
    # At first nobody is there, then somebody who cannot know.
    until(lambda: statuses(door, good) == {503}, "new workers are there", seconds=20)
    answer = door.post(CALL, replace=good)
    assert answer.header("X-Auth-Error") == "AUTH_UNAVAILABLE"
    assert 200 not in statuses(door, bad)
    pair.server.start()
    until(lambda: refused(bad, door), "they know", seconds=20)
    assert statuses(door, good) == {200}


@pytest.fixture
def alone(
    backends: tuple[Backend, Backend], key_server: JwksServer, scopes: Path, tmp_path: Path
) -> Iterator[tuple[Door, dict[str, str]]]:
    """A gateway with the default store: a file in its state folder."""
    for backend in backends:
        backend.reset()
    environ = environment(key_server.url, scopes)
    with running({"time": backends[0].url}, environ, *OPTIONS, cwd=tmp_path) as gateway:
        yield Door(gateway, *backends, mint(), scopes), environ


def test_the_default_store(alone: tuple[Door, dict[str, str]], tmp_path: Path) -> None:
    """Without a setting, the command ends what the gateway of the same user serves; a new worker knows as well."""
    door, environ = alone
    who, other = cookie("uma", "sid-1"), cookie("ada", "sid-2")
    assert statuses(door, who) == {200}
    done = revoke(environ, tmp_path, "--user", "uma")
    assert done.returncode == 0, done.stderr
    assert f"{environ['STATE_DIRECTORY']}/revocations.sqlite" in done.stdout
    until(lambda: statuses(door, who) == {401}, "every worker", seconds=IN_FORCE + SLACK)
    kill_workers(door)
    until(lambda: refused(who, door), "new workers know", seconds=20)
    assert statuses(door, other) == {200}


def test_a_command_that_is_killed(alone: tuple[Door, dict[str, str]], tmp_path: Path) -> None:
    """kill -9 of `revoke` at any moment: what it said is so, and neither the file nor the gateway suffers."""
    door, environ = alone
    said = []
    for number in range(1, 9):
        argv = [sys.executable, "-m", "auth_server", "revoke", "--session", f"sid-{number}"]
        process = subprocess.Popen(
            argv, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        # The one place where a moment is to be hit, whichever: from before it begins to after its end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(number / 10)
        process.kill()
        out, _ = process.communicate()
        if b"has ended" in out:
            said.append(number)
    assert revoke(environ, tmp_path, "--session", "sid-last").returncode == 0
    for name in (*said, "last"):
        who = cookie("ada", f"sid-{name}")
        until(partial(refuses, door, who), f"sid-{name}", seconds=IN_FORCE + SLACK)
    assert statuses(door, cookie("ada", "sid-other")) == {200}


def test_a_file_that_is_lost(alone: tuple[Door, dict[str, str]], tmp_path: Path) -> None:
    """Where the file is taken away under a running gateway, its workers write the list anew."""
    door, environ = alone
    who, other = cookie("uma", "sid-1"), cookie("ada", "sid-2")
    assert revoke(environ, tmp_path, "--session", "sid-1").returncode == 0
    until(lambda: statuses(door, who) == {401}, "every worker", seconds=IN_FORCE + SLACK)
    for file in Path(environ["STATE_DIRECTORY"]).iterdir():
        file.unlink()
    until(lambda: "put back" in door.gateway.log, "a worker notices")
    assert revoke(environ, tmp_path, "--session", "sid-2").returncode == 0
    until(lambda: statuses(door, other) == {401}, "the new file is followed", seconds=IN_FORCE + SLACK)
    kill_workers(door)
    until(lambda: refused(who, door) and refused(other, door), "new workers know", seconds=20)


def door_message(door: Door, who: dict[str, str | None]) -> bytes:
    """Return a call by that person."""
    return door.message(CALL, replace=who)


def kill_workers(door: Door) -> None:
    """End the sidecar's workers as a power cut would."""
    workers = door.gateway.children("spawn_main")
    assert len(workers) >= 2
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not processes.alive(workers), "they are dead")
