"""The checklist of AWS's own verifier (npm aws-jwt-verify 5.2.1): its test cases that apply, by its names.

Where this verifier is stricter, the test says so. At the end stands what aws-jwt-verify does not check.
"""

from dataclasses import replace
from typing import Any

import pytest
from support.cognito import (
    ABSENT,
    CLIENT,
    ISSUER,
    NOW,
    POOL,
    RULES,
    UPDATED_ISSUER,
    base64url,
    jwks,
    key,
    mint,
    token,
    verify,
)
from support.jwks_server import JwksServer, jwks_server

from auth_server.errors import ErrorCode, Refusal, Unauthenticated, Unavailable
from auth_server.identity import jws
from auth_server.identity.jwks import KeySetError, usable_keys
from auth_server.identity.keys import Keys, Timing

MALFORMED = ErrorCode.TOKEN_MALFORMED


def refuse(raw: str, code: ErrorCode = MALFORMED, **options: Any) -> None:
    """Expect a refusal with that code."""
    with pytest.raises(Unauthenticated) as caught:
        verify(raw, **options)
    assert caught.value.code is code, caught.value.message


class TestParse:
    """unit tests jwt: parse."""

    def test_empty_jwt(self) -> None:
        """An empty text is no JWT."""
        refuse("")

    def test_fewer_than_three_parts(self) -> None:
        """Two parts are no JWT."""
        refuse("a.b")

    def test_more_than_three_parts(self) -> None:
        """Four and five parts (a JWE) are no signed JWT."""
        refuse("a.b.c.d")
        refuse("a.b.c.d.e")

    def test_header_not_json(self) -> None:
        """A header that is no JSON is refused."""
        refuse(token(b"{}", header=b"not json"))

    def test_payload_not_json(self) -> None:
        """A payload that is no JSON is refused, though well signed."""
        refuse(token(b"not json"))

    def test_header_not_an_object(self) -> None:
        """A header that is no object is refused."""
        refuse(token(b"{}", header=b"[]"))

    def test_payload_not_an_object(self) -> None:
        """A payload that is no object is refused."""
        refuse(token(b'"text"'))

    def test_alg_not_a_string(self) -> None:
        """An alg of another type is refused."""
        refuse(mint(header={"alg": 12}))

    @pytest.mark.parametrize("claim", ["iss", "sub", "scope", "jti"])
    def test_claim_not_a_string(self, claim: str) -> None:
        """iss, sub, scope and jti are strings."""
        refuse(mint(changes={claim: 12}))

    @pytest.mark.parametrize("aud", [12, [12], {"a": "b"}])
    def test_aud_not_a_string_or_array_of_strings(self, aud: Any) -> None:
        """An aud of another type is refused."""
        refuse(mint(changes={"aud": aud}))

    def test_iat_not_a_number(self) -> None:
        """An iat of another type is refused."""
        refuse(mint(changes={"iat": "now"}))


class TestKeyAndAlgorithm:
    """unit tests jwt verifier: keys and algorithms."""

    @pytest.mark.parametrize("kind", ["agent", "access", "id"])
    def test_happy_flow(self, kind: str) -> None:
        """A good token of each kind is accepted."""
        assert verify(mint(kind)).client_id

    def test_mixed_jwks_with_unsupported_keys(self) -> None:
        """Keys of other kinds in the set do not stand in the way."""
        mixed = {"keys": [{"kty": "EC", "kid": "ec"}, {"kty": "OKP", "kid": "ed"}, None, *jwks()["keys"]]}
        verify(mint(), document=mixed)

    def test_jwk_without_alg(self) -> None:
        """A key may leave its alg open."""
        verify(mint(), document={"keys": [key().jwk(alg=ABSENT)]})

    def test_token_alg_differs_from_jwk_alg(self) -> None:
        """A key for another algorithm does not verify an RS256 token."""
        with pytest.raises(KeySetError, match="alg"):
            verify(mint(), document={"keys": [key().jwk(alg="RS512")]})

    @pytest.mark.parametrize("alg", ["RS384", "RS512", "ES256", "EdDSA", "HS256", "none"])
    def test_unsupported_alg(self, alg: str) -> None:
        """Stricter: aws-jwt-verify takes other algorithms too; Cognito signs with RS256 alone."""
        refuse(mint(header={"alg": alg}), ErrorCode.INVALID_SIGNATURE)

    def test_missing_alg(self) -> None:
        """A token without alg is refused."""
        refuse(mint(header={"alg": ABSENT}))

    def test_wrong_use(self) -> None:
        """A key for encryption does not verify."""
        with pytest.raises(KeySetError, match="use"):
            verify(mint(), document={"keys": [key().jwk(use="enc")]})

    def test_missing_use(self) -> None:
        """A key may leave its use open."""
        verify(mint(), document={"keys": [key().jwk(use=ABSENT)]})

    @pytest.mark.parametrize("member", ["n", "e"])
    def test_missing_modulus_or_exponent(self, member: str) -> None:
        """A key without n or e is none."""
        with pytest.raises(KeySetError, match=f"{member} is not"):
            verify(mint(), document={"keys": [key().jwk(**{member: ABSENT})]})

    def test_invalid_signature(self) -> None:
        """A signature by another key is refused."""
        refuse(mint(signer=key("mallory"), header={"kid": key().kid}), ErrorCode.INVALID_SIGNATURE)

    def test_kid_not_a_string(self) -> None:
        """A kid of another type is refused."""
        refuse(mint(header={"kid": 5}))

    def test_kid_absent(self) -> None:
        """A token that names no key is refused."""
        refuse(mint(header={"kid": ABSENT}))

    def test_unicode_in_claims(self) -> None:
        """Claims hold any letter, written plainly or escaped."""
        assert verify(mint("access", {"username": "Zoë 👩🏽‍🚀 名"})).username == "Zoë 👩🏽‍🚀 名"
        claims = f'"iss":"{ISSUER}","exp":{NOW + 9},"token_use":"access","client_id":"{CLIENT}"'
        plain = f'{{{claims},"username":"名"}}'
        assert verify(token(plain.encode())).username == "名"


class TestTime:
    """unit tests jwt verifier: exp, nbf and the grace period."""

    def test_expired(self) -> None:
        """An expired token is refused."""
        refuse(mint(changes={"exp": NOW - 60}), ErrorCode.TOKEN_EXPIRED)

    @pytest.mark.parametrize("exp", ["nonsense", None, {}, True])
    def test_nonsense_exp(self, exp: Any) -> None:
        """An exp that is no number is refused."""
        refuse(mint(changes={"exp": exp}))

    def test_empty_exp(self) -> None:
        """Stricter: aws-jwt-verify accepts a token without exp, which never ends."""
        refuse(mint(changes={"exp": ABSENT}))

    @pytest.mark.parametrize(("claim", "time"), [("exp", NOW - 29), ("nbf", NOW + 30)])
    def test_grace_just_enough(self, claim: str, time: int) -> None:
        """Clocks may differ by the leeway."""
        verify(mint(changes={claim: time}))

    @pytest.mark.parametrize(
        ("claim", "time", "code"),
        [("exp", NOW - 30, ErrorCode.TOKEN_EXPIRED), ("nbf", NOW + 31, ErrorCode.TOKEN_NOT_YET_VALID)],
    )
    def test_grace_too_little(self, claim: str, time: int, code: ErrorCode) -> None:
        """Beyond the leeway a token is over, or not begun."""
        refuse(mint(changes={claim: time}), code)

    def test_nbf_ahead(self) -> None:
        """A token from the future is refused."""
        refuse(mint(changes={"nbf": NOW + 3000}), ErrorCode.TOKEN_NOT_YET_VALID)

    def test_nonsense_nbf(self) -> None:
        """An nbf that is no number is refused."""
        refuse(mint(changes={"nbf": "nonsense"}))


class TestScope:
    """unit tests jwt verifier: scope. What a call needs is the policy's question; this is what it is told."""

    def test_one_of_several_scopes(self) -> None:
        """Every scope of the token is known, each by itself."""
        assert "mcp/run" in verify(mint()).scopes

    @pytest.mark.parametrize("scope", [ABSENT, "", "  "])
    def test_no_scope_in_the_token(self, scope: Any) -> None:
        """A token without scopes has none."""
        assert verify(mint(changes={"scope": scope})).scopes == ()


class TestIssuer:
    """unit tests jwt verifier: issuer, and its Cognito forms."""

    def test_missing_issuer(self) -> None:
        """A token without issuer is refused."""
        refuse(mint(changes={"iss": ABSENT}), ErrorCode.INVALID_ISSUER)

    def test_several_issuers_configured(self) -> None:
        """Each issuer of the pool is accepted, and no other."""
        pool = replace(POOL, issuers=("https://a.example", "https://b.example"))
        for issuer in pool.issuers:
            verify(mint(changes={"iss": issuer}), pool=pool)
        refuse(mint(), ErrorCode.INVALID_ISSUER, pool=pool)

    @pytest.mark.parametrize("issuer", [ISSUER, UPDATED_ISSUER])
    def test_updated_and_original_form(self, issuer: str) -> None:
        """Both forms that AWS documents for a pool are accepted."""
        verify(mint(changes={"iss": issuer}))

    def test_replica_region_configured(self) -> None:
        """A replica's region in iss is accepted where it is configured."""
        replica = ISSUER.replace("eu-central-1.", "eu-west-1.")
        verify(mint(changes={"iss": replica}), pool=replace(POOL, issuers=(*POOL.issuers, replica)))

    @pytest.mark.parametrize("issuer", [ISSUER, UPDATED_ISSUER])
    def test_replica_region_not_configured(self, issuer: str) -> None:
        """A replica's region in iss is refused where it is not."""
        refuse(mint(changes={"iss": issuer.replace("eu-central-1.", "eu-west-1.")}), ErrorCode.INVALID_ISSUER)


class TestCognito:
    """unit tests cognito verifier."""

    def test_id_token_where_access_is_expected(self) -> None:
        """Only the configured use is accepted."""
        refuse(
            mint("id"), ErrorCode.INVALID_TOKEN_USE, rules=replace(RULES, token_uses=frozenset({"access"}))
        )

    def test_access_token_where_id_is_expected(self) -> None:
        """Only the configured use is accepted."""
        refuse(
            mint("access"), ErrorCode.INVALID_TOKEN_USE, rules=replace(RULES, token_uses=frozenset({"id"}))
        )

    def test_token_use_missing(self) -> None:
        """A token without token_use is refused."""
        refuse(mint(changes={"token_use": ABSENT}), ErrorCode.INVALID_TOKEN_USE)

    def test_groups(self) -> None:
        """Groups are told; a token without any has none."""
        assert verify(mint("access")).groups == ("readers",)
        assert verify(mint("access", {"cognito:groups": ABSENT})).groups == ()

    def test_client_undefined(self) -> None:
        """A token without client is refused."""
        refuse(mint("access", {"client_id": ABSENT}), ErrorCode.INVALID_AUDIENCE)
        refuse(mint("id", {"aud": ABSENT}), ErrorCode.INVALID_AUDIENCE)

    def test_wrong_client(self) -> None:
        """A client that is not configured is refused, for both kinds."""
        refuse(mint("access", {"client_id": "other"}), ErrorCode.INVALID_AUDIENCE)
        refuse(mint("id", {"aud": "other"}), ErrorCode.INVALID_AUDIENCE)


@pytest.mark.anyio
class TestKeys:
    """unit tests jwk: the cache, the penalty box and the fetcher. More of each is in test_keys.py."""

    async def ask(self, keys: Keys, raw: str) -> str:
        """Return the code of the refusal, or empty."""
        try:
            await keys.get(jws.parse(raw))
        except Refusal as refusal:
            return refusal.code.value
        return ""

    async def test_cached_and_hydrate(self) -> None:
        """A set that was fetched ahead serves without a fetch."""
        async with jwks_server(jwks()) as server:
            keys = Keys([server.pool(POOL)])
            assert await self.ask(keys, mint()) == ""
            server.fault = "500 Internal Server Error"
            assert await self.ask(keys, mint("id")) == ""
            assert server.requests == 1
            await keys.aclose()

    async def test_wait_between_fetches_for_unknown_kids(self) -> None:
        """The second unknown kid within ten seconds causes no fetch (aws-jwt-verify's penalty box)."""
        async with jwks_server(jwks()) as server:
            keys = Keys([server.pool(POOL)])
            await self.ask(keys, mint())
            assert await self.ask(keys, mint(signer=key("x"))) == "UNKNOWN_KEY"
            assert await self.ask(keys, mint(signer=key("y"))) == "UNKNOWN_KEY"
            assert server.requests == 2
            await keys.aclose()

    @pytest.mark.parametrize("fault", ["HTML", "404 Not Found", "hang", "close"])
    async def test_http_failures_are_not_retried_at_once(self, fault: str) -> None:
        """Differs: aws-jwt-verify retries once in the request; here a pause of 1 to 60 s comes first."""
        async with jwks_server(jwks()) as server:
            server.fault = fault
            keys = Keys([server.pool(POOL)], timing=Timing(limit=0.5 if fault == "hang" else 5))
            for _ in range(3):
                assert await self.ask(keys, mint()) == "KEYS_UNAVAILABLE"
            assert server.requests == 1
            await keys.aclose()

    async def test_tcp_error(self) -> None:
        """A refused connection is KEYS_UNAVAILABLE."""
        keys = Keys([POOL])
        assert await self.ask(keys, mint()) == "KEYS_UNAVAILABLE"
        await keys.aclose()

    async def test_several_issuers(self) -> None:
        """Each issuer has a key set of its own."""
        async with jwks_server(jwks()) as one, jwks_server(jwks("other")) as two:
            other = replace(two.pool(POOL), id="eu-central-1_Other", issuers=("https://other.example",))
            keys = Keys([one.pool(POOL), other])
            assert await self.ask(keys, mint()) == ""
            foreign = mint(changes={"iss": "https://other.example"}, signer=key("other"))
            assert await self.ask(keys, foreign) == ""
            assert await self.ask(keys, mint(signer=key("other"))) == "UNKNOWN_KEY"
            await keys.aclose()

    @pytest.mark.parametrize("document", [{"keys": []}, {"keys": {}}, {"keys": ["x"]}, {}])
    async def test_sets_without_keys(self, document: object) -> None:
        """No keys, keys not an array, a key that is no object."""
        async with jwks_server(document) as server:
            keys = Keys([server.pool(POOL)])
            with pytest.raises(Unavailable):
                await keys.get(jws.parse(mint()))
            await keys.aclose()

    async def test_unknown_kid(self) -> None:
        """A kid that is not in the set is UNKNOWN_KEY."""
        async with jwks_server(jwks()) as server:
            assert isinstance(server, JwksServer)
            keys = Keys([server.pool(POOL)])
            await self.ask(keys, mint())
            assert await self.ask(keys, mint(header={"kid": "unknown"})) == "UNKNOWN_KEY"
            await keys.aclose()


class TestStricter:
    """What aws-jwt-verify lets through and this verifier does not."""

    @pytest.mark.parametrize("crit", [[], ["exp"], ["b64"], None])
    def test_any_crit(self, crit: Any) -> None:
        """An extension that must be understood is not understood here (RFC 7515, section 4.1.11)."""
        refuse(mint(header={"crit": crit}))

    def test_future_iat(self) -> None:
        """A token that was issued in the future was not issued by the pool."""
        refuse(mint(changes={"iat": NOW + 31}), ErrorCode.TOKEN_NOT_YET_VALID)

    def test_groups_that_are_a_string(self) -> None:
        """A string is not taken for a list of its letters."""
        refuse(mint("access", {"cognito:groups": "admins"}))

    @pytest.mark.parametrize("padding", ["=", "=="])
    def test_padding(self, padding: str) -> None:
        """A token has one spelling."""
        refuse(mint() + padding)

    def test_duplicate_claims(self) -> None:
        """A claim that comes twice has no meaning."""
        refuse(token(b'{"iss": "https://mallory.example", "iss": "x"}'))

    def test_duplicate_kid(self) -> None:
        """A kid that two keys of the set have verifies nothing."""
        with pytest.raises(KeySetError):
            usable_keys({"keys": [key().jwk(), key("id").jwk(kid=key().kid)]})

    def test_embedded_keys(self) -> None:
        """A token that brings its own key is refused, not only its key."""
        refuse(mint(header={"jwk": key("mallory").jwk()}))

    def test_short_keys(self) -> None:
        """A key of 1024 bits verifies nothing."""
        with pytest.raises(KeySetError, match="1024 bits"):
            usable_keys({"keys": [key("short", 1024).jwk()]})

    def test_fractions_of_a_second(self) -> None:
        """A time is a whole number, as Cognito writes it."""
        refuse(mint(changes={"exp": NOW + 60.5}))

    def test_a_bound_token_for_another_resource(self) -> None:
        """An access token with an aud that is not this gateway is refused."""
        refuse(mint("access", {"aud": "https://other.example"}), ErrorCode.INVALID_AUDIENCE)

    def test_length(self) -> None:
        """A token over the cap is not looked at."""
        refuse(mint(changes={"custom:x": base64url(b"x" * 16384)}))
