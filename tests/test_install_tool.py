"""deploy/install-tool, with an apt-get and a sudo in the place of this machine's: they say what they were asked."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

INSTALL = (
    "env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 SYSTEMD_OFFLINE=1 "
    "apt-get install -y -qq --no-install-recommends some-package other-package"
)


class Machine:
    """A machine on which `apt-get install` makes one file, and everything asked of apt-get and sudo is heard."""

    def __init__(self, folder: Path, *, user: int, makes: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._program("id", f"echo {user}")
        self._program("sudo", 'echo "sudo was given: $*" >&2; exec "$@"')
        self._program("apt-get", f'case $1 in install) touch "{makes}" ;; esac')

    def _program(self, name: str, text: str) -> None:
        program = self.bin / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    def install(self, wanted: str) -> subprocess.CompletedProcess[str]:
        """Run the script for two packages."""
        return subprocess.run(
            [ROOT / "deploy" / "install-tool", wanted, "some-package", "other-package"],
            env={"PATH": f"{self.bin}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )


def test_sudo_is_announced(tmp_path: Path) -> None:
    """Nothing is run by sudo that was not said, to the letter, before."""
    header = tmp_path / "some.h"
    done = Machine(tmp_path, user=1000, makes=header).install(str(header))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"{header} is missing: sudo apt-get update -qq",
        "sudo was given: apt-get update -qq",
        f"{header} is missing: sudo {INSTALL}",
        f"sudo was given: {INSTALL}",
    ]


def test_root_needs_no_sudo(tmp_path: Path) -> None:
    """Root is told as well, and asks nobody."""
    header = tmp_path / "some.h"
    done = Machine(tmp_path, user=0, makes=header).install(str(header))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"{header} is missing: apt-get update -qq",
        f"{header} is missing: {INSTALL}",
    ]


@pytest.mark.parametrize("wanted", ["sh", "/bin/sh", "/bin/s?"])
def test_what_is_here_is_not_installed(tmp_path: Path, wanted: str) -> None:
    """A command that is found, or a file, also by wildcards, is left as it is."""
    done = Machine(tmp_path, user=1000, makes=tmp_path / "none").install(wanted)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_cannot_be_installed_is_named(tmp_path: Path) -> None:
    """Where the packages do not bring it, one line says what is missing and what was tried."""
    done = Machine(tmp_path, user=0, makes=tmp_path / "other").install("no-such-command")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "make: no-such-command is needed; please install it "
        "(Debian, Ubuntu: apt-get install some-package other-package)"
    )
