"""The stand-in assembled: routes, discovery, JWKS and how failures are answered."""

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from auth_server.demo.cognito import browser
from auth_server.demo.cognito.directory import Directory
from auth_server.demo.cognito.errors import ApiError, AuthorizationRefused, BadAuthorization, OAuthError
from auth_server.demo.cognito.keys import ALGORITHM, KeyRing
from auth_server.demo.cognito.ledger import Ledger
from auth_server.demo.cognito.service import Service, pool_of, service_of
from auth_server.demo.cognito.token_endpoint import (
    NO_STORE,
    revocation_endpoint,
    token_endpoint,
    user_info_endpoint,
)
from auth_server.demo.cognito.user_pools_api import api_error, initiate_auth


def create_app(
    directory: Directory,
    *,
    issuer_base: str,
    public_base: str | None = None,
    keys: KeyRing | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Serve this directory: each pool at `{issuer_base}/{pool id}`; `app.state.keys` are the private keys.

    `public_base` is where browsers reach the stand-in, if that is another address than the one that
    programs use: the discovery document then has the authorization and logout endpoints there.
    """
    keys = keys or KeyRing.generate(pool.id for pool in directory.pools)
    issuer_base = issuer_base.rstrip("/")
    pool_routes = [
        Route("/.well-known/jwks.json", jwks),
        Route("/.well-known/openid-configuration", openid_configuration),
        Route("/oauth2/authorize", browser.authorization_endpoint),
        Route("/login", browser.sign_in_page),
        Route("/login", browser.sign_in, methods=["POST"]),
        Route("/style.css", browser.style),
        Route("/logout", browser.logout_endpoint),
        Route("/oauth2/token", token_endpoint, methods=["POST"]),
        Route("/oauth2/revoke", revocation_endpoint, methods=["POST"]),
        Route("/oauth2/userInfo", user_info_endpoint),
    ]
    app = Starlette(
        routes=[Route("/", initiate_auth, methods=["POST"]), Mount("/{pool_id}", routes=pool_routes)],
        exception_handlers={
            OAuthError: oauth_error,
            ApiError: api_error,
            AuthorizationRefused: browser.refused,
            BadAuthorization: browser.bad_authorization,
        },
    )
    app.state.keys = keys
    app.state.service = Service(
        directory=directory,
        keys=keys,
        ledgers={pool.id: Ledger() for pool in directory.pools},
        clock=clock,
        issuer_base=issuer_base,
        public_base=(public_base or issuer_base).rstrip("/"),
    )
    return app


async def jwks(request: Request) -> Response:
    """Answer GET /.well-known/jwks.json (RFC 7517, section 5)."""
    keys = service_of(request).keys.jwks(pool_of(request).id)
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=86400"})


async def openid_configuration(request: Request) -> Response:
    """Answer GET /.well-known/openid-configuration.

    As Cognito's, it lacks `code_challenge_methods_supported` although S256 is supported.
    """
    service, pool = service_of(request), pool_of(request)
    public, internal = f"{service.public_base}/{pool.id}", f"{service.issuer_base}/{pool.id}"
    document = {
        "authorization_endpoint": f"{public}/oauth2/authorize",
        "end_session_endpoint": f"{public}/logout",
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "issuer": service.issuer(pool),
        "jwks_uri": f"{internal}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "revocation_endpoint": f"{internal}/oauth2/revoke",
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": f"{internal}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": f"{internal}/oauth2/userInfo",
    }
    return JSONResponse(document)


async def oauth_error(_request: Request, exception: Exception) -> Response:
    """Answer a refused client (RFC 6749, section 5.2)."""
    assert isinstance(exception, OAuthError)  # noqa: S101 - registered for nothing else
    return JSONResponse({"error": exception.error}, status_code=exception.status, headers=NO_STORE)
