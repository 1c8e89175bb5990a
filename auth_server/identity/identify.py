"""THE chain from a credential to an identity: verified, not revoked, with the groups that it has now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_server.cache import Cache
from auth_server.contract import REGION, USER_POOL_ID
from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.identity import session_cookie
from auth_server.model import AuthMethod, BearerToken, SessionCookie

if TYPE_CHECKING:
    from auth_server.config.settings import Settings
    from auth_server.headers import Headers
    from auth_server.identity.groups import SessionGroups
    from auth_server.identity.revocations import Revocations
    from auth_server.identity.tokens import Tokens, VerifiedToken
    from auth_server.model import Credential, Identity, Pool

# Per worker. A verified token costs about 1.5 kB.
CACHE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """A credential that was verified, so that its signature is not computed again."""

    identity: Identity
    token: VerifiedToken | None = None

    @property
    def size(self) -> int:
        """Estimate the bytes that keeping this costs, with its texts and the table's own entry."""
        who = self.identity
        texts = (who.username, who.email, who.client_id, *who.scopes, *who.groups, *who.resources)
        return 1200 + sum(map(len, texts)) + 60 * len(texts)


class Identifier:
    """Says who is asking: for /validate, for the pages and for commands alike."""

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        revocations: Revocations | None,
        groups: SessionGroups | None = None,
    ) -> None:
        """Take the parts.

        Without `revocations` (a command that only looks) nothing counts as revoked; without `groups`
        (SESSION_REFRESH is not set) a session has those of its cookie.
        """
        self._secret_keys = settings.secret_keys
        self._session_max_age = settings.session_max_age
        self._tokens = tokens
        self._revocations = revocations
        self._groups = groups
        self._known: Cache[tuple[type[Credential], bytes], Known] = Cache(CACHE_BYTES)

    async def identify(self, credential: Credential, headers: Headers, *, now: float) -> Identity:
        """Return who the credential stands for; raises Unauthenticated, or Unavailable where that is unknown.

        `headers` may name the pool or region that the caller means (the MCP Gateway Registry's agents do).
        """
        return await self.now(await self.verified(credential, headers, now=now), now=now)

    async def verified(self, credential: Credential, headers: Headers, *, now: float) -> Known:
        """Return what was proved once and for all; raises as `identify` does."""
        while (known := self.verified_at_once(credential, headers, now=now)) is None:
            await self.find_key(credential)
        return known

    def verified_at_once(self, credential: Credential, headers: Headers, *, now: float) -> Known | None:
        """Return what `verified` does, None where the key that would prove it is not here (`find_key`)."""
        name = type(credential), hashlib.sha256(credential.raw.encode()).digest()
        known = self._known.get(name)
        if known is None or not self.still_holds(known, now=now):
            known = self._prove(credential, now)
            if known is None:
                return None
            self._known.put(name, known)
        if known.token is not None:
            _agree_on_pool(known.token.pool, headers)
        return known

    async def find_key(self, credential: Credential) -> None:
        """Wait for the key that a token names; raises as `identify` does where there is none."""
        await self._tokens.find_key(credential.raw)

    def still_holds(self, known: Known, *, now: float) -> bool:
        """Tell whether a credential has not expired, and its key is still one of the pool's."""
        if now >= known.identity.expires_at:
            return False
        return known.token is None or self._tokens.still_vouched_for(known.token)

    async def now(self, known: Known, *, now: float) -> Identity:
        """Return who it is now: not revoked, with today's groups; raises Unauthenticated, or Unavailable."""
        self._check_revoked(known.identity)
        groups = self._groups_of(known)
        return known.identity if groups is None else await groups.of(known.identity, now=now)

    def now_at_once(self, known: Known) -> Identity | None:
        """Return what `now` does, None where Cognito may have to be asked."""
        self._check_revoked(known.identity)
        return known.identity if self._groups_of(known) is None else None

    def _groups_of(self, known: Known) -> SessionGroups | None:
        """Return whom to ask for today's groups: a token says its own."""
        return self._groups if known.identity.method is AuthMethod.SESSION_COOKIE else None

    def _check_revoked(self, identity: Identity) -> None:
        if self._revocations is not None:
            self._revocations.check(identity)

    def _prove(self, credential: Credential, now: float) -> Known | None:
        match credential:
            case BearerToken(raw=raw):
                token = self._tokens.verify(raw, now=now)
                return None if token is None else Known(token.identity, token)
            case SessionCookie(raw=raw):
                return Known(self._session(raw, now))

    def _session(self, raw: str, now: float) -> Identity:
        if not self._secret_keys:
            raise Unauthenticated(
                ErrorCode.SESSION_INVALID,
                "this gateway accepts no session cookies: SECRET_KEY is not set",
            )
        return session_cookie.verify(raw, self._secret_keys, max_age=self._session_max_age, now=now)


def _agree_on_pool(pool: Pool, headers: Headers) -> None:
    """Hold the caller to the pool it names; naming adds none."""
    if headers.get(USER_POOL_ID) not in {None, "", pool.id}:
        raise Unauthenticated(
            ErrorCode.INVALID_ISSUER, "the token is not from the pool that X-User-Pool-Id names"
        )
    if headers.get(REGION) not in {None, "", pool.region}:
        raise Unauthenticated(
            ErrorCode.INVALID_ISSUER, "the token is not from the region that X-Region names"
        )
