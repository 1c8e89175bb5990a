"""The signing keys of the pools: two RSA keys each, as Cognito has them, and their rotation."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ALGORITHM = "RS256"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One RSA key with the id that tokens name it by."""

    kid: str
    private: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make an RSA-2048 key with a kid like Cognito's: 32 bytes in standard base64, 44 characters."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(kid=base64.b64encode(secrets.token_bytes(32)).decode("ascii"), private=private)

    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JWK (RFC 7517) with the members that Cognito serves."""
        numbers = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {
            "alg": ALGORITHM,
            "e": numbers["e"],
            "kid": self.kid,
            "kty": "RSA",
            "n": numbers["n"],
            "use": "sig",
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a JWT (RFC 7519) of these claims; its header is Cognito's: kid and alg, no typ."""
        header = {"kid": self.kid, "typ": None}
        return jwt.encode(dict(claims), self.private, algorithm=ALGORITHM, headers=header)


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """The two keys of one pool."""

    access: SigningKey
    id: SigningKey

    @classmethod
    def generate(cls) -> "PoolKeys":
        """Make both keys."""
        return cls(access=SigningKey.generate(), id=SigningKey.generate())


class KeyRing:
    """The keys that sign now, by pool, and those that are published."""

    def __init__(self, pools: Mapping[str, PoolKeys]) -> None:
        """Start with these keys, by pool id."""
        self._published = {pool_id: [keys] for pool_id, keys in pools.items()}

    @classmethod
    def generate(cls, pool_ids: Iterable[str]) -> "KeyRing":
        """Make fresh keys for these pools."""
        return cls({pool_id: PoolKeys.generate() for pool_id in pool_ids})

    def current(self, pool_id: str) -> PoolKeys:
        """Return the keys that sign this pool's tokens now."""
        return self._published[pool_id][0]

    def rotate(self, pool_id: str, *, keep_previous: bool = True, keys: PoolKeys | None = None) -> PoolKeys:
        """Sign with other keys from now on; the previous ones stay in the JWKS unless told otherwise."""
        previous = self._published[pool_id] if keep_previous else []
        fresh = keys or PoolKeys.generate()
        self._published[pool_id] = [fresh, *previous]
        return fresh

    def published(self, pool_id: str) -> dict[str, SigningKey]:
        """Return every key of the pool's JWKS by its kid."""
        return {key.kid: key for keys in self._published[pool_id] for key in (keys.id, keys.access)}

    def jwks(self, pool_id: str) -> dict[str, list[dict[str, str]]]:
        """Return the pool's JWK set (RFC 7517, section 5)."""
        return {"keys": [key.public_jwk() for key in self.published(pool_id).values()]}
