"""A pool's key and thousands of its tokens, signed once and kept outside the repository."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from auth_server.identity import session_cookie

POOL = "eu-central-1_Bench0000"
ISSUER = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
SECRET_KEY = "bench-9f2c4b7d1e8a6035c2d4f6a8b0e1937556c7d8e9f0a1b2c3"  # noqa: S105 - signs the bench's own cookies alone
KID = base64.b64encode(b"bench".ljust(32, b"\xfb")).decode()  # 44 characters, as Cognito's
SCOPE = "bench/read"
GROUP = "bench-readers"

COUNT = 20_000
_LIFE = 14 * 86400
_LEAST_LIFE = 86400


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key set and what was signed with its key; no two tokens are alike."""

    jwks: dict[str, Any]
    tokens: list[str]

    @property
    def key(self) -> rsa.RSAPublicKey:
        """The public key, for what verifies without a gateway."""
        key = RSAAlgorithm.from_jwk(self.jwks["keys"][0])
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError("the key set of the bench holds a private key")
        return key


def cookie() -> str:
    """Return a session cookie of a user whose group may do what the tokens may."""
    session = session_cookie.Session("ada", (GROUP,), "sid-1", "ada@example.com")
    return session_cookie.mint(session, [SECRET_KEY], now=time.time())


def load() -> Credentials:
    """Return tokens that are good for a day at least: those of the last run, or new ones (ten seconds)."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-auth-server-bench"
    file = folder / "tokens.json"
    if file.is_file():
        kept = json.loads(file.read_text())
        if kept["count"] == COUNT and kept["expires_at"] > time.time() + _LEAST_LIFE:
            return Credentials(kept["jwks"], kept["tokens"])
    expires_at = int(time.time()) + _LIFE
    signed = sign(COUNT, expires_at)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {"count": COUNT, "expires_at": expires_at, "jwks": signed.jwks, "tokens": signed.tokens}
    file.write_text(json.dumps(kept))
    return signed


def sign(count: int, expires_at: int) -> Credentials:
    """Make a key and sign so many tokens, a multiple of 20, with it."""
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    jwk = json.loads(RSAAlgorithm.to_jwk(private.public_key()))
    jwks = {"keys": [{**jwk, "kid": KID, "alg": "RS256", "use": "sig", "key_ops": ["verify"]}]}
    parts = [(pem, expires_at, count // 20)] * 20
    with ProcessPoolExecutor() as pool:
        return Credentials(jwks, [token for part in pool.map(_tokens, parts) for token in part])


def _tokens(part: tuple[bytes, int, int]) -> list[str]:
    pem, expires_at, count = part
    private = serialization.load_pem_private_key(pem, None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("the key of the bench is not an RSA key")
    return [
        jwt.encode(_claims(expires_at), private, "RS256", {"kid": KID, "typ": None}) for _ in range(count)
    ]


def _claims(expires_at: int) -> dict[str, Any]:
    """Return the claims of an agent's token, as Cognito issues it for client credentials."""
    client = uuid.uuid4().hex[:26]
    now = int(time.time())
    return {
        "sub": client,
        "token_use": "access",
        "scope": SCOPE,
        "auth_time": now,
        "iss": ISSUER,
        "exp": expires_at,
        "iat": now,
        "version": 2,
        "jti": str(uuid.uuid4()),
        "client_id": client,
    }
