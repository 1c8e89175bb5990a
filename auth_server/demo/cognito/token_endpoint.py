"""The endpoints that clients call: token, revoke and userInfo."""

import base64
import hashlib
from dataclasses import replace

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from auth_server.demo.cognito.directory import AppClient, Flow, Pool
from auth_server.demo.cognito.errors import OAuthError
from auth_server.demo.cognito.forms import authenticate, read_form, same
from auth_server.demo.cognito.keys import ALGORITHM
from auth_server.demo.cognito.service import Service, pool_of, service_of
from auth_server.demo.cognito.tokens import (
    Claims,
    issue_machine_token,
    issue_refresh_token,
    issue_user_tokens,
)

ACCESS = "access"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


async def token_endpoint(request: Request) -> Response:
    """Answer POST /oauth2/token (RFC 6749, section 3.2)."""
    service, pool = service_of(request), pool_of(request)
    form = await read_form(request)
    client = authenticate(request, form, pool)
    match form.get("grant_type"):
        case "client_credentials":
            answer = _client_credentials(service, pool, client, form)
        case "authorization_code":
            answer = _authorization_code(service, pool, client, form)
        case "refresh_token":
            answer = _refresh_token(service, pool, client, form)
        case None:
            raise OAuthError("invalid_request")
        case _:
            raise OAuthError("unsupported_grant_type")
    return JSONResponse(answer, headers=NO_STORE)


def _client_credentials(service: Service, pool: Pool, client: AppClient, form: dict[str, str]) -> Claims:
    """RFC 6749, section 4.4. Without `scope`, all that the client may have."""
    if Flow.CLIENT_CREDENTIALS not in client.flows:
        raise OAuthError("unauthorized_client")
    scopes = tuple(dict.fromkeys(form.get("scope", "").split())) or client.scopes
    if not set(scopes) <= set(client.scopes):
        raise OAuthError("invalid_scope")
    return issue_machine_token(service, pool, client, scopes)


def _authorization_code(service: Service, pool: Pool, client: AppClient, form: dict[str, str]) -> Claims:
    """RFC 6749, section 4.1.3, with PKCE (RFC 7636, section 4.6). Any attempt uses the code up."""
    if Flow.CODE not in client.flows:
        raise OAuthError("unauthorized_client")
    if not {"code", "redirect_uri"} <= form.keys():
        raise OAuthError("invalid_request")
    grant = service.ledgers[pool.id].codes.take(form["code"], now=service.clock())
    if grant is None or grant.authentication.client_id != client.id:
        raise OAuthError("invalid_grant")
    if grant.redirect_uri != form["redirect_uri"]:
        raise OAuthError("invalid_grant")
    if not same(_s256(form.get("code_verifier", "")), grant.code_challenge):
        raise OAuthError("invalid_grant")
    if form.get("resource", grant.authentication.resource) != grant.authentication.resource:
        raise OAuthError("invalid_target")
    answer = issue_user_tokens(service, pool, client, grant.authentication, nonce=grant.nonce)
    return answer | issue_refresh_token(service, pool, client, grant.authentication)


def _refresh_token(service: Service, pool: Pool, client: AppClient, form: dict[str, str]) -> Claims:
    """RFC 6749, section 6. A rotating client gets a new refresh token and the old one dies."""
    if Flow.REFRESH_TOKEN not in client.flows:
        raise OAuthError("unauthorized_client")
    if "refresh_token" not in form:
        raise OAuthError("invalid_request")
    tokens, now = service.ledgers[pool.id].refresh_tokens, service.clock()
    grant = tokens.get(form["refresh_token"], now=now)
    if grant is None or grant.authentication.client_id != client.id:
        raise OAuthError("invalid_grant")
    user = pool.user(grant.authentication.user.username)  # as they are now, not as they signed in
    if user is None:
        raise OAuthError("invalid_grant")
    authentication = replace(grant.authentication, user=user)
    answer = issue_user_tokens(service, pool, client, authentication)
    if client.rotate_refresh_tokens:
        tokens.take(form["refresh_token"], now=now)
        answer |= issue_refresh_token(service, pool, client, authentication, grant.expires_at)
    return answer


async def revocation_endpoint(request: Request) -> Response:
    """Answer POST /oauth2/revoke (RFC 7009): an unknown token is a success, too."""
    service, pool = service_of(request), pool_of(request)
    form = await read_form(request)
    client = authenticate(request, form, pool)
    if "token" not in form:
        raise OAuthError("invalid_request")
    if _verified(service, pool, form["token"]) is not None:
        raise OAuthError("unsupported_token_type")
    ledger, now = service.ledgers[pool.id], service.clock()
    grant = ledger.refresh_tokens.get(form["token"], now=now)
    if grant is not None and grant.authentication.client_id == client.id:
        ledger.refresh_tokens.take(form["token"], now=now)
        ledger.revoked.add(grant.authentication.origin_jti)
    return Response(status_code=200, headers=NO_STORE)


async def user_info_endpoint(request: Request) -> Response:
    """Answer GET /oauth2/userInfo (OpenID Connect Core, section 5.3), for access tokens with `openid`."""
    service, pool = service_of(request), pool_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return _challenge(400, "invalid_request", "Bad OAuth2 request at UserInfo Endpoint")
    claims = _verified(service, pool, token.strip())
    user = pool.user(claims.get("username", "")) if claims and claims["token_use"] == ACCESS else None
    if claims is None or user is None or claims["origin_jti"] in service.ledgers[pool.id].revoked:
        return _challenge(401, "invalid_token", "Access token is expired, disabled, or deleted")
    scopes = claims["scope"].split()
    if "openid" not in scopes:
        return _challenge(401, "invalid_token", "Access token does not contain openid scope")
    answer = {"sub": user.sub, "username": user.username}
    if "email" in scopes:
        answer |= {"email": user.email, "email_verified": str(user.email_verified).lower()}
    return JSONResponse(answer, headers=NO_STORE)


def _verified(service: Service, pool: Pool, token: str) -> Claims | None:
    """Return the claims of a token that this pool signed and that has not expired."""
    try:
        key = service.keys.published(pool.id)[jwt.get_unverified_header(token)["kid"]]
        # PyJWT would judge the times by its own clock.
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        claims = jwt.decode(token, key.private.public_key(), algorithms=[ALGORITHM], options=options)
    except (jwt.PyJWTError, KeyError):
        return None
    return claims if service.clock() < claims["exp"] else None


def _challenge(status: int, error: str, description: str) -> Response:
    headers = {"WWW-Authenticate": f'Bearer error="{error}", error_description="{description}"'}
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status_code=status, headers=headers)


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
