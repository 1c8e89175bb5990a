"""Verify a credential on the command line: by the sidecar's own steps, with keys fetched for this once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_server import contract
from auth_server.cli.output import hush_logs
from auth_server.errors import ErrorCode, Refusal
from auth_server.headers import Headers
from auth_server.identity import cognito_claims
from auth_server.identity.credentials import credential, session_cookies
from auth_server.identity.identify import Identifier
from auth_server.identity.keys import Keys
from auth_server.identity.tokens import Tokens

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.model import Identity


@dataclass(frozen=True, slots=True)
class Refused:
    """The credential does not count; `code` and `message` are what a client would be told."""

    code: str
    message: str


def by_token(settings: Settings, token: str) -> Identity | Refused:
    """Verify a token as in `Authorization: Bearer`; the header's own words may stand before it."""
    bare = token.removeprefix("Authorization:").strip()
    value = bare if bare.lower().startswith("bearer ") else f"Bearer {bare}"
    return _identify(settings, contract.AUTHORIZATION, value)


def by_cookie(settings: Settings, cookie: str) -> Identity | Refused:
    """Verify a session cookie: its value, or as it stands in a Cookie header."""
    bare = cookie.removeprefix("Cookie:").strip()
    value = bare if session_cookies([bare]) else f"{contract.SESSION_COOKIE}={bare}"
    return _identify(settings, contract.COOKIE, value)


def for_server(settings: Settings, identity: Identity, server: str) -> Identity | Refused:
    """Hold a token that is bound to one MCP server to that server, as the sidecar does."""
    try:
        cognito_claims.check_resource(identity, settings.gateway_url, server)
    except Refusal as refusal:
        return Refused(refusal.code.value, refusal.message)
    return identity


def _identify(settings: Settings, header: bytes, value: str) -> Identity | Refused:
    hush_logs()
    return asyncio.run(_verified(settings, Headers([(header, value.encode())])))


async def _verified(settings: Settings, headers: Headers) -> Identity | Refused:
    keys = Keys(settings.pools)
    identifier = Identifier(settings, Tokens(settings, keys), None)
    try:
        return await identifier.identify(credential(headers), headers, now=time.time())
    except Refusal as refusal:
        message = refusal.message
        if refusal.code is ErrorCode.KEYS_UNAVAILABLE:
            message = f"{message} ({_why(settings, keys)})"
        return Refused(refusal.code.value, message)
    finally:
        await keys.aclose()


def _why(settings: Settings, keys: Keys) -> str:
    errors = zip(settings.pools, keys.state(), strict=True)
    said = [f"{pool.jwks_url}: {state['last_error']}" for pool, state in errors if state["last_error"]]
    return "; ".join(said) or "nothing was fetched"
