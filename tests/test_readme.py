import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Command
from support.repository import ROOT

from auth_server import contract
from auth_server.config.settings import SETTINGS
from auth_server.errors import ErrorCode
from auth_server.policy import scopes_file

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", README, re.MULTILINE | re.DOTALL)

# The gateway's tests run what these start: the demo, and everything.
RUN_ELSEWHERE = {"make up", "make test"}


def blocks(language: str) -> list[str]:
    """Return the README's blocks in that language."""
    return [text for _, found, text in BLOCKS if found == language]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table under that heading."""
    section = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Return an environment where `auth-server` is this checkout's, and no setting is set."""
    binary = tmp_path / "auth-server"
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m auth_server "$@"\n')
    binary.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COGNITO_")}
    kept.pop("SCOPES_FILE", None)
    return kept | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def run(line: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line as a reader does, in the checkout."""
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_blocks_were_found() -> None:
    """The other tests look at something."""
    assert {language for _, language, _ in BLOCKS} == {"sh", "text", "console", "python", "yaml", "json"}


@pytest.mark.parametrize(
    "line", [line for block in blocks("sh") for line in block.splitlines() if line not in RUN_ELSEWHERE]
)
def test_commands_run(line: str, shell: dict[str, str]) -> None:
    """Every line of a sh block succeeds as it stands, without a word on standard error but warnings."""
    done = run(line, shell)
    assert done.returncode == 0, done.stderr
    assert all(said.startswith("warning: ") for said in done.stderr.splitlines())


def test_the_two_commands_exist() -> None:
    """What is run elsewhere stands in the README, and in the Makefile."""
    lines = {line for block in blocks("sh") for line in block.splitlines()}
    makefile = (ROOT / "Makefile").read_text()
    assert lines >= RUN_ELSEWHERE
    for command in RUN_ELSEWHERE:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("block", blocks("console"))
def test_answers_are_as_shown(block: str, shell: dict[str, str]) -> None:
    """What a console block shows after each command is what that prints."""
    for shown in block.removeprefix("$ ").split("\n$ "):
        command, _, answer = shown.partition("\n")
        assert run(command, shell).stdout.strip() == answer.strip()


def test_the_table_of_settings() -> None:
    """The table has every setting, in order, in the words of the code."""
    assert rows("Settings") == [[f"`{s.name}`", s.meaning, s.default] for s in SETTINGS]


def test_the_table_of_answers() -> None:
    """The table of answers has every error_code there is."""
    named = {code for row in rows("What is answered") for code in row[2].split(", ")}
    assert named == set(ErrorCode)


def test_the_list_of_headers() -> None:
    """What an MCP server is told stands under its own heading, all of it."""
    section = README.partition("\n## Your own MCP server in front\n")[2].partition("\n## ")[0]
    told = {name.lower().encode() for name in re.findall(r"`(X-[A-Za-z-]+)`", section)}
    assert told == set(contract.IDENTITY)


def test_commands_and_options_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command is one, and every option that is shown with it is its own."""
    command = Command(tmp_path, monkeypatch, capsys)
    text = README.replace("\\\n", " ")
    used = re.findall(r"auth-server ((?!decides)[a-z]+)([^`\n)]*)", text)
    assert len(used) > 10
    for name, rest in used:
        outcome = command(name, "--help")
        assert outcome.code == 0, f"no command {name}"
        options = set(re.findall(r"--[a-z][a-z-]*", outcome.out))
        assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= options, f"auth-server {name}{rest}"


def test_options_in_sentences_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that a sentence names is one of some command."""
    command = Command(tmp_path, monkeypatch, capsys)
    questions = ("check", "explain", "decode", "revoke", "token", "login")
    known = {option for name in questions for option in re.findall(r"--[a-z-]+", command(name, "--help").out)}
    assert set(re.findall(r"`(--[a-z-]+)`", README)) <= known


@pytest.mark.parametrize("block", blocks("yaml"))
def test_examples_of_scopes_load(block: str) -> None:
    """What is shown as scopes.yml is one, without a doubt."""
    assert not scopes_file.parse(block).warnings


@pytest.mark.parametrize("block", blocks("python"))
def test_python_compiles(block: str) -> None:
    """Every Python block is Python; the client is run by the gateway's tests."""
    compile(block, "README.md", "exec")


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    """Links to files of the checkout lead to files."""
    for path in re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text()):
        assert ((ROOT / document).parent / path).exists(), path
