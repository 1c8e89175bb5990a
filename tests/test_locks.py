"""The locks: what each environment of this project is made of, to the byte."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

RUNTIME = ROOT / "requirements.lock"
TYPESCRIPT = ROOT / "tests" / "support" / "typescript"
LOCKS = [RUNTIME, *sorted((ROOT / "requirements").iterdir())]


def versions(lock: Path) -> dict[str, str]:
    """Return the version of each package."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.stem))
def test_nothing_but_names_and_hashes(lock: Path) -> None:
    """No lock says where packages come from, and what comes is what was locked."""
    packages = re.split(r"\n(?! )", lock.read_text().strip())
    assert packages
    assert all(
        re.fullmatch(r"[a-z0-9-]+==[^:@]+?( \\\n    --hash=sha256:[0-9a-f]{64})+", p) for p in packages
    )


def test_the_runtime_has_nothing_of_the_demo() -> None:
    """The production image is made from a lock without the demo's MCP servers, and with the cluster's store."""
    assert not {"mcp", "mcp-types", "pydantic", "pydantic-core"} & versions(RUNTIME).keys()
    assert {"redis", "starlette", "msgspec"} <= versions(RUNTIME).keys()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.stem))
def test_what_is_tested_is_what_runs(lock: Path) -> None:
    """What the product stands on has one version, wherever it is installed."""
    runtime, here = versions(RUNTIME), versions(lock)
    assert {name: here[name] for name in runtime if name in here} == {
        name: runtime[name] for name in runtime if name in here
    }


def test_the_lock_of_what_npm_installs() -> None:
    """It too says nothing of where packages come from, and has the hash of each; what is asked for, it has."""
    text = (TYPESCRIPT / "package-lock.json").read_text()
    asked, *packages = json.loads(text)["packages"].values()
    assert "://" not in text
    assert packages
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/=]{88}", package["integrity"]) for package in packages)
    assert asked["dependencies"] == json.loads((TYPESCRIPT / "package.json").read_text())["dependencies"]
