"""The demo's user pool on a port of its own, for commands that ask Cognito."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from starlette.types import ASGIApp

from auth_server.demo.cognito import create_app
from auth_server.demo.directory import POOL_ID, demo_directory
from support.asgi_server import serving
from support.command import SECRET_KEY
from support.key_rings import key_ring, keys_of
from support.plain_http import NO_CERTIFICATES

# Every character that two readings of an encoding could differ in.
AGENT_SECRET = "s+%2B/&=;:x%s+"


@dataclass
class DemoPool:
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
        own = {
            "sub": "0f1e2d3c",
            "iss": self.issuer,
            "client_id": "demo-web",
            "username": "uma",
            "token_use": "access",
            "scope": "openid email",
            "cognito:groups": groups,
            "iat": now,
            "exp": now + 3600,
        }
        return keys_of(POOL_ID).access.sign(own | claims)

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
                verify=NO_CERTIFICATES,
            )
        finally:
            self.ahead = 0
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token


@contextlib.contextmanager
def demo_pool() -> Iterator[DemoPool]:
    """Run the demo's Cognito on a port of its own."""
    state = DemoPool()

    def app(base: str) -> ASGIApp:
        directory = demo_directory("http://localhost:8080", secrets={"demo-agent": AGENT_SECRET})
        return create_app(
            directory,
            issuer_base=base,
            keys=key_ring(POOL_ID),
            clock=lambda: time.time() + state.ahead,
        )

    with serving(app) as state.base:
        yield state
