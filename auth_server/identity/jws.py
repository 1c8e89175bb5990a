"""The envelope of a token: a JWS in compact serialization, signed with RS256 (RFC 7515). No claims here."""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jwt.algorithms import RSAAlgorithm

from auth_server import strict_json
from auth_server.errors import ErrorCode, Unauthenticated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey  # what verifies a token: `jwks` makes it, and nobody else looks into it

ALGORITHM = "RS256"

# Cognito's kids have 44 characters; unknown ones are remembered, so they must not be large.
_MAX_KID = 256

# A key that comes with the token proves nothing (RFC 8725, section 3.10), and `crit` and `b64` change what is
# signed (RFC 7797). Cognito sends kid and alg alone, so a token with any of these is not one of its own.
_REFUSED_HEADERS = ("crit", "b64", "jwk", "jku", "x5u", "x5c")

_RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)


@dataclass(frozen=True, slots=True)
class Jws:
    """A token taken apart and not yet verified: nothing in `payload` may be believed."""

    kid: str
    payload: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse(raw: str, *, max_length: int = 16384) -> Jws:
    """Take a compact JWS apart (RFC 7515, sections 4 and 7.1).

    Raises Unauthenticated: TOKEN_MALFORMED for what has no single reading or asks for an extension,
    INVALID_SIGNATURE for an algorithm other than RS256 (RFC 8725, section 3.1).
    """
    if len(raw) > max_length:
        raise _malformed(f"the token is longer than {max_length} characters")
    if not raw.isascii():
        raise _malformed("the token holds a character outside ASCII")
    parts = raw.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        raise _malformed(f"the token has {len(parts)} part(s) between dots; a signed JWT has 3")
    try:
        payload, signature = decode_base64url(parts[1]), decode_base64url(parts[2])
        kid = _kid(parts[0])
    except ValueError:
        raise _malformed("a part of the token is not base64url without padding (RFC 7515)") from None
    return Jws(kid, payload, raw[: raw.rindex(".")].encode(), signature)


def verify(jws: Jws, key: PublicKey) -> bytes:
    """Return the payload if `key` signed it with RS256 (RFC 7518, section 3.3).

    Raises Unauthenticated with INVALID_SIGNATURE where it did not.
    """
    if not _RS256.verify(jws.signing_input, key, jws.signature):
        message = "the signature does not fit the key that the token names"
        raise Unauthenticated(ErrorCode.INVALID_SIGNATURE, message)
    return jws.payload


def decode_base64url(text: str) -> bytes:
    """Return the bytes that this text is the one spelling of (RFC 7515, section 2; RFC 4648, section 3.5).

    Raises ValueError for padding, other alphabets, and unused bits that are not zero.
    """
    spelled = text.encode("ascii").translate(_TO_BASE64) + b"=" * (-len(text) % 4)
    raw = binascii.a2b_base64(spelled)
    if binascii.b2a_base64(raw, newline=False) != spelled:
        raise ValueError("not canonical base64url")
    return raw


# What base64url does not have becomes what base64 does not have.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")


# All tokens of a key have the same header. Remembered are those that name a key; they are no secret.
@lru_cache(maxsize=16)
def _kid(segment: str) -> str:
    decoded = decode_base64url(segment)
    try:
        header: dict[str, Any] = strict_json.parse_object(decoded)
    except ValueError:
        raise _malformed("the token's header is not a JSON object with unique names") from None
    for name in _REFUSED_HEADERS:
        if name in header:
            raise _malformed(f"the token's header has “{name}”, which is not accepted")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise _malformed("the token's header names no algorithm (alg)")
    if algorithm != ALGORITHM:
        raise Unauthenticated(ErrorCode.INVALID_SIGNATURE, f"the token is not signed with {ALGORITHM}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID:
        raise _malformed("the token's header names no key: kid must be a string")
    return kid


def _malformed(message: str) -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_MALFORMED, message)
