"""A token → who it speaks for: envelope, key, signature, claims; one set of rules wherever it comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_server.identity import cognito_claims, jws
from auth_server.identity.cognito_claims import ID, Rules

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.identity.cognito_claims import Person, SignIn
    from auth_server.identity.jws import PublicKey
    from auth_server.identity.keys import Keys
    from auth_server.model import Identity, Pool


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Who a token speaks for, and the key of which pool vouched for it."""

    identity: Identity
    kid: str
    key: PublicKey
    pool: Pool


class Tokens:
    """Verifies tokens with the keys of the trusted pools, by the deployment's rules."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._max_length = settings.max_token_length
        self._own_client = settings.client_id
        self._own_pool = settings.pools[0]
        self._keys = keys
        self._rules = Rules(
            clients=settings.allowed_client_ids,
            token_uses=settings.token_uses,
            audiences=frozenset({settings.gateway_url}),
            max_auth_age=settings.max_auth_age,
        )

    def verify(self, raw: str, *, now: float) -> VerifiedToken | None:
        """Return who the token speaks for; raises Unauthenticated.

        None where its key is not here: `find_key` waits for it.
        """
        token = self._parsed(raw)
        found = self._keys.known(token)
        if found is None:
            return None
        key, pool = found
        identity = cognito_claims.verify(jws.verify(token, key), pool, self._rules, now=now)
        return VerifiedToken(identity, token.kid, key, pool)

    async def find_key(self, raw: str) -> None:
        """Wait for the key that the token names; raises as `verify` does, or Unavailable without any keys."""
        await self._keys.get(self._parsed(raw))

    async def person(self, raw: str, *, now: float, is_id: bool = False) -> Person:
        """Return the person that a token speaks for; with `is_id` of an ID token, whatever counts else.

        Raises as `verify` does, and Unauthenticated for an agent's token.
        """
        rules = replace(self._rules, token_uses=frozenset({ID})) if is_id else self._rules
        payload, pool = await self._opened(raw)
        identity = cognito_claims.verify(payload, pool, rules, now=now)
        return cognito_claims.person(payload, identity)

    async def signed_in(self, raw: str, asked: SignIn, *, now: float) -> Person:
        """Return who the ID token says has signed in just now; raises as `verify` does."""
        payload, _ = await self._opened(raw)
        return cognito_claims.verify_sign_in(payload, self._own_pool, self._of_sign_in, asked, now=now)

    async def refreshed(self, raw: str, *, now: float) -> Identity:
        """Return who the ID token speaks for that a refresh token brought; raises as `verify` does."""
        payload, _ = await self._opened(raw)
        return cognito_claims.verify(payload, self._own_pool, self._of_sign_in, now=now)

    def still_vouched_for(self, token: VerifiedToken) -> bool:
        """Tell whether the very key that verified this token is still one of its pool's."""
        return self._keys.holds(token.pool, token.kid, token.key)

    @property
    def _of_sign_in(self) -> Rules:
        """The rules for the app client that signs people in. Its pool is the first, whatever others count."""
        return replace(self._rules, clients=frozenset({self._own_client}), token_uses=frozenset({ID}))

    def _parsed(self, raw: str) -> jws.Jws:
        return jws.parse(raw, max_length=self._max_length)

    async def _opened(self, raw: str) -> tuple[bytes, Pool]:
        token = self._parsed(raw)
        key, pool = await self._keys.get(token)
        return jws.verify(token, key), pool
