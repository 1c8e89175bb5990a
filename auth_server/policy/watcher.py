"""scopes.yml, watched: a good change is in force within a second, a bad one changes nothing and says so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from auth_server.errors import ConfigurationError
from auth_server.policy import scopes_file

if TYPE_CHECKING:
    from pathlib import Path

    from auth_server.policy.grants import Policy

log = logging.getLogger("auth_server")

# The file's content is compared at least this often, whatever its time stamps say.
CONTENT_SECONDS = 1.0
# An editor may be half-way through the file: it is believed once it has read the same twice, this far apart.
SETTLE_SECONDS = 0.1

_Signature = tuple[int, ...] | None


class PolicyFile:
    """The policy in force, and what was wrong with the last text that could not replace it.

    `policy` is swapped whole and never changed in place: a decision that took it keeps one snapshot.
    """

    policy: Policy

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: str | None = None
        self.loaded_at = 0.0
        self._signature: _Signature = None
        self._compared_at = 0.0
        self._judged = ""

    def load_first(self) -> None:
        """Load the file before anything is served; raises ConfigurationError where it cannot be used."""
        self._signature = _signature(self.path)
        self._compared_at = time.monotonic()
        self._take(scopes_file.load(self.path))

    async def watch(self, interval: float = 0.5) -> None:
        """Follow the file until cancelled. Whatever goes wrong, the policy in force stays."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self._look()
            except ConfigurationError as error:
                self._keep(str(error))
            except Exception as error:  # noqa: BLE001 - a watcher that died would leave a stale policy in silence
                self._keep(f"unexpected {type(error).__name__}")

    async def _look(self) -> None:
        signature = await asyncio.to_thread(_signature, self.path)
        now = time.monotonic()
        if signature == self._signature and now - self._compared_at < CONTENT_SECONDS:
            return
        # Forgotten until this look has come to an end: what fails by surprise is looked at again.
        judged, self._judged = self._judged, ""
        text = await asyncio.to_thread(scopes_file.read, self.path)
        digest = scopes_file.digest(text)
        if digest != judged:
            await asyncio.sleep(SETTLE_SECONDS)
            if await asyncio.to_thread(scopes_file.read, self.path) != text:
                return
            await self._judge(text, digest)
        self._judged, self._signature, self._compared_at = digest, signature, now

    async def _judge(self, text: str, digest: str) -> None:
        try:
            policy = await asyncio.to_thread(scopes_file.parse, text, source=self.path.name)
        except ConfigurationError as error:
            self._keep(str(error))
            return
        healed = "again " if self.error else ""
        self._take(policy)
        log.info("%s is %sin force: %d scopes, digest %s", self.path, healed, len(policy.scopes), digest[:12])

    def _take(self, policy: Policy) -> None:
        self.policy, self.error, self.loaded_at = policy, None, time.time()
        self._judged = policy.digest
        for warning in policy.warnings:
            log.warning("%s", warning)

    def _keep(self, error: str) -> None:
        if error != self.error:
            self.error = error
            log.error("%s is not in force, the policy before it still is: %s", self.path, error)


def _signature(path: Path) -> _Signature:
    """Return what changes when a file is edited, replaced by rename, or its symbolic link is turned."""
    with contextlib.suppress(OSError, ValueError):
        found = path.stat()
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return None
