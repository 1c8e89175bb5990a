"""What the images are made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support import engine
from support.compose import DEMO_IMAGE, IMAGE, build

if TYPE_CHECKING:
    from support.compose import Deploy, Stack

BASE = "python:3.13-slim"
RUN = ("run", "--rm", "--no-deps", "-T", "--entrypoint")


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    """The image as the engine describes it."""
    build()
    found: dict[str, Any] = engine.get(f"/v1.41/images/{IMAGE}/json")
    return found


def test_it_is_small(image: dict[str, Any]) -> None:
    """Less than 80 MB over its base."""
    assert image["Size"] - engine.get(f"/v1.41/images/{BASE}/json")["Size"] < 80_000_000


def test_it_says_what_it_is(image: dict[str, Any]) -> None:
    """It runs as a user by itself, and has labels."""
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_nothing_is_left_of_the_build(deploy: Deploy) -> None:
    """No pip cache, no lock, no build tool, no sources but the package; the pages' files are in it."""
    stack = deploy()
    build()
    assert _installed(stack, "auth-server", "pip", "hatchling", "setuptools", "uv") == set()
    listed = stack.compose(*RUN, "find", "auth-server", "/opt", "/build", "/root", "-name", "*", check=False)
    names = {line.rpartition("/")[2] for line in listed.stdout.splitlines()}
    assert not {name for name in names if name.endswith(".lock")}
    assert not names & {"hatchling", "pyproject.toml"}
    assert {"http.conf", "server.conf", "backend.conf", "_scopes.yml"} <= names
    assert any(name.endswith(".html") for name in names)


def test_the_demo_is_in_an_image_of_its_own(deploy: Deploy) -> None:
    """The image of production has neither the demo nor what that stands on; the demo's image has both."""
    stack = deploy(profiles=("demo",))
    build()
    of_the_demo = ("auth_server.demo", "mcp", "pydantic")
    assert _installed(stack, "auth-server", *of_the_demo, "auth_server.app", "redis") == {
        "auth_server.app",
        "redis",
    }
    assert _installed(stack, "cognito", *of_the_demo) == set(of_the_demo)
    for service in ("auth-server", "auth-server-2"):
        assert _image_of(stack, service) == IMAGE
    for service in ("cognito", "currenttime", "fininfo"):
        assert _image_of(stack, service) == DEMO_IMAGE


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


@pytest.mark.parametrize("profiles", [(), ("demo",), ("demo", "cluster")])
def test_the_file_is_read_without_complaint(deploy: Deploy, profiles: tuple[str, ...]) -> None:
    """`config -q` is content with every profile."""
    done = deploy(profiles=profiles).compose("config", "-q")
    assert (done.stdout, done.stderr) == ("", "")


def _installed(stack: Stack, service: str, *modules: str) -> set[str]:
    """Return those of these modules that can be imported in a service's image."""
    script = f"""
import importlib.util
for module in {modules!r}:
    if importlib.util.find_spec(module):
        print(module)
"""
    return set(
        stack.compose(*RUN, "python", service, "-Pc", script).stdout.split()
    )  # -P: not the checkout that it stands in


def _image_of(stack: Stack, service: str) -> str:
    services = json.loads(stack.compose("config", "--format", "json").stdout)["services"]
    return str(services[service]["image"])


def _layers() -> list[str]:
    found: list[str] = engine.get("/v1.41/images/mcp-auth-server:rebuilt/json")["RootFS"]["Layers"]
    return found
