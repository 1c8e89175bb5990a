"""`auth-server gateway`: nginx and the sidecar on this machine, started, watched and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.children import die_with_parent, next_pause
from auth_server.config.settings import PROCESS_KEY
from auth_server.errors import ConfigurationError, Mistake
from auth_server.gateway.nginx import (
    Plan,
    find_nginx,
    inner_socket,
    relay_socket,
    sidecar_socket,
    write_configuration,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

log = logging.getLogger("auth_server")

_START_LIMIT = 20.0  # seconds until both must answer
_STOP_LIMIT = 10.0  # seconds until what still runs is killed
_STATE_PREFIX = "mcp-gateway-"

_Address = tuple[socket.AddressFamily, str | tuple[str, int]]


async def run(
    plan: Plan,
    environ: Mapping[str, str],
    *,
    companions: Sequence[Child] = (),
    companion_addresses: Sequence[tuple[str, int]] = (),
    on_ready: Callable[[], Awaitable[None]],
) -> None:
    """Run until SIGTERM or SIGINT; a part that dies is started again, and nothing is let through meanwhile.

    `companions` (the demo's servers) are started, watched and stopped along with the gateway. Raises
    ConfigurationError where nginx is missing, the address is taken, or nginx refuses its configuration.
    """
    binary, module = find_nginx()
    _check_free(plan.listen)
    with _state_folder() as state:
        conf = write_configuration(state, plan, module)
        nginx = [binary, "-p", str(state), "-c", str(conf)]
        _test(nginx)
        uds = sidecar_socket(state)
        serve = [
            sys.executable,
            "-m",
            "auth_server",
            "serve",
            "--uds",
            str(uds),
            "--workers",
            str(plan.workers),
            "--inner",
            str(inner_socket(state)),
        ]
        # A sidecar that is started again knows the sessions of before, also without SECRET_KEY.
        known = dict(environ) | (
            {} if plan.settings.secret_keys else {PROCESS_KEY: plan.settings.process_key}
        )
        sidecar = Child("auth-server", serve, known, stop_signal=signal.SIGTERM)
        # No setting and no secret: a process has its whole environment in its memory.
        bare = {"PATH": environ.get("PATH", os.defpath), "TZ": "UTC"}
        front = Child("nginx", nginx, bare, stop_signal=signal.SIGQUIT)
        front.leaves.append(inner_socket(state))
        children = [*companions, sidecar, front]
        addresses: list[_Address] = [(socket.AF_INET, address) for address in companion_addresses]
        sockets = (uds, relay_socket(uds), inner_socket(state))
        addresses += [*((socket.AF_UNIX, str(path)) for path in sockets), _address(plan.listen)]
        await _supervise(children, addresses, on_ready)


class Child:
    """One process and its descendants, kept running until told to stop."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environ: Mapping[str, str],
        *,
        stop_signal: signal.Signals,
        quiet: bool = False,
    ) -> None:
        self.name = name
        self._command = command
        self._environ = dict(environ)
        self._stop_signal = stop_signal
        self._stdout = subprocess.DEVNULL if quiet else None
        self.leaves: list[Path] = []  # what a killed one would leave in the way of the next
        self._process: asyncio.subprocess.Process | None = None

    async def keep_running(self) -> None:
        """Start, wait, clean up, start again; pauses longer after each quick death, 5 s at most."""
        pause = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            for path in self.leaves:
                path.unlink(missing_ok=True)
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environ,
                stdout=self._stdout,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            code = await self._process.wait()
            self._kill_group()  # nginx's workers, say, outlive a killed master and would keep its port
            pause = next_pause(pause, ran=clock() - started)
            log.error("died", extra={"fields": {"process": self.name, "exit": code, "restart_in": pause}})
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Ask the process to end; after the limit kill what is left of it."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self._stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_LIMIT)
        self._kill_group()
        if process.returncode is None:
            await process.wait()

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def _supervise(
    children: list[Child],
    addresses: list[_Address],
    on_ready: Callable[[], Awaitable[None]],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keepers = [asyncio.create_task(child.keep_running()) for child in children]
    stopping = asyncio.create_task(stop.wait())
    announce = asyncio.create_task(_announce(addresses, on_ready))
    try:
        await asyncio.wait([stopping, announce], return_when=asyncio.FIRST_COMPLETED)
        if announce.done():
            announce.result()
            await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (announce, stopping, *keepers):
            task.cancel()
        await asyncio.gather(announce, stopping, *keepers, return_exceptions=True)
        for child in reversed(children):  # the public face first
            await child.stop()


async def _announce(addresses: list[_Address], on_ready: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(_START_LIMIT):
            for family, address in addresses:
                while not _answers(family, address):  # noqa: ASYNC110 - another process's socket sends no event
                    await asyncio.sleep(0.02)
    except TimeoutError:
        raise ConfigurationError(
            [Mistake("gateway", f"did not start within {_START_LIMIT:.0f} s; the lines above say why")],
        ) from None
    await on_ready()


def _answers(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(address) == 0


def _address(listen: str) -> _Address:
    """Return where a listener on HOST:PORT can be reached from here."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    local = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    return family, (local, int(port))


def _check_free(listen: str) -> None:
    family, address = _address(listen)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise ConfigurationError(
                [
                    Mistake(
                        f"--listen {listen}",
                        f"cannot listen there ({error.strerror}); choose another address",
                    )
                ],
            ) from None


def _test(nginx: list[str]) -> None:
    done = subprocess.run([*nginx, "-t", "-q"], capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        said = (
            "; ".join(line for line in done.stderr.splitlines() if "[emerg]" in line) or done.stderr.strip()
        )
        raise ConfigurationError([Mistake("nginx", f"refuses its configuration: {said}")])


@contextlib.contextmanager
def _state_folder() -> Iterator[Path]:
    """Yield a folder that nginx's workers, which run as another user under root, can pass through."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it; nothing of it reaches a disk
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    _sweep(parent)
    state = Path(tempfile.mkdtemp(prefix=f"{_STATE_PREFIX}{os.getpid()}-", dir=parent))
    state.chmod(0o711)
    try:
        yield state
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what supervisors that were killed left behind: folders of this user whose process is gone."""
    for folder in parent.glob(f"{_STATE_PREFIX}*"):
        pid = folder.name.removeprefix(_STATE_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if pid.isdigit() and folder.stat().st_uid == os.getuid() and not _runs(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
