"""Tests are where one looks for them: those of a module in the file of its name, in the same folder."""

from pathlib import Path

import pytest
from support.repository import ROOT

from mutate.__main__ import TESTS as MUTATED

PACKAGE, TESTS = ROOT / "auth_server", ROOT / "tests"

# A module, or a folder, whose behaviour shows elsewhere alone.
ELSEWHERE = {
    "asgi.py": ("test_app.py", "what every server of the package does"),
    "cli/demo.py": ("gateway/test_demo.py", "it starts the demo, with nginx"),
    "cli/errors.py": ("cli/test_cli.py", "two names; how they end a command is told there"),
    "cli/gateway.py": ("gateway/test_lifecycle.py", "it starts the gateway, with nginx"),
    "cli/identify.py": (
        "cli/test_explain.py",
        "the sidecar's steps with its own keys; `decode --verify` is the other",
    ),
    "client/errors.py": ("test_no_leaks.py", "names; what becomes which is told there"),
    "client/plug.py": ("client/test_cookie.py", "a base class, whichever libraries are there"),
    "config/pools.py": ("config/test_settings.py", "read as settings alone"),
    "config/values.py": ("config/test_settings.py", "read as settings alone"),
    "config/variables.py": ("config/test_settings.py", "read as settings alone"),
    "demo/composed.py": ("compose/test_stack.py", "it is a container"),
    "demo/cognito": (
        "demo/test_cognito_tokens.py",
        "asked over HTTP as Cognito is; so are demo/test_cognito_*.py",
    ),
    "demo/mcp_servers": ("demo/test_mcp_servers.py", "each a process, called by the official client"),
    "demo/runner.py": ("gateway/test_demo.py", "it starts the demo, with nginx"),
    "demo/stand_in.py": ("gateway/test_demo.py", "a process of the demo"),
    "demo/stopping.py": ("gateway/test_lifecycle.py", "how streams end with the process"),
    "model.py": ("policy/test_grants.py", "nouns"),
    "oauth/cognito.py": ("cli/test_token.py", "what an endpoint may answer, to the command that asks it"),
    "policy/decision.py": ("policy/test_grants.py", "nouns"),
    "policy/yaml_nodes.py": ("policy/test_scopes_file.py", "read as scopes.yml alone"),
    "relay/app.py": (
        "gateway/test_lists.py",
        "between nginx and nginx; so are test_sessions.py and test_stream_ends.py",
    ),
    "relay/process.py": ("gateway/test_stream_ends.py", "it is killed there, and heals"),
    "relay/upstream.py": ("gateway/test_stream_ends.py", "what a backend may do to a connection"),
    "web/answers.py": ("web/test_login.py", "what browsers are answered"),
    "web/context.py": ("web/test_login.py", "what the routes share"),
    "web/problems.py": ("web/test_login.py", "what goes wrong on the way"),
}
MODULES = [
    path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")) if not path.name.startswith("__")
]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_its_test_file(module: Path) -> None:
    """It is there, or ELSEWHERE says which it is, and why."""
    mirrored = TESTS / module.with_name(f"test_{module.name}")
    excused = [str(place) for place in (module, *module.parents) if str(place) in ELSEWHERE]
    assert mirrored.is_file() != bool(excused), f"{mirrored} and ELSEWHERE: one of both"


@pytest.mark.parametrize("place", ELSEWHERE)
def test_what_is_elsewhere_is_there(place: str) -> None:
    """The table names what exists."""
    assert (PACKAGE / place).exists()
    assert (TESTS / ELSEWHERE[place][0]).is_file()


@pytest.mark.parametrize("file", MUTATED)
def test_what_is_mutated_is_there(file: str) -> None:
    """`make mutate` names files, and tests of each."""
    assert (ROOT / file).is_file()
    assert all((TESTS / one).is_file() for one in MUTATED[file])
