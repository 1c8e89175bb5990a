"""Programs in TypeScript: type-checked and compiled by its own compiler, with the packages of the lock beside this."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from support.repository import ROOT

HERE = Path(__file__).parent
PROJECT = ("package.json", "package-lock.json")


@cache
def home() -> Path:
    """Return the folder in which node finds the packages; installs them with npm, once per checkout and lock."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("node and npm are needed to run an MCP server in TypeScript: install Node.js 20 or newer")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PROJECT)).hexdigest()
    folder = ROOT / ".state" / f"typescript-{digest[:12]}"
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        # Made elsewhere and moved: several processes may run tests.
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            for name in PROJECT:
                shutil.copy(HERE / name, made)
            npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(npm, cwd=made, check=True, capture_output=True, timeout=100)
            with contextlib.suppress(OSError):
                os.rename(made, folder)  # noqa: PTH104 - never over another
    return folder


def compiled(program: str, folder: Path) -> Path:
    """Compile a program in a folder of its own, and return its JavaScript; fails with what the compiler says."""
    folder.mkdir()
    (folder / "server.ts").write_text(program)
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    (folder / "node_modules").symlink_to(home() / "node_modules")
    compiler = home() / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(compiler)], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout
    return folder / "server.js"
