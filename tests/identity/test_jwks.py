from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st
from support.cognito import ABSENT, base64url, integer, jwks, key

from auth_server.identity.jwks import MAX_KEYS, KeySetError, usable_keys


def reason(**changes: Any) -> str:
    """Return why a key with these changes is left out, beside one that is not."""
    keys, skipped = usable_keys({"keys": [key("id").jwk(), key().jwk(**changes)]})
    assert list(keys) == [key("id").kid]
    (line,) = skipped
    assert line.startswith("keys[1]: ")
    return line


def test_the_two_keys_of_a_pool() -> None:
    """A pool's set is taken whole, by kid."""
    keys, skipped = usable_keys(jwks())
    assert set(keys) == {key("access").kid, key("id").kid}
    assert keys[key().kid].public_numbers() == key().private.public_key().public_numbers()
    assert skipped == []


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": ABSENT},
        {"use": ABSENT},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"x5c": ["MIIB"], "x5t": "x"},
    ],
)
def test_what_a_key_may_leave_open(changes: dict[str, Any]) -> None:
    """The members alg and use may be missing, key_ops may name verify, other members do not matter."""
    keys, skipped = usable_keys({"keys": [key().jwk(**changes)]})
    assert list(keys) == [key().kid]
    assert skipped == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kid": ABSENT}, "kid"),
        ({"kid": ""}, "kid"),
        ({"kid": 7}, "kid"),
        ({"kty": ABSENT}, "kty"),
        ({"kty": "EC"}, "kty"),
        ({"kty": "oct"}, "kty"),
        ({"alg": "RS512"}, "alg"),
        ({"alg": "PS256"}, "alg"),
        ({"alg": "RSA1_5"}, "alg"),
        ({"alg": None}, "alg"),
        ({"use": "enc"}, "use"),
        ({"use": None}, "use"),
        ({"key_ops": ["encrypt"]}, "key_ops"),
        ({"key_ops": ["sign"]}, "key_ops"),
        ({"key_ops": []}, "key_ops"),
        ({"key_ops": "verify"}, "key_ops"),
        ({"n": ABSENT}, "n is not"),
        ({"n": 5}, "n is not"),
        ({"n": "ü"}, "n is not"),
        ({"n": ""}, "0 bits"),
        ({"n": "AQAB"}, "17 bits"),
        ({"n": integer(2**20000 + 1)}, "20001 bits"),
        ({"n": key().jwk()["n"] + "=="}, "n is not"),
        ({"e": ABSENT}, "e is not"),
        ({"e": "AQAB="}, "e is not"),
        ({"e": ""}, "exponent"),
        ({"e": integer(1)}, "exponent"),
        ({"e": integer(65536)}, "exponent"),
        ({"e": key("id").jwk()["n"] + "AAAA"}, "e"),
        ({"d": integer(5)}, "private"),
        ({"p": integer(5)}, "private"),
        ({"k": "AAAA"}, "private"),
    ],
)
def test_keys_that_are_left_out(changes: dict[str, Any], why: str) -> None:
    """A key that may not verify tokens is left out, with a line that says why."""
    assert why in reason(**changes)


def test_an_exponent_above_the_modulus() -> None:
    """Numbers that are no RSA key are left out."""
    assert "no RSA key" in reason(e=integer(2**2100 + 1))


def test_a_short_key() -> None:
    """A key below 2048 bits is left out (RFC 7518, section 3.3)."""
    keys, skipped = usable_keys({"keys": [key().jwk(), key("short", 1024).jwk()]})
    assert list(keys) == [key().kid]
    assert "1024 bits" in skipped[0]


def test_two_keys_of_one_kid() -> None:
    """A kid that names two keys names none, however often it comes."""
    twins = [key(name).jwk(kid="twin") for name in ("access", "id", "access")]
    keys, skipped = usable_keys({"keys": [*twins, key("third").jwk()]})
    assert list(keys) == [key("third").kid]
    assert len(skipped) == 2


def test_a_kid_that_an_unusable_key_has_too() -> None:
    """A key that is left out takes no other with it."""
    keys, _ = usable_keys({"keys": [key("id").jwk(use="enc", kid="k"), key().jwk(kid="k")]})
    assert keys["k"].public_numbers() == key().private.public_key().public_numbers()


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "keys",
        5,
        {},
        {"keys": None},
        {"keys": {}},
        {"keys": "abc"},
        {"keys": []},
        {"keys": [None, 5, "x", []]},
        {"keys": [{"kty": "EC", "kid": "a"}]},
        {"keys": [key().jwk(), key().jwk()]},
        {"keys": [key().jwk()] * (MAX_KEYS + 1)},
    ],
)
def test_sets_that_hold_nothing(document: object) -> None:
    """A document without a usable key is an error, so that it cannot replace a good set."""
    with pytest.raises(KeySetError):
        usable_keys(document)


ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=8), max_size=3)
)
MEMBER = (
    ANY | st.binary(max_size=300).map(base64url) | st.sampled_from(["RSA", "sig", "RS256", "AQAB", "verify"])
)


@given(st.dictionaries(st.sampled_from(["kty", "kid", "n", "e", "alg", "use", "key_ops", "d"]), MEMBER))
def test_any_members(changes: dict[str, Any]) -> None:
    """Any members give a public key or a line, and no other exception."""
    keys, skipped = usable_keys({"keys": [key("id").jwk(), key().jwk(**changes)]})
    assert len(keys) + len(skipped) == 2
    assert all(isinstance(found, RSAPublicKey) for found in keys.values())


@given(
    st.recursive(
        ANY, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["keys", "kid"]), inner)
    )
)
def test_any_document(document: object) -> None:
    """Any JSON is refused with the module's own error, as it holds no key."""
    with pytest.raises(KeySetError):
        usable_keys(document)
