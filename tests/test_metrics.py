"""What the sidecar says of itself in numbers: /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import cognito
from support.sidecar import Sidecar, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    async with running(tmp_path) as started:
        yield started


async def metrics(sidecar: Sidecar) -> dict[str, float]:
    """Return the samples of /metrics by name."""
    answer = await sidecar.client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {sample.name: sample.value for family in families for sample in family.samples}


async def test_metrics_of_a_sound_sidecar(sidecar: Sidecar) -> None:
    """Numbers for what /readyz says, in the format of Prometheus."""
    found = await metrics(sidecar)
    assert found["auth_server_ready"] == 1
    assert found["auth_server_keys"] == 2
    assert found["auth_server_keys_failing"] == 0
    assert found["auth_server_policy_stale"] == 0
    assert found["auth_server_revocations_reachable"] == 1
    labels = (await sidecar.client.get("/metrics")).text
    assert f'auth_server_keys_fetches{{pool="{cognito.POOL.id}"}}' in labels


async def test_metrics_of_a_policy_that_cannot_be_loaded(sidecar: Sidecar) -> None:
    """A bad edit leaves the old policy in force, and says so."""
    sidecar.scopes_file.write_text("mcp/read: [}")
    while not (await metrics(sidecar))["auth_server_policy_stale"]:
        pass
    assert (await metrics(sidecar))["auth_server_ready"] == 1
