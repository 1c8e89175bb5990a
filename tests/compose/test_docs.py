"""The commands of docs/containers.md, as a reader pastes them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.repository import ROOT

if TYPE_CHECKING:
    from support.compose import Deploy

DOCUMENT = (ROOT / "docs" / "containers.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL) for line in block.splitlines()]


@pytest.mark.timeout(400)
def test_commands_run(deploy: Deploy) -> None:
    """Every line of a sh block succeeds, one after the other, in a fresh clone; between them all is healthy."""
    stack = deploy()
    stack.variables = {"COMPOSE_PROFILES": "demo"}  # where the reader has a pool of their own
    for line in LINES:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=stack.folder,
            env=stack.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        if " up " in line:
            stack.wait_until_healthy()
    assert not stack.containers()


def test_the_lines_were_found() -> None:
    """What the README shows is among them."""
    shown = re.findall(r"^docker compose .*|^cp .*", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(shown) >= 3
    assert set(shown) <= {*LINES, "docker compose up -d --build"}  # the last one: with a pool of one's own
