"""What every command has in common: how it is found, refused and ended."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support.command import Command
from support.repository import ROOT
from support.shared_machine import free_port

from auth_server.cli import COMMANDS


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands without any settings."""
    return Command(tmp_path, monkeypatch, capsys)


def test_help_names_every_command(command: Command) -> None:
    """Each command stands in the list with what it does."""
    listed = " ".join(command("--help").out.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_a_module(command: Command, name: str) -> None:
    """Its options stand in the file of its name, beside what it does, and its help says them."""
    module = import_module(f"auth_server.cli.{name.replace('-', '_')}")
    assert f"`auth-server {name}`: " in str(module.__doc__)
    assert module.run.__module__ == module.add_options.__module__ == module.__name__
    shown = command(name, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"usage: auth-server {name} ")


def test_help_imports_no_command() -> None:
    """What a command needs is imported for that command alone, so that --help is quick."""
    script = """
import sys
from auth_server.cli import COMMANDS, main
try:
    main(["--help"])
except SystemExit:
    pass
print(*(name for name in COMMANDS if f"auth_server.cli.{name}" in sys.modules), file=sys.stderr)
print(*({"asyncio", "httpx", "cryptography", "yaml", "uvicorn"} & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.split() == []


@pytest.mark.parametrize(
    "arguments", [(), ("chek",), ("check", "--jsn"), ("explain",), ("serve", "--port", "x")]
)
def test_wrong_use_is_one_line_and_exit_2(command: Command, arguments: tuple[str, ...]) -> None:
    """Arguments that argparse refuses end in one line that says where to read on."""
    outcome = command(*arguments)
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith("auth-server")
    assert outcome.errors[0].endswith("--help")


def test_a_closed_pipe_is_no_traceback(command: Command) -> None:
    """Whoever stops reading, as head does, is not shouted at."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = command.process("check", "--json", stdout=closed)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(
            (name, path)
            for name in ("check", "serve", "gateway")
            for path in ("/dev/null/x/r.sqlite", "/dev")
        ),
        # A folder that takes nothing, though nobody forbids it: found by trying, which `check` does not.
        ("serve", "/proc/none/r.sqlite"),
        ("gateway", "/sys/r.sqlite"),
    ],
)
def test_a_folder_that_cannot_be_written(command: Command, name: str, path: str) -> None:
    """It is a mistake in the settings, told before anything starts."""
    command.write("scopes.yml", "a/b: [{server: x, methods: ['*']}]\n")
    more = ["--listen", f"127.0.0.1:{free_port()}", "--server", "x=http://127.0.0.1:9"]
    command.settings = {"COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI", "COGNITO_ALLOWED_CLIENT_IDS": "a"}
    if name != "gateway":
        more = []
    done = command.process(name, *more, REVOCATION_URL=f"sqlite://{path}")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert "REVOCATION_URL: " in line
    assert f"{path} cannot be used (" in line
