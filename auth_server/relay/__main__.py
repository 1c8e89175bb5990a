"""The relay's own process, which `serve` starts beside its workers: no decision waits behind what it does."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from auth_server.asgi import SERVER
from auth_server.config.settings import Settings, environment
from auth_server.identity.revocations import Revocations
from auth_server.logs import configure
from auth_server.policy.watcher import PolicyFile
from auth_server.relay.app import Protocol, Relay
from auth_server.stores import open_store

if TYPE_CHECKING:
    import socket

MAX_FILES = 65_536


class _Server(uvicorn.Server):
    """uvicorn, which ends open streams before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, relay: Relay) -> None:
        super().__init__(config)
        self._relay = relay

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._relay.end_streams()
        await super().shutdown(sockets)


async def serve(settings: Settings, *, uds: str, inner: str) -> None:
    """Serve until a signal ends it."""
    policy_file = PolicyFile(settings.scopes_file)
    policy_file.load_first()
    revocations = Revocations(open_store(settings.revocation_url), session_max_age=settings.session_max_age)
    await revocations.look()
    relay = Relay(settings, policy_file, revocations, inner=inner)
    config = uvicorn.Config(
        relay,
        uds=uds,
        lifespan="off",
        http=Protocol,
        **SERVER,
    )
    server = _Server(config, relay)

    def stop(_: asyncio.Task[None]) -> None:
        server.should_exit = True

    parts = [asyncio.create_task(part) for part in (policy_file.watch(), revocations.follow(), relay.watch())]
    for part in parts:
        part.add_done_callback(stop)  # what should never end has: whoever started this starts another
    try:
        await server.serve()
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await revocations.aclose()


def _hold_many_files() -> None:
    """Take as many open files as this user may have: each stream needs two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    """Read options and settings, and serve."""
    parser = argparse.ArgumentParser(prog="python -m auth_server.relay", description=__doc__)
    parser.add_argument("--uds", required=True, help="where it listens")
    parser.add_argument("--inner", required=True, help="where nginx takes what it sends on")
    given = parser.parse_args()
    settings = Settings.from_environ(environment())
    configure(settings)
    _hold_many_files()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(serve(settings, uds=given.uds, inner=given.inner))


if __name__ == "__main__":
    main()
