"""What the plug-ins plug into."""

from types import ModuleType

import httpx
import httpx2
import pytest


@pytest.fixture(params=[httpx, httpx2], ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> ModuleType:
    """Both libraries that MCP clients are made with."""
    found: ModuleType = request.param
    return found
