"""One set of rules for a token, wherever it comes in: /validate, POST /session, sign-in and refresh."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.cognito import (
    ABSENT,
    AGENT,
    CLIENT,
    NOW,
    OTHER_ISSUER,
    OTHER_POOL,
    POOL,
    claims,
    jwks,
    key,
    mint,
    token,
)
from support.offline import OfflineSidecar
from support.sidecar import GATEWAY_URL

from auth_server.errors import ErrorCode, Unauthenticated, Unavailable
from auth_server.identity.cognito_claims import Person, SignIn
from auth_server.identity.tokens import Tokens, VerifiedToken
from auth_server.model import Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

Way = Callable[[Tokens, str], Awaitable[Identity | Person | VerifiedToken]]

NONCE = "n" * 43


async def verified(tokens: Tokens, raw: str) -> VerifiedToken:
    """Verify the token, and wait for its key if that is not here."""
    while (found := tokens.verify(raw, now=NOW)) is None:
        await tokens.find_key(raw)
    return found


WAYS: dict[str, Way] = {
    "/validate": verified,
    "POST /session with Authorization": lambda tokens, raw: tokens.person(raw, now=NOW),
    "POST /session with an ID token": lambda tokens, raw: tokens.person(raw, now=NOW, is_id=True),
    "the callback of a sign-in": lambda tokens, raw: tokens.signed_in(raw, SignIn(NONCE), now=NOW),
    "SESSION_REFRESH": lambda tokens, raw: tokens.refreshed(raw, now=NOW),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return OfflineSidecar(tmp_path).tokens


def id_token(**changes: Any) -> str:
    """Return an ID token that any way takes."""
    return mint("id", {"nonce": NONCE, "at_hash": ABSENT} | changes)


def username(found: Identity | Person | VerifiedToken) -> str:
    """Return whom a way has found."""
    return found.username if isinstance(found, Identity) else found.identity.username


@pytest.mark.parametrize("way", WAYS)
async def test_a_good_token_comes_in_by_every_way(tokens: Tokens, way: str) -> None:
    """The same ID token says the same everywhere."""
    assert username(await WAYS[way](tokens, id_token())) == "ada"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW - 60}, ErrorCode.TOKEN_EXPIRED),
        ({"exp": ABSENT}, ErrorCode.TOKEN_MALFORMED),
        ({"nbf": NOW + 60}, ErrorCode.TOKEN_NOT_YET_VALID),
        ({"iss": OTHER_ISSUER}, ErrorCode.INVALID_ISSUER),
        ({"token_use": "refresh"}, ErrorCode.INVALID_TOKEN_USE),
        ({"aud": "stranger"}, ErrorCode.INVALID_AUDIENCE),
    ],
)
async def test_a_bad_token_comes_in_by_no_way(
    tokens: Tokens, way: str, changes: dict[str, Any], code: ErrorCode
) -> None:
    """Times, issuer, use and client are judged alike."""
    with pytest.raises(Unauthenticated) as caught:
        await WAYS[way](tokens, id_token(**changes))
    assert caught.value.code is code


@pytest.mark.parametrize("way", WAYS)
async def test_a_forged_token_comes_in_by_no_way(tokens: Tokens, way: str) -> None:
    """Envelope and signature are judged before any claim is read."""
    forged = token(claims("id", {"nonce": NONCE}), signer=key("mallory"), header={"kid": key("id").kid})
    for raw, code in ((forged, ErrorCode.INVALID_SIGNATURE), ("a.b.c", ErrorCode.TOKEN_MALFORMED)):
        with pytest.raises(Unauthenticated) as caught:
            await WAYS[way](tokens, raw)
        assert caught.value.code is code


@pytest.mark.parametrize("way", WAYS)
async def test_a_token_that_is_too_long_is_not_read(tmp_path: Path, way: str) -> None:
    """MAX_TOKEN_LENGTH holds by every way."""
    tokens = OfflineSidecar(tmp_path, max_token_length=1024).tokens
    with pytest.raises(Unauthenticated, match="longer than 1024"):
        await WAYS[way](tokens, id_token(more="x" * 1024))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("signed_in", "code"),
    [
        (NOW - 629, None),
        (NOW - 631, ErrorCode.TOKEN_EXPIRED),
        (ABSENT, ErrorCode.TOKEN_EXPIRED),
        (NOW + 31, ErrorCode.TOKEN_NOT_YET_VALID),
    ],
)
async def test_max_auth_age_holds_by_every_way(
    tmp_path: Path, way: str, signed_in: Any, code: ErrorCode | None
) -> None:
    """A sign-in that is older than MAX_AUTH_AGE, by more than clocks may differ, brings nobody in."""
    tokens = OfflineSidecar(tmp_path, max_auth_age=600).tokens
    raw = id_token(auth_time=signed_in)
    if code is None:
        assert username(await WAYS[way](tokens, raw)) == "ada"
        return
    with pytest.raises(Unauthenticated) as caught:
        await WAYS[way](tokens, raw)
    assert caught.value.code is code


async def test_a_token_that_is_bound_to_this_gateway_counts(tokens: Tokens) -> None:
    """Bound to GATEWAY_URL or a path below it (RFC 8707), and to no other place."""
    for resource in (GATEWAY_URL, f"{GATEWAY_URL}/time/mcp"):
        found = await verified(tokens, mint("access", {"aud": resource}))
        assert found.identity.resources == (resource,)
    with pytest.raises(Unauthenticated) as caught:
        await verified(tokens, mint("access", {"aud": "https://other.example"}))
    assert caught.value.code is ErrorCode.INVALID_AUDIENCE


async def test_what_was_verified_comes_with_its_key(tokens: Tokens) -> None:
    """So that a key that leaves the set takes its tokens along."""
    found = await verified(tokens, mint())
    assert (found.identity.client_id, found.kid, found.pool) == (AGENT, key("access").kid, POOL)
    assert tokens.still_vouched_for(found)


async def test_a_key_that_left_vouches_for_nothing(tmp_path: Path) -> None:
    """What counts is the very key, not its name."""
    sidecar = OfflineSidecar(tmp_path)
    found = await verified(sidecar.tokens, mint())
    sidecar.publish("access", "next")
    assert sidecar.tokens.still_vouched_for(found)
    sidecar.publish_set({"keys": [key("other").jwk(kid=found.kid)]})
    assert not sidecar.tokens.still_vouched_for(found)


async def test_without_keys_nobody_is_called_unknown(tmp_path: Path) -> None:
    """A pool whose keys were never here decides nothing."""
    sidecar = OfflineSidecar(tmp_path, pools=(POOL, OTHER_POOL))
    raw = mint(changes={"iss": OTHER_ISSUER}, signer=key("theirs"))
    with pytest.raises(Unavailable):
        await verified(sidecar.tokens, raw)
    await sidecar.keys.aclose()


async def test_only_the_app_client_that_asks_signs_people_in(tokens: Tokens) -> None:
    """Another client whose tokens count on /validate is no answer to this gateway's sign-in, nor to its refresh."""
    others = id_token(aud=AGENT)
    assert (await verified(tokens, others)).identity.client_id == AGENT
    for sign_in in (tokens.signed_in(others, SignIn(NONCE), now=NOW), tokens.refreshed(others, now=NOW)):
        with pytest.raises(Unauthenticated) as caught:
            await sign_in
        assert caught.value.code is ErrorCode.INVALID_AUDIENCE


async def test_only_the_first_pool_signs_people_in(tmp_path: Path) -> None:
    """A further pool may vouch for agents; whoever has its keys signs nobody in here."""
    sidecar = OfflineSidecar(tmp_path, pools=(OTHER_POOL, POOL))
    sidecar.publish_set(jwks("theirs"))
    sidecar.publish_set(jwks(), pool=1)
    assert (await verified(sidecar.tokens, id_token())).pool is POOL
    for sign_in in (
        sidecar.tokens.signed_in(id_token(), SignIn(NONCE), now=NOW),
        sidecar.tokens.refreshed(id_token(), now=NOW),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await sign_in
        assert caught.value.code is ErrorCode.INVALID_ISSUER


async def test_an_id_token_is_an_id_token_whatever_the_setting_says(tmp_path: Path) -> None:
    """COGNITO_TOKEN_USE=access does not keep people from signing in, and an access token is no ID token."""
    tokens = OfflineSidecar(tmp_path, token_uses=frozenset({"access"})).tokens
    access = mint("access", {"nonce": NONCE, "aud": CLIENT})
    for name, way in WAYS.items():
        if name in {"/validate", "POST /session with Authorization"}:
            with pytest.raises(Unauthenticated, match="token_use is “id”"):
                await way(tokens, id_token())
        else:
            assert username(await way(tokens, id_token())) == "ada"
            with pytest.raises(Unauthenticated, match="token_use is “access”"):
                await way(tokens, access)


async def test_an_agents_token_speaks_for_no_person(tokens: Tokens) -> None:
    """An app client's own token becomes nobody's session."""
    with pytest.raises(Unauthenticated, match="no user"):
        await tokens.person(mint(), now=NOW)
