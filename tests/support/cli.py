"""The command as a person runs it, and what it talks to: a real stand-in for Cognito on a real port."""

import contextlib
import fcntl
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Literal

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from auth_server.cli import main
from auth_server.demo.cognito import KeyRing, create_app
from auth_server.demo.directory import POOL_ID, demo_directory

ROOT = Path(__file__).parents[2]
SCOPES = (ROOT / "scopes.yml").read_text()
# Every character that two readings of an encoding could differ in.
AGENT_SECRET = "s+%2B/&=;:x%s+"
SECRET_KEY = "Zq3vX9mT1bL7wK5rN0cY8dF2gH6jP4sA-uE_oI1nM3k"

_OURS = (
    *("COGNITO_", "AWS_", "SECRET_KEY", "SCOPES_FILE", "GATEWAY_URL", "REGISTRY_URL", "ALLOWED_HOSTS"),
    *("SESSION_", "DECISION_", "REVOCATION_", "LOG_", "JWKS_", "MAX_", "STATE_DIRECTORY"),
)


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
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        state = {"STATE_DIRECTORY": str(self.folder / "state")}
        merged: dict[str, str | None] = {**kept, **state, **self.settings, **changes}
        return {name: value for name, value in merged.items() if value is not None}


@dataclass
class StandIn:
    """The demo's user pool, running; `ahead` turns its clock."""

    base: str = ""
    ahead: float = 0

    @property
    def issuer(self) -> str:
        """The pool's issuer."""
        return f"{self.base}/{POOL_ID}"

    @property
    def settings(self) -> dict[str, str]:
        """What a gateway needs to trust this pool."""
        return {
            "COGNITO_USER_POOL_ID": POOL_ID,
            "COGNITO_ISSUER": self.issuer,
            "COGNITO_CLIENT_ID": "demo-web",
            "COGNITO_ALLOWED_CLIENT_IDS": "demo-agent",
            "SECRET_KEY": SECRET_KEY,
        }

    def user_token(self, *groups: str, **claims: object) -> str:
        """Return a user's access token, as the pool signs it, with further claims."""
        now = int(time.time())
        return (
            _keys()
            .current(POOL_ID)
            .access.sign(
                {
                    "sub": "0f1e2d3c",
                    "iss": self.issuer,
                    "client_id": "demo-web",
                    "username": "uma",
                    "token_use": "access",
                    "scope": "openid email",
                    "cognito:groups": groups,
                    "iat": now,
                    "exp": now + 3600,
                    **claims,
                }
            )
        )

    def token(self, *, ahead: float = 0) -> str:
        """Return an agent's token, made by a clock that is so many seconds ahead."""
        self.ahead = ahead
        try:
            answer = httpx.post(
                f"{self.issuer}/oauth2/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": "demo-agent",
                    "client_secret": AGENT_SECRET,
                },
                trust_env=False,
            )
        finally:
            self.ahead = 0
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run the demo's Cognito on a port of its own."""
    state = StandIn()

    def app(base: str) -> ASGIApp:
        directory = demo_directory("http://localhost:8080", secrets={"demo-agent": AGENT_SECRET})
        return create_app(
            directory,
            issuer_base=base,
            keys=KeyRing({POOL_ID: _keys().current(POOL_ID)}),
            clock=lambda: time.time() + state.ahead,
        )

    with serving(app) as state.base:
        yield state


@contextlib.contextmanager
def serving(make_app: Callable[[str], ASGIApp], lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Serve an app on a free port of 127.0.0.1 and yield its base URL."""
    # The socket listens before the server runs, so that the first request waits instead of failing.
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        make_app(base), log_level="warning", access_log=False, ws="none", lifespan=lifespan
    )
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield base
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@cache
def _keys() -> KeyRing:
    return KeyRing.generate([POOL_ID])


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one test run at a time use what the machine has once."""
    with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
