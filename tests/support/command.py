"""`auth-server` as a person runs it: in a folder, with settings, to its end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from auth_server.cli import main
from support.clean_environment import clean_environment
from support.repository import ROOT

SCOPES = (ROOT / "scopes.yml").read_text()
SECRET_KEY = "Zq3vX9mT1bL7wK5rN0cY8dF2gH6jP4sA-uE_oI1nM3k"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, and what it said."""

    code: object
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines of standard error."""
        return self.err.splitlines()


@dataclass
class Command:
    """Runs `auth-server` in an empty folder, with no settings but those given."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    settings: Mapping[str, str | None] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str | bytes = "", **settings: str | None) -> Outcome:
        """Run it in this process; settings count for this call, None takes one out."""
        environ = self._environ(settings)
        raw = stdin if isinstance(stdin, bytes) else stdin.encode()
        with self.monkeypatch.context() as patch:
            patch.chdir(self.folder)
            for name in os.environ.keys() - environ.keys():
                patch.delenv(name)
            for name, value in environ.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err
        return Outcome(ended.value.code or 0, said.out, said.err)

    def process(
        self, *arguments: str, stdout: IO[bytes] | int = subprocess.PIPE, **settings: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run it as a process of its own."""
        environ = self._environ(settings) | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-m", "auth_server", *arguments],
            cwd=self.folder,
            env=environ,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def write(self, name: str, text: str) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def _environ(self, changes: dict[str, str | None]) -> dict[str, str]:
        state = {"STATE_DIRECTORY": str(self.folder / "state")}
        merged: dict[str, str | None] = {**clean_environment(), **state, **self.settings, **changes}
        return {name: value for name, value in merged.items() if value is not None}
