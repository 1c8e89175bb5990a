"""Keys, JWKS and discovery."""

import base64

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from support.asgi_server import serving
from support.key_rings import key_ring, keys_of

from auth_server.demo.cognito import Directory, Pool, create_app

from .conftest import POOL, StandIn


def machine_token(stand_in: StandIn) -> str:
    """Get an access token for the agent."""
    answer = stand_in.token(("agent", "agent secret"), grant_type="client_credentials")
    return str(answer.json()["access_token"])


def test_jwks_has_two_rsa_2048_keys_with_cognitos_members(stand_in: StandIn) -> None:
    """The JWKS holds two RSA-2048 signing keys whose kids are 32 bytes in standard base64."""
    served = stand_in.http.get(f"{stand_in.issuer}/.well-known/jwks.json").json()["keys"]
    assert len(served) == 2
    for jwk in served:
        assert set(jwk) == {"alg", "e", "kid", "kty", "n", "use"}
        assert (jwk["alg"], jwk["e"], jwk["kty"], jwk["use"]) == ("RS256", "AQAB", "RSA", "sig")
        assert len(jwk["kid"]) == 44
        assert len(base64.b64decode(jwk["kid"], validate=True)) == 32
        assert jwt.PyJWK(jwk).key.key_size == 2048


def test_access_and_id_tokens_have_different_keys(stand_in: StandIn) -> None:
    """One key signs access tokens, the other ID tokens."""
    tokens = stand_in.user_tokens()
    kids = [jwt.get_unverified_header(tokens[name])["kid"] for name in ("access_token", "id_token")]
    current = stand_in.keys.current(POOL)
    assert kids == [current.access.kid, current.id.kid]
    assert kids[0] != kids[1]


def test_token_header_is_cognitos(stand_in: StandIn) -> None:
    """The header of a token has kid and alg, and no typ."""
    header = jwt.get_unverified_header(machine_token(stand_in))
    assert set(header) == {"kid", "alg"}
    assert header["alg"] == "RS256"


def test_discovery_document(stand_in: StandIn) -> None:
    """The discovery document has Cognito's members, and like Cognito's lacks code_challenge_methods."""
    document = stand_in.http.get(f"{stand_in.issuer}/.well-known/openid-configuration").json()
    assert document["issuer"] == stand_in.issuer
    assert document["jwks_uri"] == f"{stand_in.issuer}/.well-known/jwks.json"
    assert document["authorization_endpoint"] == f"{stand_in.issuer}/oauth2/authorize"
    assert document["token_endpoint"] == f"{stand_in.issuer}/oauth2/token"
    assert document["userinfo_endpoint"] == f"{stand_in.issuer}/oauth2/userInfo"
    assert document["revocation_endpoint"] == f"{stand_in.issuer}/oauth2/revoke"
    assert document["end_session_endpoint"] == f"{stand_in.issuer}/logout"
    assert "code_challenge_methods_supported" not in document


def test_public_base_is_for_browsers_alone() -> None:
    """With a public base, authorization and logout are listed there, the rest where programs look."""

    def make(base: str) -> Starlette:
        pool = Pool(id=POOL, issuer="http://cognito.test/pool")
        public_base = "http://localhost:8080/x/"
        return create_app(Directory((pool,)), issuer_base=base, public_base=public_base, keys=key_ring(POOL))

    with serving(make) as base, httpx.Client(trust_env=False) as http:
        document = http.get(f"{base}/{POOL}/.well-known/openid-configuration").json()
    assert document["issuer"] == "http://cognito.test/pool"
    assert document["authorization_endpoint"] == f"http://localhost:8080/x/{POOL}/oauth2/authorize"
    assert document["end_session_endpoint"] == f"http://localhost:8080/x/{POOL}/logout"
    assert document["token_endpoint"] == f"{base}/{POOL}/oauth2/token"
    assert document["jwks_uri"] == f"{base}/{POOL}/.well-known/jwks.json"


def test_rotation_keeps_the_previous_keys_published(stand_in: StandIn) -> None:
    """After a rotation new tokens have a new kid, and old tokens still verify."""
    before = machine_token(stand_in)
    stand_in.keys.rotate(POOL)
    after = machine_token(stand_in)
    assert stand_in.verified(before)["sub"] == stand_in.verified(after)["sub"] == "agent"
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]


def test_rotation_can_withdraw_the_previous_keys(stand_in: StandIn) -> None:
    """After a rotation that keeps nothing, old tokens name a key that is not there."""
    before = machine_token(stand_in)
    stand_in.keys.rotate(POOL, keep_previous=False)
    with pytest.raises(KeyError):
        stand_in.verified(before)


def test_a_test_can_sign_with_the_pools_key(stand_in: StandIn) -> None:
    """Tokens that a test makes with the exposed private keys verify against the served JWKS."""
    token = stand_in.keys.current(POOL).access.sign({"iss": stand_in.issuer, "sub": "forged for a test"})
    assert stand_in.verified(token)["sub"] == "forged for a test"


def test_keys_are_fresh_by_default() -> None:
    """Two stand-ins that are given no keys have none in common."""
    apps = [create_app(Directory((Pool(id=POOL),)), issuer_base="http://a") for _ in range(2)]
    kids = [set(app.state.keys.published(POOL)) for app in apps]
    assert not kids[0] & kids[1]


def test_private_keys_do_not_show() -> None:
    """A key's repr names its kid and nothing of the private key."""
    assert "private" not in repr(keys_of(POOL).access)


def test_unknown_pool_is_404(stand_in: StandIn) -> None:
    """A pool that does not exist has no JWKS."""
    assert stand_in.http.get(f"{stand_in.base}/us-east-1_None00000/.well-known/jwks.json").status_code == 404
