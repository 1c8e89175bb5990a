"""Who is asking, what for, and may they: the whole of a decision, top to bottom."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_server import contract
from auth_server.cache import Cache
from auth_server.errors import ErrorCode, Forbidden, Refusal, Unauthenticated, Unavailable
from auth_server.identity import cognito_claims, jws, session_cookie
from auth_server.model import AuthMethod, BearerToken, Denied, SessionCookie
from auth_server.policy import grants
from auth_server.validate import responses

if TYPE_CHECKING:
    from collections.abc import Collection, Sized

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from auth_server.config.settings import Settings
    from auth_server.identity.groups import SessionGroups
    from auth_server.identity.keys import Keys
    from auth_server.identity.revocations import Revocations
    from auth_server.model import Credential, Identity, Pool, Target
    from auth_server.policy.watcher import PolicyFile
    from auth_server.validate.responses import Answer

log = logging.getLogger("auth_server")

# Per worker. A verified token costs about 1.5 kB here, an answer as much again.
KNOWN_CREDENTIALS_BYTES = 16 * 1024 * 1024
ANSWERS_BYTES = 6 * 1024 * 1024
PERMITS_BYTES = 1024 * 1024

Asked = tuple[contract.Values, contract.Values]
# A question, the scopes and groups of who asks, and the digest of the policy: all that a verdict depends on.
Rights = tuple[contract.Values, tuple[str, ...], tuple[str, ...], str]

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+=:@/-]*")


@dataclass(frozen=True, slots=True)
class Verified:
    """Who a credential stands for; for a token also the key that vouched for it, of which pool."""

    identity: Identity
    kid: str = ""
    key: RSAPublicKey | None = None
    pool: Pool | None = None

    @property
    def size(self) -> int:
        """Estimate the bytes that keeping this costs, with its texts and the table's own entry."""
        known = self.identity
        texts = (known.username, known.email, known.client_id, *known.scopes, *known.groups, *known.resources)
        return 1200 + _weight(texts)


@dataclass(frozen=True, slots=True)
class Permit:
    """A call that a policy allows to all who have certain rights, and the headers that tell of it."""

    target: Target
    headers: list[tuple[bytes, bytes]]
    size: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A 200, and all that it stood on."""

    answer: Answer
    verified: Verified
    policy: grants.Policy
    size: int


class Validator:
    """Holds what a decision needs; each decision sees one snapshot of the policy."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        policy_file: PolicyFile,
        revocations: Revocations | None,
        groups: SessionGroups | None = None,
    ) -> None:
        """Take the parts.

        Without `revocations` (a command that only looks) nothing counts as revoked; without `groups`
        (SESSION_REFRESH is not set) a session has those of its cookie.
        """
        self._settings = settings
        self._keys = keys
        self._policy_file = policy_file
        self._revocations = revocations
        self._groups = groups
        self._known: Cache[tuple[type[Credential], bytes], Verified] = Cache(KNOWN_CREDENTIALS_BYTES)
        self._answers: Cache[Asked, Answered] = Cache(ANSWERS_BYTES)
        self._permits: Cache[Rights, Permit] = Cache(PERMITS_BYTES)
        self._rules = cognito_claims.Rules(
            clients=settings.allowed_client_ids,
            token_uses=settings.token_uses,
            audiences=frozenset({settings.gateway_url}),
            max_auth_age=settings.max_auth_age,
        )

    async def answer(self, raw: contract.RawHeaders, *, now: float) -> Answer:
        """Decide one question and return the response for it. Never raises: what fails is a 503."""
        incoming = contract.Incoming(raw)
        target = None
        try:
            asked = incoming.fingerprint()
            if asked is not None and (answer := self._answered_before(asked, now)):
                return answer
            verified = await self.identify(contract.credential(incoming), incoming, now=now)
            identity, current = verified.identity, self._policy_file.policy
            rights = (asked[1], identity.scopes, identity.groups, current.digest) if asked else None
            permit = self._permits.get(rights) if rights else None
            target = permit.target if permit else contract.target(incoming)
            cognito_claims.check_resource(identity, self._settings.gateway_url, target.server)
            if permit is None:
                permit = self._permit(identity, target, current, rights)
            max_age = max(0, min(self._settings.decision_ttl, int(identity.expires_at - now)))
            answer = responses.allowed(identity, permit.headers, max_age=max_age)
            if asked is not None:
                self._answers.put(asked, Answered(answer, verified, current, verified.size + permit.size))
        except Refusal as refusal:
            return self._refuse(refusal, incoming, target, now=now)
        except Exception as error:  # noqa: BLE001 - whatever cannot be judged is not let through
            # Only its type and place: the text of a stranger's exception may hold what it choked on.
            log.error("failed: %s", _where(error))  # noqa: TRY400 - a traceback would show values
            failure = Unavailable(ErrorCode.AUTH_UNAVAILABLE, "the authorization service failed; try again")
            return self._refuse(failure, incoming, target, now=now)
        else:
            return answer

    def _answered_before(self, asked: Asked, now: float) -> Answer | None:
        """Return the 200 that the same question got, if everything it stood on still stands."""
        known = self._answers.get(asked)
        if known is None or known.policy is not self._policy_file.policy:
            return None
        # Within DECISION_TTL of its end a credential's answer must say less, so it is made anew.
        if not self._still_holds(known.verified, now + self._settings.decision_ttl):
            return None
        identity = known.verified.identity
        self._check_revoked(identity)
        aging = self._groups if identity.method is AuthMethod.SESSION_COOKIE else None
        if aging is not None and not aging.holds(identity, now=now):
            return None
        return known.answer

    async def identify(self, credential: Credential, incoming: contract.Incoming, *, now: float) -> Verified:
        """Verify the credential; raises Unauthenticated, or Unavailable where no keys are known."""
        name = type(credential), hashlib.sha256(credential.raw.encode()).digest()
        verified = self._known.get(name)
        if verified is None or not self._still_holds(verified, now):
            match credential:
                case BearerToken(raw=raw):
                    verified = await self._verify_token(raw, now)
                case SessionCookie(raw=raw):
                    verified = Verified(self._verify_session(raw, now))
            self._known.put(name, verified)
        if verified.pool is not None:
            _agree_on_pool(verified.pool, incoming)
        self._check_revoked(verified.identity)
        if self._groups is not None and verified.identity.method is AuthMethod.SESSION_COOKIE:
            return Verified(await self._groups.of(verified.identity, now=now))
        return verified

    def _check_revoked(self, identity: Identity) -> None:
        if self._revocations is not None:
            self._revocations.check(identity)

    def _still_holds(self, verified: Verified, now: float) -> bool:
        """Tell whether a new look would find the same: it is not over, and its key still vouches for it."""
        if now >= verified.identity.expires_at:
            return False
        return verified.pool is None or self._keys.holds(verified.pool, verified.kid, verified.key)

    async def _verify_token(self, raw: str, now: float) -> Verified:
        token = jws.parse(raw, max_length=self._settings.max_token_length)
        key, pool = await self._keys.get(token)
        payload = jws.verify(token, key)
        return Verified(cognito_claims.verify(payload, pool, self._rules, now=now), token.kid, key, pool)

    def _verify_session(self, raw: str, now: float) -> Identity:
        keys, max_age = self._settings.secret_keys, self._settings.session_max_age
        if not keys:
            raise Unauthenticated(
                ErrorCode.SESSION_INVALID,
                "this gateway accepts no session cookies: SECRET_KEY is not set",
            )
        return session_cookie.verify(raw, keys, max_age=max_age, now=now)

    def _permit(
        self, identity: Identity, target: Target, current: grants.Policy, rights: Rights | None
    ) -> Permit:
        """Judge the call; raises Forbidden with the scope that would help, where a token could carry one."""
        scopes = current.effective_scopes(identity)
        decision = grants.decide(current, scopes, target)
        if isinstance(decision, Denied):
            code = ErrorCode.ACCESS_DENIED if decision.server_known else ErrorCode.SERVER_UNKNOWN
            raise Forbidden(code, decision.reason, scope=_scope_to_ask_for(current, identity, target))
        tools = grants.allowed_tools(current, scopes, target.server)
        told = responses.call_headers(target, scopes=scopes, groups=identity.groups, tools=tools)
        question = filter(None, rights[0]) if rights else ()
        names = (name.value for name in target.names)
        texts = [*question, *names, *scopes, *identity.groups, *(value for _, value in told)]
        permit = Permit(target, told, 1000 + _weight(texts))
        if rights:
            self._permits.put(rights, permit)
        return permit

    def _refuse(
        self,
        refusal: Refusal,
        incoming: contract.Incoming,
        target: Target | None,
        *,
        now: float,
    ) -> Answer:
        about = self._about(incoming)
        answer = responses.refused(refusal, about, now=now)
        fields: dict[str, object] = {
            "status": answer.status,
            "error_code": refusal.code.value,
            "message": refusal.message,
            "request_id": about.request_id,
        }
        if target is not None:
            asked = contract.encode(grants.describe(target)[:300])
            fields |= {"server": target.server, "target": asked}
        log.info("refused", extra={"fields": fields})
        return answer

    def _about(self, incoming: contract.Incoming) -> responses.About:
        issuer = self._settings.pools[0].issuers[0]
        server = "".join(incoming.every(contract.MCP_SERVER)[:1])
        path = "".join(incoming.every(contract.ORIGINAL_URI)[:1]).partition("?")[0]
        metadata = ""
        if server and path.startswith(f"/{server}") and _PATH.fullmatch(path):
            metadata = f"{self._settings.gateway_url}/.well-known/oauth-protected-resource{path}"
        return responses.About(
            request_id=contract.encode("".join(incoming.every(contract.REQUEST_ID)[:1])[:128]),
            resource_metadata=metadata,
            discovery_url=f"{issuer}/.well-known/openid-configuration",
        )


def _weight(texts: Collection[Sized]) -> int:
    return sum(map(len, texts)) + 60 * len(texts)


def _scope_to_ask_for(current: grants.Policy, identity: Identity, target: Target) -> str:
    """Name the scope that a new token would need, where one could carry it.

    Cognito's custom scopes always read `resource-server/name`; any other is reached by a group alone, and
    a client told to ask for it would sign in again for nothing.
    """
    if identity.method is not AuthMethod.JWT:
        return ""
    return next((scope for scope in grants.scopes_allowing(current, target) if "/" in scope), "")


def _agree_on_pool(pool: Pool, incoming: contract.Incoming) -> None:
    """Hold the caller to the pool it names (the MCP Gateway Registry's agents do); naming adds none."""
    if incoming.get(contract.USER_POOL_ID) not in {None, "", pool.id}:
        raise Unauthenticated(
            ErrorCode.INVALID_ISSUER, "the token is not from the pool that X-User-Pool-Id names"
        )
    if incoming.get(contract.REGION) not in {None, "", pool.region}:
        raise Unauthenticated(
            ErrorCode.INVALID_ISSUER, "the token is not from the region that X-Region names"
        )


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return f"{type(error).__name__} at {place}"
