"""Signing a person in at Cognito, as an app client: by browser (RFC 7636), or by user name and password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from auth_server import cognito

if TYPE_CHECKING:
    from auth_server.model import Pool

SCOPE = "openid"  # brings the ID token, with all attributes that the app client may read

_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,65536}")
_INITIATE_AUTH = "AWSCognitoIdentityProviderService.InitiateAuth"


@dataclass(frozen=True, slots=True)
class AppClient:
    """The app client that signs people in; without a secret, a public one."""

    id: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """One sign-in by browser: what is made before, and compared or proved after."""

    client: AppClient
    redirect_uri: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    def url(self, endpoint: str) -> str:
        """Return the address that the person visits (RFC 6749, section 4.1.1; RFC 7636, section 4.3)."""
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}?{urlencode(query)}"

    async def exchange(self, token_url: str, code: str) -> str:
        """Return the ID token that the code stands for (RFC 6749, section 4.1.3); raises CognitoError."""
        grant = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        form, headers = cognito.authenticated(grant, self.client.id, self.client.secret)
        answer = await cognito.ask("POST", token_url, form, headers=headers)
        return _id_token(token_url, answer.get("id_token"))


async def by_password(pool: Pool, client: AppClient, username: str, password: str) -> str:
    """Return the ID token of a person (InitiateAuth, USER_PASSWORD_AUTH); raises CognitoError."""
    parameters = {"USERNAME": username, "PASSWORD": password}
    if client.secret:
        parameters["SECRET_HASH"] = secret_hash(client, username)
    url = api_url(pool)
    answer = await cognito.ask(
        "POST",
        url,
        json={"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": client.id, "AuthParameters": parameters},
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": _INITIATE_AUTH},
    )
    challenge = answer.get("ChallengeName")
    if isinstance(challenge, str):
        name = challenge if re.fullmatch(r"[A-Z_]{1,60}", challenge) else "something"
        raise cognito.CognitoError(f"Cognito asks for more than a password ({name})", code="challenge")
    result = answer.get("AuthenticationResult")
    return _id_token(url, result.get("IdToken") if isinstance(result, dict) else None)


def secret_hash(client: AppClient, username: str) -> str:
    """Return the SECRET_HASH that AWS defines ("Computing secret hash values")."""
    digest = hmac.digest(client.secret.encode(), (username + client.id).encode(), "sha256")
    return base64.b64encode(digest).decode()


def api_url(pool: Pool) -> str:
    """Return where the pool's API is: beside its issuer, where AWS has it for the classic form of issuers."""
    parts = urlsplit(pool.issuers[0])
    host = re.sub(r"^issuer-(?=cognito-idp\.)", "", parts.netloc)
    return f"{parts.scheme}://{host}/"


def _id_token(url: str, token: object) -> str:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise cognito.CognitoError(
            f"{url} answered without an ID token; allow the app client the scope {SCOPE}", code="no_id_token"
        )
    return token
