"""A pool, a gateway that trusts it, and a person who runs commands and has a browser."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from auth_server.demo.directory import POOL_ID
from support.asgi_server import Stage
from support.clean_environment import clean_environment
from support.command import Command
from support.hosted_ui import sign_in
from support.repository import ROOT

WEB_SECRET = "web+secret/%&=;:x"
PASSWORD = "uma's pass-wörd & %2B"
SECRETS = {"demo-web": WEB_SECRET, "uma": PASSWORD}
HEADERS = [(b"content-type", b"application/json")]


@dataclass
class Recorded(Stage):
    """A server whose app a test can replace, and the requests that it got."""

    own: Any = None
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve with the app of the current test."""
        if scope["type"] == "lifespan":
            await self.own(scope, receive, send)
            return
        self.seen.append((scope["method"], scope["path"]))
        await super().__call__(scope, receive, send)


@dataclass
class World:
    """A pool, a gateway that trusts it, and a person with a home."""

    issuer: str
    gateway: str
    port: int
    home: Path
    cognito: Recorded
    door: Recorded
    command: Command

    @property
    def cookie_file(self) -> Path:
        """Where the cookie is kept."""
        return self.home / ".mcp" / "session_cookie"

    @property
    def environ(self) -> dict[str, str]:
        """What the person's terminal has."""
        return clean_environment() | self.settings | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}

    @property
    def settings(self) -> dict[str, str]:
        """What they have set for these commands."""
        return {
            "HOME": str(self.home),
            "COGNITO_USER_POOL_ID": POOL_ID,
            "COGNITO_ISSUER": self.issuer,
            "COGNITO_CLIENT_ID": "demo-cli",
            "GATEWAY_URL": self.gateway,
        }

    def start(self, *arguments: str, **changes: str | None) -> subprocess.Popen[str]:
        """Start a command as a process."""
        environ: dict[str, str | None] = {**self.environ, **changes}
        return subprocess.Popen(
            [sys.executable, "-m", "auth_server", *arguments],
            cwd=self.home,
            env={name: value for name, value in environ.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, stdin: str = "", **changes: str | None) -> tuple[object, str, str]:
        """Run a command to its end, in this process; returns exit code, standard output and error."""
        self.command.settings = self.settings
        outcome = self.command(*arguments, stdin=stdin, **changes)
        return checked(outcome.code, outcome.out, outcome.err)

    def login(
        self, *arguments: str, action: str = "sign-in", password: str = PASSWORD, **changes: str | None
    ) -> tuple[object, str, str, httpx.Response]:
        """Run `login --no-browser`, play the person at the browser; returns what `run` does, and the page."""
        given = ["login", "--no-browser", "--port", str(self.port), *arguments]
        with self.start(*given, **changes) as process:
            assert process.stdout
            address = process.stdout.readline().strip()
            assert address, process.communicate(timeout=10)
            page = sign_in(address, "uma", password, action=action)
            out, err = process.communicate(timeout=60)
        return *checked(process.returncode, out, err), page

    def signed_in(self) -> str:
        """Sign in with a password, and return the cookie."""
        code, _, err = self.run("login", "--username", "uma", stdin=f"{PASSWORD}\n")
        assert (code, err) == (0, "")
        return self.cookie_file.read_text().strip()


def checked(code: object, out: str, err: str) -> tuple[object, str, str]:
    """Return what a command said, after checking what none may say."""
    assert "Traceback" not in err
    for secret in (WEB_SECRET, PASSWORD, "eyJ"):  # every token, and the cookie, begins so
        assert secret not in out + err
    return code, out, err


def one_line(err: str) -> str:
    """Return the only line of an error."""
    assert err.startswith("auth-server: ")
    assert err.count("\n") == 1
    return err
