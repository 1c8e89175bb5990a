"""Cognito as this gateway's sign-in uses it: where its endpoints are, and what a code stands for."""

from __future__ import annotations

import asyncio
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_server import cognito
from auth_server.cognito import CognitoError

if TYPE_CHECKING:
    from auth_server.settings import Settings

KEPT = 3600.0  # seconds that the discovery document's endpoints are used
PAUSE = 2.0  # seconds before a document that could not be read is asked for again

_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,65536}")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Cognito's addresses for browsers (`authorize`, `logout`) and for this gateway (`token`)."""

    authorize: str
    token: str
    logout: str


@dataclass(frozen=True, slots=True)
class UserTokens:
    """What a code stands for. Nothing in it is verified."""

    id_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)


class Provider:
    """The app client that signs people in, and its pool."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is asked before it is needed."""
        self._client_id, self._client_secret = settings.client_id, settings.client_secret
        self._issuers = settings.pools[0].issuers
        self._lock = asyncio.Lock()
        self._endpoints: Endpoints | None = None
        self._good_until = -math.inf
        self._error: CognitoError | None = None
        if settings.domain:
            paths = ("/oauth2/authorize", "/oauth2/token", "/logout")
            self._endpoints = Endpoints(*(settings.domain + path for path in paths))
            self._good_until = math.inf

    async def endpoints(self) -> Endpoints:
        """Return the endpoints; raises CognitoError where they were never learned. Asks once for all."""
        async with self._lock:
            if time.monotonic() >= self._good_until:
                await self._discover()
        if self._endpoints is None:
            raise self._error or CognitoError("the pool's endpoints are not known")
        return self._endpoints

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> UserTokens:
        """Return the tokens that the code stands for (RFC 6749, section 4.1.3; RFC 7636, section 4.5)."""
        url = (await self.endpoints()).token
        grant = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        form, headers = cognito.authenticated(
            grant, self._client_id, self._client_secret, "client_secret_basic"
        )
        answer = await cognito.ask("POST", url, form, headers=headers)
        id_token, access_token = answer.get("id_token"), answer.get("access_token", "")
        if not isinstance(id_token, str) or not _TOKEN.fullmatch(id_token):
            raise CognitoError(f"{url} answered without an ID token", code="no_id_token")
        return UserTokens(id_token, access_token if isinstance(access_token, str) else "")

    async def _discover(self) -> None:
        names = ("authorization_endpoint", "token_endpoint", "end_session_endpoint")
        try:
            self._endpoints = Endpoints(*await cognito.discover(self._issuers, *names))
        except CognitoError as error:
            # The ones that are known go on; a document that is away for a moment stops no sign-in.
            self._error = error
            self._good_until = time.monotonic() + PAUSE
        else:
            self._good_until = time.monotonic() + KEPT
