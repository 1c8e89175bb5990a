"""The composed stack: run by `make test-compose`, where there is a container engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import composed
from support.compose import Stack, checkout
from support.demo import Demo

collect_ignore_glob = [] if os.environ.get("GATEWAY_STACK") == "compose" else ["test_*.py"]

Deploy = Callable[..., Stack]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def demo_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A fresh clone with the demo profile and no .env."""
    stack = Stack(checkout(tmp_path_factory.mktemp("demo")), profiles=("demo",))
    try:
        stack.up("--build")
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def demo(demo_stack: Stack) -> Demo:
    """What the demo printed, its agents and its people."""
    return composed.introduced(demo_stack)


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """A function that makes a clone, not yet started, with files added to it: `deploy(env=…, profiles=…)`."""
    made: list[Stack] = []

    def clone(
        *, env: str | None = None, profiles: tuple[str, ...] = (), files: dict[str, str] | None = None
    ) -> Stack:
        folder = checkout(tmp_path / f"clone{len(made)}")
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        if env is not None:
            (folder / ".env").write_text(env)
        overrides = tuple(name for name in files or {} if name.endswith("override.yml"))
        stack = Stack(folder, profiles=profiles, files=overrides)
        made.append(stack)
        return stack

    yield clone
    for stack in made:
        stack.down()
