"""A running demo, however it was started: what it printed, tokens of its agents, cookies of its people.

`auth-server demo` starts one here; support/composed.py starts the other, `docker compose --profile demo up`.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.identity import session_cookie
from support.gateway import SECRET_KEY, command, environment, wait_for
from support.shared_machine import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = {"ada": "mcp-registry-admin", "uma": "mcp-registry-user", "dev": "mcp-registry-developer"}


@dataclass(frozen=True, slots=True)
class Demo:
    """What the end-to-end tests need to know of a running demo."""

    introduction: str
    secret_key: str

    @property
    def base_url(self) -> str:
        """Where nginx answers."""
        return self._found(r"ready on (http\S+),")

    def lines(self, start: str) -> list[str]:
        """Return the printed lines that begin so, each joined from its continuations."""
        joined = self.introduction.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip().startswith(start)]

    def shell(self, *lines: str) -> str:
        """Run lines as a person would paste them, and return what they print."""
        environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(lines)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=environ,
        )
        return done.stdout

    def token(self, agent: str = "demo-agent") -> str:
        """Return an agent's token, as the printed line gets it."""
        (line,) = self.lines("TOKEN=")
        other = line.replace(f"demo-agent:{self.secret('demo-agent')}", f"{agent}:{self.secret(agent)}")
        return self.shell(other, 'echo "$TOKEN"').strip()

    def secret(self, agent: str) -> str:
        """Return an agent's printed secret."""
        return self._found(rf"{agent} \(.*\) +secret (\S+)")

    def password(self, user: str) -> str:
        """Return a person's printed password."""
        return self._found(rf"{user} / ([^\s,]+)")

    def cookie(self, user: str) -> str:
        """Return a session cookie's value for one of the demo's people."""
        groups = (GROUPS[user],) if user in GROUPS else ()
        session = session_cookie.Session(user, groups, f"sid-of-{user}", email=f"{user}@example.com")
        return session_cookie.mint(session, [self.secret_key], now=time.time())

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.introduction)
        assert match is not None, self.introduction
        return match[1]


@contextlib.contextmanager
def running_demo(port: int = 0) -> Iterator[Demo]:
    """Start `auth-server demo`, on a free port where none is given."""
    settings = environment("", Path("scopes.yml"))
    environ = {
        name: text for name, text in settings.items() if not name.startswith(("COGNITO_", "SCOPES_FILE"))
    }
    argv = ["demo", "--listen", f"127.0.0.1:{port or free_port()}"]
    with command(argv, environ, cwd=Path("/")) as started:
        wait_for(started, "stops everything.")
        yield Demo(started.log, SECRET_KEY)
