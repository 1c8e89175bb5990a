"""What MCP clients read to find out where tokens come from (RFC 9728), and how to get one (RFC 8414).

Cognito's own discovery document names no PKCE method, so that MCP clients refuse it: one that they take is
served here, under an issuer of this gateway's, with Cognito's endpoints. Tokens are held to Cognito's issuer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_server.contract import SERVER_NAME_PATTERN, WELL_KNOWN
from auth_server.errors import InvalidRequest
from auth_server.web import answers

if TYPE_CHECKING:
    from starlette.responses import Response

    from auth_server.web.context import Web, WebRequest

RESOURCE = f"{WELL_KNOWN}protected-resource/{{resource:path}}"
AUTHORIZATION_SERVER = f"{WELL_KNOWN}authorization-server/oauth"

_RESOURCE = re.compile(rf"{SERVER_NAME_PATTERN}(?:/[A-Za-z0-9._~-]+)*/?")


async def resource(web: Web, request: WebRequest) -> Response:
    """Describe one MCP server as a protected resource (RFC 9728, section 2).

    Every name is answered for: who asks without a credential does not learn which servers there are. No
    scopes are named, so that clients ask for none: Cognito then grants all that the app client may have, and
    refuses one that asks for a scope too many.
    """
    path = request.starlette.path_params["resource"]
    if not _RESOURCE.fullmatch(path):
        raise InvalidRequest("the metadata of an MCP server is below its own path: …/<server>/mcp")
    gateway_url = web.settings.gateway_url
    return answers.data(
        {
            "resource": f"{gateway_url}/{path}",
            "authorization_servers": [f"{gateway_url}/oauth"],
            "bearer_methods_supported": ["header"],
        }
    )


async def authorization_server(web: Web, _: WebRequest) -> Response:
    """Describe Cognito as MCP clients need it (RFC 8414, section 2); CognitoError where it is not known."""
    endpoints = await web.provider.endpoints()
    pool = web.settings.pools[0]
    return answers.data(
        {
            "issuer": f"{web.settings.gateway_url}/oauth",
            "authorization_endpoint": endpoints.authorize,
            "token_endpoint": endpoints.token,
            "jwks_uri": pool.jwks_url,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        }
    )
