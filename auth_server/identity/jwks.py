"""A JSON Web Key Set → the keys that may verify a token, by kid (RFC 7517; RFC 7518, section 6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from auth_server.identity.jws import ALGORITHM, decode_base64url

if TYPE_CHECKING:
    from auth_server.identity.jws import PublicKey

MIN_BITS = 2048  # RFC 7518, section 3.3
MAX_BITS = 16384  # what OpenSSL verifies with
MAX_KEYS = 100

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class KeySetError(ValueError):
    """The document is not a key set, or holds no key that may verify a token."""


def usable_keys(document: object) -> tuple[dict[str, PublicKey], list[str]]:
    """Return the usable keys by kid, and a line for each key that was left out, saying why.

    `document` is parsed JSON. A key counts if it is RSA of 2048 bits or more with an odd exponent above 1,
    for RS256 or any algorithm, for signatures or any use, public, and the only usable one of its kid.
    Raises KeySetError where the document is not a set of keys or none of them counts.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeySetError("the key set is not a JSON object with an array “keys”")
    if len(entries) > MAX_KEYS:
        raise KeySetError(f"the key set holds more than {MAX_KEYS} keys")
    keys: dict[str, PublicKey] = {}
    twice: set[str] = set()
    skipped: list[str] = []
    for position, entry in enumerate(entries):
        try:
            kid, key = _key(entry)
        except ValueError as error:
            skipped.append(f"keys[{position}]: {error}")
            continue
        if kid in keys:
            twice.add(kid)
            skipped.append(f"keys[{position}]: another key has the same kid; neither is used")
        keys[kid] = key
    for kid in twice:
        del keys[kid]
    if not keys:
        raise KeySetError("; ".join(["the key set holds no usable key", *skipped[:3]]))
    return keys, skipped


def _key(entry: object) -> tuple[str, PublicKey]:
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the entry's JSON type
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise ValueError("kid is not a string with text")
    if entry.get("kty") != "RSA":
        raise ValueError("kty is not RSA")
    if any(name in entry for name in _PRIVATE):
        raise ValueError("it holds a private key, which whoever can read the set could sign with")
    if entry.get("alg", ALGORITHM) != ALGORITHM:
        raise ValueError(f"alg is not {ALGORITHM}")
    if entry.get("use", "sig") != "sig":
        raise ValueError("use is not sig")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("key_ops lacks verify")
    return kid, _public_key(_integer(entry, "n"), _integer(entry, "e"))


def _public_key(modulus: int, exponent: int) -> PublicKey:
    if not MIN_BITS <= modulus.bit_length() <= MAX_BITS:
        raise ValueError(f"the key has {modulus.bit_length()} bits; accepted are {MIN_BITS} to {MAX_BITS}")
    if exponent <= 1 or exponent % 2 == 0:
        raise ValueError("the exponent e is not an odd number above 1")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise ValueError("n and e are no RSA key") from None


def _integer(entry: dict[str, Any], name: str) -> int:
    """Read a Base64urlUInt (RFC 7518, section 2)."""
    text = entry.get(name)
    if not isinstance(text, str) or not text.isascii():
        raise ValueError(f"{name} is not a string of base64url")
    try:
        return int.from_bytes(decode_base64url(text))
    except ValueError:
        raise ValueError(f"{name} is not base64url") from None
