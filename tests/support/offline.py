"""The sidecar's parts without sockets: keys and policy at hand, asked at any time, always with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auth_server.config.settings import Settings
from auth_server.identity.identify import Identifier
from auth_server.identity.jwks import usable_keys
from auth_server.identity.keys import Keys
from auth_server.identity.tokens import Tokens
from auth_server.policy.watcher import PolicyFile
from auth_server.validate.responses import Answer
from auth_server.validate.validate import Validator
from support.cognito import AGENT, CLIENT, POOL, jwks
from support.sidecar import GATEWAY_URL, SCOPES, SECRET_KEY, Asked

if TYPE_CHECKING:
    from pathlib import Path


class OfflineSidecar:
    """A validator and what it stands on."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.scopes_file = folder / "scopes.yml"
        self.scopes_file.write_text(SCOPES)
        usual: dict[str, Any] = {
            "pools": (POOL,),
            "client_id": CLIENT,
            "allowed_client_ids": frozenset({CLIENT, AGENT}),
            "secret_keys": (SECRET_KEY,),
            "scopes_file": self.scopes_file,
            "gateway_url": GATEWAY_URL,
        }
        self.settings = settings = Settings(**usual | changes)
        self.policy_file = PolicyFile(self.scopes_file)
        self.policy_file.load_first()
        self.keys = Keys(settings.pools)
        self.publish("access", "id")
        self.tokens = Tokens(settings, self.keys)
        self.identifier = Identifier(settings, self.tokens, None)
        self.validator = Validator(settings, self.identifier, self.policy_file)

    def publish(self, *names: str) -> None:
        """Let the pool's set hold these keys."""
        self.publish_set(jwks(*names))

    def publish_set(self, document: dict[str, Any], *, pool: int = 0) -> None:
        """Let a pool's set be this one."""
        self.keys._sets[pool]._succeeded(usable_keys(document)[0], [])

    def edit(self, scopes: str) -> None:
        """Put another policy in force."""
        self.scopes_file.write_text(scopes)
        self.policy_file.load_first()

    async def answer(self, asked: Asked, *, now: float) -> Answer:
        """Answer a question as `app.Sidecar` does."""
        headers = [(name.encode(), value.encode("latin-1")) for name, value in asked.headers]
        caller = await self.validator.caller(headers, now=now)
        return caller if isinstance(caller, Answer) else self.validator.judge(caller, asked.body, now=now)
