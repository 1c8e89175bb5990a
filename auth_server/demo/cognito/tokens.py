"""The claims of Cognito's tokens and their signing (developer guide, "Understanding user pool JWTs")."""

import base64
import hashlib
import uuid
from typing import Any

from auth_server.demo.cognito.directory import AppClient, Flow, Pool
from auth_server.demo.cognito.ledger import Authentication, RefreshGrant
from auth_server.demo.cognito.service import Service

Claims = dict[str, Any]


def machine_access_claims(issuer: str, client: AppClient, scopes: tuple[str, ...], now: int) -> Claims:
    """Claims of a client-credentials access token: its own subject; no user, groups or aud."""
    return {
        "sub": client.id,
        "token_use": "access",
        "scope": " ".join(scopes),
        "auth_time": now,
        "iss": issuer,
        "exp": now + client.access_token_validity,
        "iat": now,
        "version": 2,
        "jti": str(uuid.uuid4()),
        "client_id": client.id,
    }


def user_access_claims(issuer: str, client: AppClient, authentication: Authentication, now: int) -> Claims:
    """Claims of a user's access token; `aud` only if bound to a resource (RFC 8707)."""
    user = authentication.user
    claims: Claims = {
        "sub": user.sub,
        "iss": issuer,
        "client_id": client.id,
        "origin_jti": authentication.origin_jti,
        "event_id": str(uuid.uuid4()),
        "token_use": "access",
        "scope": " ".join(authentication.scopes),
        "auth_time": authentication.auth_time,
        "exp": now + client.access_token_validity,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "username": user.username,
    }
    if authentication.hosted:
        claims["version"] = 2
    if user.groups:
        claims["cognito:groups"] = list(user.groups)
    if authentication.resource:
        claims["aud"] = authentication.resource
    return claims


def id_claims(issuer: str, client: AppClient, authentication: Authentication, now: int) -> Claims:
    """Claims of an ID token (OpenID Connect Core, section 2, with Cognito's additions)."""
    user = authentication.user
    claims: Claims = {
        "sub": user.sub,
        "email_verified": user.email_verified,
        "iss": issuer,
        "cognito:username": user.username,
        "origin_jti": authentication.origin_jti,
        "aud": client.id,
        "event_id": str(uuid.uuid4()),
        "token_use": "id",
        "auth_time": authentication.auth_time,
        "exp": now + client.id_token_validity,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "email": user.email,
    }
    if user.groups:
        claims["cognito:groups"] = list(user.groups)
    return claims


def at_hash(access_token: str) -> str:
    """Bind an ID token to its access token (OpenID Connect Core, section 3.1.3.6)."""
    left_half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(left_half).decode("ascii").rstrip("=")


def issue_machine_token(service: Service, pool: Pool, client: AppClient, scopes: tuple[str, ...]) -> Claims:
    """Answer a client-credentials grant (RFC 6749, section 4.4.3): an access token and nothing else."""
    claims = machine_access_claims(service.issuer(pool), client, scopes, int(service.clock()))
    return {
        "access_token": service.keys.current(pool.id).access.sign(claims),
        "expires_in": client.access_token_validity,
        "token_type": "Bearer",
    }


def issue_user_tokens(
    service: Service, pool: Pool, client: AppClient, authentication: Authentication, nonce: str | None = None
) -> Claims:
    """Sign an access token and, if `openid` (or no hosted page) asked for it, an ID token."""
    keys, issuer, now = service.keys.current(pool.id), service.issuer(pool), int(service.clock())
    access_token = keys.access.sign(user_access_claims(issuer, client, authentication, now))
    answer: Claims = {
        "access_token": access_token,
        "expires_in": client.access_token_validity,
        "token_type": "Bearer",
    }
    if "openid" in authentication.scopes or not authentication.hosted:
        claims = id_claims(issuer, client, authentication, now)
        if authentication.hosted:
            claims["at_hash"] = at_hash(access_token)
        if nonce:
            claims["nonce"] = nonce
        answer["id_token"] = keys.id.sign(claims)
    return answer


def issue_refresh_token(
    service: Service,
    pool: Pool,
    client: AppClient,
    authentication: Authentication,
    expires_at: float | None = None,
) -> dict[str, str]:
    """Hand out a refresh token if the client may use one; a rotated one lives no longer than the first."""
    if Flow.REFRESH_TOKEN not in client.flows:
        return {}
    now = service.clock()
    until = expires_at or now + client.refresh_token_validity
    grant = RefreshGrant(authentication, until)
    return {"refresh_token": service.ledgers[pool.id].refresh_tokens.put(grant, expires_at=until, now=now)}
