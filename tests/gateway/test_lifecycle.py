"""Start, stop, death and return of the gateway's processes, and changes of the policy."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Self

import pytest
from support import cognito, processes, raw
from support.door import Door, call, compact, rpc
from support.gateway import Gateway, arguments, command, environment, run_to_end, running, wait_for
from support.shared_machine import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.backend import Backend, Exchange
    from support.jwks_server import JwksServer

CALL = compact(call())
EVIL = compact(call("evil"))


@pytest.fixture
def own(
    backends: tuple[Backend, Backend], key_server: JwksServer, scopes: Path, tmp_path: Path
) -> Iterator[Door]:
    """Start a gateway that a test may kill: two workers of each kind, no decision is used twice."""
    for backend in backends:
        backend.reset()
    first, second = backends
    environ = environment(key_server.url, scopes)
    servers = {"time": first.url, "secret": second.url}
    options = ["--workers", "2", "--nginx-workers", "2"]
    with running(servers, environ, *options, cwd=tmp_path) as gateway:
        yield Door(gateway, first, second, cognito.mint(now=int(time.time())), scopes)


def status(door: Door, body: bytes = CALL) -> int:
    """Return the status of one request, 0 where there is no answer."""
    try:
        with raw.Connection(door.gateway.address, timeout=8) as connection:
            connection.send(door.message(body))
            return connection.answer().status
    except (OSError, raw.ClosedError):
        return 0


class Siege:
    """Somebody who is not permitted, knocking all the time, and everything that was said to them."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stop = threading.Event()
        self.statuses: list[int] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        nobody = self._door.message(CALL, replace={"Authorization": None})
        while not self._stop.is_set():
            self.statuses.append(status(self._door, EVIL))
            try:
                answer = raw.exchange(self._door.gateway.address, nobody, timeout=8)
            except (OSError, raw.ClosedError):
                self.statuses.append(0)
            else:
                self.statuses.append(answer.status)
            self._stop.wait(0.005)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def sidecar(gateway: Gateway) -> list[int]:
    """Return the sidecar's first process."""
    return gateway.children(" serve ")[:1]


def sidecar_worker(gateway: Gateway) -> list[int]:
    """Return one of the sidecar's workers."""
    (first,) = sidecar(gateway)
    return [pid for pid in processes.descendants(first) if "spawn_main" in processes.command(pid)][:1]


def nginx_master(gateway: Gateway) -> list[int]:
    """Return nginx's first process; one that it has just forked bears the same name for a moment."""
    return gateway.children("nginx: master")[:1]


def nginx_worker(gateway: Gateway) -> list[int]:
    """Return one of nginx's workers."""
    return gateway.children("nginx: worker")[:1]


def are_gone(pids: list[int]) -> bool:
    """Tell whether none of these runs any more."""
    return not processes.alive(pids)


def has_another(gateway: Gateway, victim: Callable[[Gateway], list[int]], pid: int) -> bool:
    """Tell whether another process has the place of this one."""
    found = victim(gateway)
    return bool(found) and found != [pid]


@pytest.mark.parametrize("victim", [sidecar, sidecar_worker, nginx_master, nginx_worker])
def test_a_part_that_dies_is_started_again(own: Door, victim: Callable[[Gateway], list[int]]) -> None:
    """kill -9 of any process: it comes back, and meanwhile nobody is let in who may not."""
    until(lambda: status(own) == 200, "the first call")
    with Siege(own) as siege:
        until(lambda: len(siege.statuses) > 10, "the siege is under way")
        for _ in range(2):
            (pid,) = until(lambda: victim(own.gateway), "somebody to kill")
            os.kill(pid, signal.SIGKILL)
            until(partial(are_gone, [pid]), "it is dead")
            until(partial(has_another, own.gateway, victim, pid), "another has its place")
            until(lambda: [status(own) for _ in range(8)] == [200] * 8, "calls get through again", seconds=20)
    assert set(siege.statuses) <= {0, 401, 403, 502, 503}
    assert {401, 403} <= set(siege.statuses)
    assert {seen.body for seen in own.backend.requests} == {CALL}


def family(gateway: Gateway) -> list[int]:
    """Return all processes of a gateway."""
    return [gateway.process.pid, *processes.descendants(gateway.process.pid)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_leaves_nothing(own: Door, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end every process within seconds, free the port, and are no failure."""
    pids = family(own.gateway)
    assert len(pids) >= 7
    assert status(own) == 200
    assert own.gateway.stop(number) in {0, 130}
    assert processes.alive(pids) == []
    assert status(own) == 0
    with socket.create_server(own.gateway.address):
        pass
    assert "Traceback" not in own.gateway.log


def test_stopping_does_not_wait_for_a_stream(own: Door) -> None:
    """An open event stream does not hold the end up."""

    async def behaviour(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.until_gone()

    own.backend.behaviour = behaviour
    with raw.Connection(own.gateway.address) as connection:
        connection.send(
            own.message(b"", method="GET", replace={"Content-Length": None, "Content-Type": None})
        )
        assert connection.head()[0] == 200
        pids = family(own.gateway)
        began = time.monotonic()
        own.gateway.stop()
        assert time.monotonic() - began < 12
        assert processes.alive(pids) == []


def test_kill_9_of_the_supervisor_leaves_nothing(own: Door) -> None:
    """Where the supervisor has no chance to clean up, its children end all the same."""
    pids = family(own.gateway)
    own.gateway.process.send_signal(signal.SIGKILL)
    own.gateway.process.wait(5)
    until(partial(are_gone, pids), "nothing is left", seconds=10)
    assert status(own) == 0


def has_begun(gateway: Gateway, children: int) -> bool:
    """Tell whether it has started more than so many processes."""
    return len(family(gateway)) > children


def test_a_stop_while_starting(key_server: JwksServer, scopes: Path, tmp_path: Path) -> None:
    """SIGTERM right after the start ends it as well, at whatever point."""
    argv = arguments(free_port(), {"time": "http://127.0.0.1:9"})
    environ = environment(key_server.url, scopes)
    for children in (0, 1, 2):
        with command(argv, environ, cwd=tmp_path) as gateway:
            until(partial(has_begun, gateway, children), "it has begun")
            pids = family(gateway)
            gateway.stop()
            until(partial(are_gone, pids), "nothing is left")


def in_force(door: Door) -> set[int]:
    """Return what many connections are told, over every worker."""
    return {status(door, EVIL) for _ in range(24)}


def test_an_edit_is_in_force_in_every_worker(own: Door) -> None:
    """A good edit of scopes.yml counts within 2 s in every worker; a bad one leaves the old policy."""
    assert in_force(own) == {403}
    text = own.scopes.read_text()
    own.scopes.write_text(text.replace("[granted, ", "[granted, evil, ", 1))
    until(lambda: in_force(own) == {200}, "the grant", seconds=2.5)
    own.scopes.write_text("mcp/read: [}")
    until(lambda: "not in force" in own.gateway.log, "the complaint", seconds=3)
    assert in_force(own) == {200}
    own.scopes.unlink()
    until(lambda: "does not exist" in own.gateway.log, "the second complaint", seconds=3)
    assert in_force(own) == {200}
    # As editors and Kubernetes do it: another file takes its name.
    other = own.scopes.with_suffix(".new")
    other.write_text(text)
    other.rename(own.scopes)
    until(lambda: in_force(own) == {403}, "the grant is gone", seconds=2.5)


BAD_SETTINGS = {
    "no pool": {"COGNITO_USER_POOL_ID": ""},
    "a weak key": {"SECRET_KEY": "secret"},
    "no such file": {"SCOPES_FILE": "/nonexistent/scopes.yml"},
    "no number": {"SESSION_MAX_AGE": "soon"},
    "no URL": {"GATEWAY_URL": "gateway"},
    "another region": {"AWS_REGION": "us-east-1"},
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_bad_settings(key_server: JwksServer, scopes: Path, tmp_path: Path, case: str) -> None:
    """A mistake in the settings is one line with the remedy, exit 1, and nothing starts."""
    environ = environment(key_server.url, scopes) | BAD_SETTINGS[case]
    done = run_to_end(arguments(free_port(), {"time": "http://127.0.0.1:9"}), environ, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    name, value = next(iter(BAD_SETTINGS[case].items()))
    assert line.startswith(f"auth-server: {value if case == 'no such file' else name}")
    assert "secret" not in line.replace("SECRET_KEY", "")


BAD_SCOPES = {
    "empty": "",
    "no YAML": "mcp/read: [}",
    "unknown key": "mcp/read:\n  - server: time\n    methods: [ping]\n    tool: [x]\n",
    "wrong type": "mcp/read:\n  - server: time\n    methods: ping\n",
    "a group of nothing": "mcp/read: [{server: time, methods: [ping]}]\ngroup_mappings: {x: [mcp/reed]}\n",
    "a duplicate": "mcp/read:\n  - {server: time, methods: [ping], methods: ['*']}\n",
}


@pytest.mark.parametrize("case", BAD_SCOPES)
def test_bad_scopes(key_server: JwksServer, scopes: Path, tmp_path: Path, case: str) -> None:
    """A mistake in scopes.yml is one line with its place, exit 1; nothing starts with half a policy."""
    scopes.write_text(BAD_SCOPES[case])
    argv = arguments(free_port(), {"time": "http://127.0.0.1:9"})
    done = run_to_end(argv, environment(key_server.url, scopes), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("auth-server: scopes.yml:")


BAD_ARGUMENTS = {
    "server without a URL": (["--server", "time"], 1),
    "server without a scheme": (["--server", "time=127.0.0.1:80"], 1),
    "server in capitals": (["--server", "Time=http://127.0.0.1:80"], 1),
    "server of ours": (["--server", "gateway=http://127.0.0.1:80"], 1),
    "server with a query": (["--server", "time=http://127.0.0.1:80/?x"], 1),
    "server with a user": (["--server", "time=http://u:p@127.0.0.1:80"], 1),
    "configuration in a URL": (["--server", "time=http://127.0.0.1:80/;}"], 1),
    "configuration in a host": (["--server", "time=http://127.0.0.1;#:80"], 1),
    "a variable of nginx": (["--server", "time=http://$host"], 1),
    "a bad port": (["--server", "time=http://127.0.0.1:99999"], 1),
    "twice": (["--server", "time=http://127.0.0.1:1", "--server", "time=http://127.0.0.1:2"], 1),
    "a host that nobody knows": (["--server", "time=http://nosuch.invalid"], 1),
    "no server": ([], 2),
    "no address": (["--server", "time=http://127.0.0.1:1", "--listen", "here"], 2),
    "no workers": (["--server", "time=http://127.0.0.1:1", "--workers", "0"], 2),
    "no option": (["--server", "time=http://127.0.0.1:1", "--worker-count", "1"], 2),
    "credentials for nobody": (["--server", "time=http://127.0.0.1:1", "--forward-credentials", "tim"], 1),
    "a path of nobody's": (["--server", "time=http://127.0.0.1:1", "--path", "tim=/rpc"], 1),
    "a path of all": (["--server", "time=http://127.0.0.1:1", "--path", "/rpc"], 1),
    "a path without a slash": (["--server", "time=http://127.0.0.1:1", "--path", "time=rpc"], 1),
    "configuration in a path": (["--server", "time=http://127.0.0.1:1", "--path", 'time=/x";}'], 1),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments(key_server: JwksServer, scopes: Path, tmp_path: Path, case: str) -> None:
    """A mistake in the arguments is one line, exit 1 or 2, never a traceback."""
    given, code = BAD_ARGUMENTS[case]
    argv = ["gateway", "--listen", f"127.0.0.1:{free_port()}", *given]
    done = run_to_end(argv, environment(key_server.url, scopes), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("auth-server")


def test_a_port_that_is_taken(own: Door, key_server: JwksServer, scopes: Path, tmp_path: Path) -> None:
    """A second gateway on the same address says so in one line, and the first goes on."""
    argv = arguments(own.gateway.port, {"time": "http://127.0.0.1:9"})
    done = run_to_end(argv, environment(key_server.url, scopes), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert str(own.gateway.port) in line
    assert status(own) == 200


def test_ready_means_ready(
    key_server: JwksServer, backends: tuple[Backend, Backend], scopes: Path, tmp_path: Path
) -> None:
    """The first request after the ready line is answered."""
    for backend in backends:
        backend.reset()
    port = free_port()
    argv, environ = arguments(port, {"time": backends[0].url}), environment(key_server.url, scopes)
    with command(argv, environ, cwd=tmp_path) as gateway:
        gateway.port = port
        wait_for(gateway, "gateway ready")
        door = Door(gateway, *backends, cognito.mint(now=int(time.time())), scopes)
        door.passes(rpc("ping"))


def test_two_gateways_side_by_side(own: Door, key_server: JwksServer, scopes: Path, tmp_path: Path) -> None:
    """Gateways on one machine share nothing: the end of one is not the other's."""
    with running({"time": own.backend.url}, environment(key_server.url, scopes), cwd=tmp_path) as other:
        assert other.stop() == 0
    assert status(own) == 200
