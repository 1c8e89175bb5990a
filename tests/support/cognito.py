"""A pool's keys and tokens as Cognito makes them, and every way to make them wrong."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from auth_server.identity import cognito_claims, jws
from auth_server.identity.jwks import usable_keys
from auth_server.model import Identity, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1_800_000_000
ABSENT: Any = object()

ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Abc123XYZ"
UPDATED_ISSUER = "https://issuer-cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Abc123XYZ"
OTHER_ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Other0000"
CLIENT = "1example23456789"
AGENT = "7agent00000000client"
GATEWAY = "https://gw.example"

POOL = Pool(
    id="eu-central-1_Abc123XYZ",
    region="eu-central-1",
    issuers=(ISSUER, UPDATED_ISSUER),
    jwks_url="http://127.0.0.1:1/jwks.json",
)
OTHER_POOL = Pool("us-east-1_Other0000", "us-east-1", (OTHER_ISSUER,), "http://127.0.0.1:1/other.json")
RULES = cognito_claims.Rules(clients=frozenset({CLIENT, AGENT}), audiences=frozenset({GATEWAY}))


def base64url(raw: bytes) -> str:
    """Write base64url as RFC 7515 does, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def integer(value: int) -> str:
    """Write a Base64urlUInt (RFC 7518, section 2)."""
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A pool's RSA key."""

    kid: str
    private: rsa.RSAPrivateKey

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """Return the public half as Cognito publishes it; ABSENT takes a member out."""
        numbers = self.private.public_key().public_numbers()
        members = {
            "alg": "RS256",
            "e": integer(numbers.e),
            "kid": self.kid,
            "kty": "RSA",
            "n": integer(numbers.n),
            "use": "sig",
        }
        return changed(members, changes)

    def sign(self, signing_input: bytes) -> bytes:
        """Sign with RS256."""
        return self.private.sign(signing_input, padding.PKCS1v15(), hashes.SHA256())


def key(name: str = "access", bits: int = 2048) -> SigningKey:
    """Return the key of that name, made once per test run; kids have Cognito's form."""
    return _key(name, bits)


@cache
def _key(name: str, bits: int) -> SigningKey:
    kid = base64.b64encode(name.encode().ljust(32, b"\xfb")).decode()
    return SigningKey(kid, rsa.generate_private_key(65537, bits))


def jwks(*names: str) -> dict[str, Any]:
    """Return a key set of these keys; without names, the two that a pool has."""
    return {"keys": [key(name).jwk() for name in names or ("access", "id")]}


def changed(members: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members with those changes; ABSENT takes one out."""
    return {name: value for name, value in (members | dict(changes)).items() if value is not ABSENT}


def claims(
    kind: str = "agent", changes: Mapping[str, Any] | None = None, *, now: int = NOW
) -> dict[str, Any]:
    """Return the claims of an `agent` (M2M), `access` or `id` token."""
    common = {"iss": ISSUER, "iat": now, "exp": now + 3600, "auth_time": now, "jti": f"jti-of-{kind}"}
    user = {
        "sub": "0f1e2d3c-user",
        "origin_jti": "origin",
        "event_id": "event",
        "cognito:groups": ["readers"],
    }
    match kind:
        case "agent":
            own = {
                "sub": AGENT,
                "client_id": AGENT,
                "token_use": "access",
                "scope": "mcp/read mcp/run",
                "version": 2,
            }
        case "access":
            own = user | {
                "client_id": CLIENT,
                "token_use": "access",
                "scope": "openid email",
                "username": "ada",
                "version": 2,
            }
        case _:
            own = user | {
                "aud": CLIENT,
                "token_use": "id",
                "cognito:username": "ada",
                "email": "ada@example.com",
                "email_verified": True,
                "at_hash": "hash",
            }
    return changed(common | own, changes or {})


def token(
    payload: bytes | Mapping[str, Any],
    *,
    signer: SigningKey | None = None,
    header: Mapping[str, Any] | bytes | None = None,
) -> str:
    """Sign a payload; `header` changes the header, or is its bytes."""
    signer = signer or key()
    if not isinstance(header, bytes):
        header = json.dumps(changed({"kid": signer.kid, "alg": "RS256"}, header or {})).encode()
    if not isinstance(payload, bytes):
        payload = json.dumps(payload).encode()
    signing_input = f"{base64url(header)}.{base64url(payload)}".encode()
    return f"{signing_input.decode()}.{base64url(signer.sign(signing_input))}"


def mint(
    kind: str = "agent",
    changes: Mapping[str, Any] | None = None,
    *,
    signer: SigningKey | None = None,
    header: Mapping[str, Any] | None = None,
    now: int = NOW,
) -> str:
    """Return a token of that kind, with those claims changed."""
    return token(
        claims(kind, changes, now=now),
        signer=signer or key("id" if kind == "id" else "access"),
        header=header,
    )


def verify(
    raw: str,
    *,
    rules: cognito_claims.Rules = RULES,
    document: object = None,
    now: float = NOW,
    pool: Pool = POOL,
) -> Identity:
    """Verify a token as the sidecar does, with the keys of a set that is already here."""
    parsed = jws.parse(raw)
    keys, _ = usable_keys(document or jwks())
    return cognito_claims.verify(jws.verify(parsed, keys[parsed.kid]), pool, rules, now=now)
