"""The demo's pool, and commands that trust it."""

from collections.abc import Iterator

import pytest
from support.command import Command
from support.demo_pool import DemoPool, demo_pool


@pytest.fixture(scope="session")
def pool() -> Iterator[DemoPool]:
    """Run a Cognito."""
    with demo_pool() as running:
        yield running


@pytest.fixture
def trusting(command: Command, pool: DemoPool) -> Command:
    """Run the test's own `command` with the settings of a gateway that trusts the pool."""
    command.settings = pool.settings
    return command
