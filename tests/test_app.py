"""What the sidecar says of itself: /readyz, /metrics, and what stops without being asked to."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from support.sidecar import Sidecar, running

from auth_server.policy.watcher import PolicyFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path) as started:
        yield started


async def test_a_part_that_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What should run as long as the process does not end in silence: the log and /readyz say so."""

    async def ends(_: PolicyFile) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(PolicyFile, "watch", ends)
    with caplog.at_level(logging.CRITICAL):
        async with running(tmp_path, fault="500 Internal Server Error") as sidecar:
            while not (found := (await sidecar.client.get("/readyz")).json())["stopped"]:
                pass
            assert (found["status"], found["stopped"]) == ("not ready", ["policy"])
    assert "a part of this process has stopped" in caplog.text


async def test_a_part_that_overhears_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation that is taken for something else holds no stop up."""
    heard = 0

    async def overhears(_: PolicyFile) -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                heard += 1

    monkeypatch.setattr(PolicyFile, "watch", overhears)
    async with asyncio.timeout(30), running(tmp_path):
        pass
    assert heard == 2
