"""The ID token that a sign-in gets: only the answer to its own question counts."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from support.cognito import ABSENT, AGENT, CLIENT, NOW, OTHER_ISSUER, POOL, claims

from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.identity import cognito_claims

NONCE = "n" * 43
ACCESS_TOKEN = "header.payload.signature"
AT_HASH = base64.urlsafe_b64encode(hashlib.sha256(ACCESS_TOKEN.encode()).digest()[:16]).decode().rstrip("=")
ASKED = cognito_claims.SignIn(NONCE, ACCESS_TOKEN)
RULES = cognito_claims.Rules(clients=frozenset({CLIENT}), token_uses=frozenset({"id"}))


def judge(
    changes: dict[str, Any] | None = None,
    *,
    kind: str = "id",
    asked: cognito_claims.SignIn = ASKED,
    now: float = NOW,
) -> cognito_claims.Person:
    """Judge an ID token that answers the sign-in, with those changes."""
    good = {"nonce": NONCE, "at_hash": AT_HASH, "name": "Ada L."}
    payload = json.dumps(claims(kind, good | (changes or {}))).encode()
    return cognito_claims.verify_sign_in(payload, POOL, RULES, asked, now=now)


def test_who_has_signed_in() -> None:
    """User, groups and mail come from the verified ID token; a nonce and at_hash fit."""
    person = judge()
    assert (person.identity.username, person.identity.groups) == ("ada", ("readers",))
    assert (person.identity.email, person.name) == ("ada@example.com", "Ada L.")


@pytest.mark.parametrize("name", [ABSENT, None, 5, ["Ada"]])
def test_a_name_is_no_condition(name: object) -> None:
    """A user without a name, or with one that is no text, signs in all the same."""
    assert judge({"name": name}).name == ""


def test_without_at_hash() -> None:
    """at_hash is optional in the code flow (OpenID Connect Core, section 3.1.3.6)."""
    assert judge({"at_hash": ABSENT}).identity.username == "ada"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": ABSENT}, ErrorCode.SESSION_INVALID),
        ({"nonce": ""}, ErrorCode.SESSION_INVALID),
        ({"nonce": "x" * 43}, ErrorCode.SESSION_INVALID),
        ({"nonce": NONCE[:-1]}, ErrorCode.SESSION_INVALID),
        ({"nonce": NONCE + "\u00fc"}, ErrorCode.SESSION_INVALID),
        ({"nonce": [NONCE]}, ErrorCode.SESSION_INVALID),
        ({"nonce": None}, ErrorCode.SESSION_INVALID),
        ({"at_hash": AT_HASH[:-1]}, ErrorCode.SESSION_INVALID),
        ({"at_hash": None}, ErrorCode.SESSION_INVALID),
        ({"at_hash": [AT_HASH]}, ErrorCode.SESSION_INVALID),
        ({"token_use": "access", "client_id": CLIENT}, ErrorCode.INVALID_TOKEN_USE),
        ({"aud": AGENT}, ErrorCode.INVALID_AUDIENCE),
        ({"aud": [CLIENT, AGENT]}, ErrorCode.INVALID_AUDIENCE),
        ({"iss": OTHER_ISSUER}, ErrorCode.INVALID_ISSUER),
        ({"exp": NOW - 60}, ErrorCode.TOKEN_EXPIRED),
        ({"iat": NOW + 60}, ErrorCode.TOKEN_NOT_YET_VALID),
        ({"cognito:username": ABSENT}, ErrorCode.INVALID_TOKEN_USE),
        ({"cognito:username": ""}, ErrorCode.INVALID_TOKEN_USE),
    ],
)
def test_an_answer_to_another_question(changes: dict[str, Any], code: ErrorCode) -> None:
    """Another nonce, access token, client, pool, time or kind, and nobody at all, sign nobody in."""
    with pytest.raises(Unauthenticated) as caught:
        judge(changes)
    assert caught.value.code is code
    assert NONCE not in str(caught.value)


def test_another_access_token() -> None:
    """An access token that came from elsewhere does not fit the at_hash, and neither does none."""
    for other in ("other.access.token", ""):
        with pytest.raises(Unauthenticated, match="another access token"):
            judge(asked=cognito_claims.SignIn(NONCE, other))


def test_an_access_token_signs_nobody_in() -> None:
    """An access token with the right nonce is still no ID token."""
    with pytest.raises(Unauthenticated, match="token_use"):
        judge({"aud": CLIENT}, kind="access")


def test_nothing_is_shown() -> None:
    """The question's text form tells neither nonce nor token."""
    assert NONCE not in repr(ASKED)
    assert ACCESS_TOKEN not in repr(ASKED)
