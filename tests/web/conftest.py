"""The sidecar, a Cognito and a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.web_sign_in import Stage, signing_in


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Run them, with the usual settings."""
    async with signing_in(tmp_path) as running:
        yield running
