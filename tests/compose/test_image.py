"""What the image is made of, and that the compose file is read by every compose there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import engine
from support.compose import IMAGE, build

if TYPE_CHECKING:
    from conftest import Deploy

BASE = "python:3.13-slim"


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    """The image as the engine describes it."""
    build()
    found: dict[str, Any] = engine.get(f"/v1.41/images/{IMAGE}/json")
    return found


def test_it_is_small(image: dict[str, Any]) -> None:
    """Less than 150 MB over its base."""
    assert image["Size"] - engine.get(f"/v1.41/images/{BASE}/json")["Size"] < 150_000_000


def test_it_says_what_it_is(image: dict[str, Any]) -> None:
    """It runs as a user by itself, and has labels."""
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_nothing_is_left_of_the_build(deploy: Deploy) -> None:
    """No pip cache, no lock, no build tool, no sources but the package; the pages' files are in it."""
    stack = deploy()
    script = (
        "import importlib.util as u, sys; print(*map(u.find_spec, ['pip', 'hatchling', 'setuptools', 'uv']))"
    )
    run = ("run", "--rm", "--no-deps", "-T", "--entrypoint")
    build()
    assert set(stack.compose(*run, "/opt/venv/bin/python", "auth-server", "-Ic", script).stdout.split()) == {
        "None"
    }
    listed = stack.compose(*run, "find", "auth-server", "/opt", "/build", "/root", "-name", "*", check=False)
    names = {line.rpartition("/")[2] for line in listed.stdout.splitlines()}
    assert not names & {"requirements.lock", "requirements-build.lock", "hatchling", "pyproject.toml"}
    assert {"signed_in.html", "mcp.js", "_scopes.yml"} & names >= {"mcp.js", "_scopes.yml"}
    assert any(name.endswith(".html") for name in names)


@pytest.mark.timeout(180)
def test_code_does_not_install_again(deploy: Deploy) -> None:
    """After a change of the code the layer with the dependencies is the old one; only the code's is new."""
    stack = deploy()
    stack.variables = {"AUTH_SERVER_IMAGE": "mcp-auth-server:rebuilt"}
    stack.compose("build", "auth-server")
    before = _layers()
    code = stack.folder / "auth_server" / "__init__.py"
    code.write_text(code.read_text() + "\nREBUILT = True\n")
    stack.compose("build", "auth-server")
    after = _layers()
    assert len(before) == len(after)
    assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 1


def test_every_compose_reads_the_file(deploy: Deploy) -> None:
    """`config -q` is content: docker-compose 1.29, and compose 2 where it is installed, with every profile."""
    for profiles in ((), ("demo",), ("demo", "cluster")):
        stack = deploy(profiles=profiles)
        for argv in engine.commands():
            done = stack.compose("config", "-q", argv=argv)
            assert not done.stdout
            assert not done.stderr, done.stderr


def _layers() -> list[str]:
    found: list[str] = engine.get("/v1.41/images/mcp-auth-server:rebuilt/json")["RootFS"]["Layers"]
    return found
