"""The composed stack: run by `make test-compose`, where there is a container engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import composed
from support.compose import COMPOSE, Deploy, Stack, checkout
from support.demo import Demo
from support.held import Held, hold

collect_ignore_glob = [] if composed.CHOSEN else ["test_*.py"]


@pytest.fixture(scope="session")
def demo(demo_stack: Stack) -> Demo:
    """What the demo printed, its agents and its people."""
    return composed.introduced(demo_stack)


@pytest.fixture(scope="session")
def held(demo_stack: Stack, demo: Demo) -> Iterator[Held]:
    """Streams that are open for minutes, through the gateway, one by token and one by cookie."""
    with hold(f"{demo_stack.base_url}/fininfo/mcp", demo) as streams:
        yield streams


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Judge the held streams last: they are begun first, and the other tests fill their minutes."""
    items.sort(key=lambda item: "held" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def _begin(request: pytest.FixtureRequest) -> None:
    if any("held" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("held")


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """A function that makes a clone, not yet started, with files added to it: `deploy(env=…, profiles=…)`."""
    made: list[Stack] = []

    def clone(
        *,
        env: str | None = None,
        profiles: tuple[str, ...] = (),
        files: dict[str, str] | None = None,
        command: tuple[str, ...] = COMPOSE,
    ) -> Stack:
        folder = checkout(tmp_path / f"clone{len(made)}")
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        if env is not None:
            (folder / ".env").write_text(env)
        stack = Stack(folder, profiles=profiles, command=command)
        made.append(stack)
        return stack

    yield clone
    for stack in made:
        stack.down()
