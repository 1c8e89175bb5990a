from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from auth_server.gateway.supervisor import _state_folder


def test_what_a_killed_supervisor_left_is_swept() -> None:
    """A state folder whose supervisor is gone is removed at the next start; one in use stays."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with _state_folder() as mine:
        left = mine.parent / f"mcp-gateway-{gone.pid}-left"
        left.mkdir()
        with _state_folder() as other:
            assert not left.exists()
            assert mine.is_dir()
            assert f"-{os.getpid()}-" in other.name
    assert not Path(mine).exists()
