"""What PyJWT's own decode accepts with the pool's key, RS256 and a client of ours, and this gateway refuses.

docs/verification.md states these as facts; should a later PyJWT judge otherwise, this says so.
"""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from support.cognito import (
    ABSENT,
    AGENT,
    ISSUER,
    NOW,
    claims,
    key,
    mint,
    token,
    verify,
)

from auth_server.errors import Unauthenticated


def good(**changes: Any) -> dict[str, Any]:
    """Return the claims of an agent's token that is good for a long time by PyJWT's own clock too."""
    return claims("agent", {"exp": 4_000_000_000, "iat": NOW - 60} | changes)


TWICE = json.dumps(good())[:-1] + f', "client_id": "{AGENT}"}}'


ACCEPTED = {
    "no exp": token(good(exp=ABSENT)),
    "exp in quotes": token(good(exp="4000000000")),
    "exp a fraction": token(good(exp=4_000_000_000.5)),
    "a claim twice": token(TWICE.encode()),
    "padding": mint("agent", {"exp": 4_000_000_000}) + "==",
    "another token_use": token(good(token_use="refresh")),
    "another client": token(good(client_id="somebody-else")),
    "scope a list": token(good(scope=["mcp/read"])),
    "groups a string": token(good(**{"cognito:groups": "admins"})),
    "a key of its own": token(good(), header={"jwk": key("mallory").jwk()}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_pyjwt_accepts_and_the_gateway_refuses(case: str) -> None:
    """One line each of the table in docs/verification.md."""
    raw = ACCEPTED[case]
    found = jwt.decode(
        raw,
        jwt.PyJWK(key().jwk()),
        algorithms=["RS256"],
        issuer=ISSUER,
        options={"verify_aud": False, "verify_iat": False},
    )
    assert found["iss"] == ISSUER
    with pytest.raises(Unauthenticated):
        verify(raw, now=NOW)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (token(good(iat=3_900_000_000)), jwt.ImmatureSignatureError),
        (token(good(), header={"crit": ["exp"]}), jwt.InvalidTokenError),
    ],
    ids=["iat ahead", "crit"],
)
def test_what_both_refuse(raw: str, error: type[Exception]) -> None:
    """Where the table says that PyJWT refuses, it does."""
    with pytest.raises(error):
        jwt.decode(raw, jwt.PyJWK(key().jwk()), algorithms=["RS256"], options={"verify_aud": False})
    with pytest.raises(Unauthenticated):
        verify(raw, now=NOW)


def test_the_token_that_the_cases_change_is_good() -> None:
    """They differ from this one in one point."""
    assert verify(token(good()), now=NOW).client_id == AGENT


@pytest.mark.parametrize("changes", [{"use": "enc"}, {"key_ops": ["encrypt"]}])
def test_a_key_that_is_not_for_signatures(changes: dict[str, Any]) -> None:
    """PyJWT verifies with a key that its set says is for encryption; here such a key is left out."""
    document = {"keys": [key().jwk(**changes), key("id").jwk()]}
    jwt.decode(
        token(good()),
        jwt.PyJWK(document["keys"][0]),
        algorithms=["RS256"],
        options={"verify_aud": False, "verify_iat": False},
    )
    with pytest.raises(KeyError):
        verify(token(good()), document=document, now=NOW)
