"""Cognito as it signs people in: its endpoints, and the tokens that a code or a password stands for."""

from __future__ import annotations

import asyncio
import base64
import hmac
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_server.oauth import cognito
from auth_server.oauth.cognito import CognitoError
from auth_server.oauth.sign_in import SCOPE

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.model import Pool

KEPT = 3600.0  # seconds that the discovery document's endpoints are used
PAUSE = 2.0  # seconds before a document that could not be read is asked for again

_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,65536}")
_INITIATE_AUTH = "AWSCognitoIdentityProviderService.InitiateAuth"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Cognito's addresses for browsers (`authorize`, `logout`) and for this package (`token`)."""

    authorize: str
    token: str
    logout: str


@dataclass(frozen=True, slots=True)
class UserTokens:
    """What Cognito answered. Nothing in it is verified."""

    id_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)


class Provider:
    """The app client that signs people in (COGNITO_CLIENT_ID; public without a secret), and its pool."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is asked before it is needed."""
        self._client_id, self._client_secret = settings.client_id, settings.client_secret
        self._pool = settings.pools[0]
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
        return _tokens(url, answer.get("id_token"), answer.get("access_token"), answer.get("refresh_token"))

    async def refresh(self, refresh_token: str) -> UserTokens:
        """Return new tokens of the same user (RFC 6749, section 6); raises CognitoError.

        With rotation there is a new refresh token, and the old one soon ends. The code `invalid_grant` says
        that the user, or their sign-in, counts no longer.
        """
        url = (await self.endpoints()).token
        grant = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        form, headers = cognito.authenticated(
            grant, self._client_id, self._client_secret, "client_secret_basic"
        )
        answer = await cognito.ask("POST", url, form, headers=headers)
        return _tokens(url, answer.get("id_token"), answer.get("access_token"), answer.get("refresh_token"))

    async def by_password(self, username: str, password: str) -> UserTokens:
        """Return the tokens of a person (InitiateAuth, USER_PASSWORD_AUTH); raises CognitoError."""
        parameters = {"USERNAME": username, "PASSWORD": password}
        if self._client_secret:
            parameters["SECRET_HASH"] = secret_hash(self._client_id, self._client_secret, username)
        url = api_url(self._pool)
        answer = await cognito.ask(
            "POST",
            url,
            json={
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": self._client_id,
                "AuthParameters": parameters,
            },
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": _INITIATE_AUTH},
        )
        challenge = answer.get("ChallengeName")
        if isinstance(challenge, str):
            name = challenge if re.fullmatch(r"[A-Z_]{1,60}", challenge) else "something"
            raise CognitoError(f"Cognito asks for more than a password ({name})", code="challenge")
        result = answer.get("AuthenticationResult")
        found = result if isinstance(result, dict) else {}
        return _tokens(url, found.get("IdToken"), found.get("AccessToken"))

    async def _discover(self) -> None:
        names = ("authorization_endpoint", "token_endpoint", "end_session_endpoint")
        try:
            self._endpoints = Endpoints(*await cognito.discover(self._pool.issuers, *names))
        except CognitoError as error:
            # The ones that are known go on; a document that is away for a moment stops no sign-in.
            self._error = error
            self._good_until = time.monotonic() + PAUSE
        else:
            self._good_until = time.monotonic() + KEPT


def secret_hash(client_id: str, client_secret: str, username: str) -> str:
    """Return the SECRET_HASH that AWS defines ("Computing secret hash values")."""
    digest = hmac.digest(client_secret.encode(), (username + client_id).encode(), "sha256")
    return base64.b64encode(digest).decode()


def api_url(pool: Pool) -> str:
    """Return where the pool's API is: beside its issuer, where AWS has it for the classic form of issuers."""
    parts = urlsplit(pool.issuers[0])
    host = re.sub(r"^issuer-(?=cognito-idp\.)", "", parts.netloc)
    return f"{parts.scheme}://{host}/"


def _tokens(url: str, id_token: object, access_token: object, refresh_token: object = None) -> UserTokens:
    if not isinstance(id_token, str) or not _TOKEN.fullmatch(id_token):
        raise CognitoError(
            f"{url} answered without an ID token; allow the app client the scope {SCOPE}", code="no_id_token"
        )
    further = (token if isinstance(token, str) else "" for token in (access_token, refresh_token))
    return UserTokens(id_token, *further)
