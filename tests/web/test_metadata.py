"""What an MCP client is told before it has a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.web_sign_in import GATEWAY, Stage

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio

RESOURCE = "/.well-known/oauth-protected-resource"


async def test_a_protected_resource(stage: Stage) -> None:
    """The resource is the MCP server's own URL, and no scope is named: Cognito refuses one too many."""
    response = await stage.browser().send("GET", f"{RESOURCE}/time/mcp")
    assert response.status_code == 200
    assert response.json() == {
        "resource": f"{GATEWAY}/time/mcp",
        "authorization_servers": [f"{GATEWAY}/oauth"],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize("path", ["/", "/Time/mcp", "/time//mcp", "/time/%22", "/time/a b"])
async def test_what_is_no_resource(stage: Stage, path: str) -> None:
    """Nothing of a stranger's comes back that is not the path of a server."""
    response = await stage.browser().send("GET", RESOURCE + path)
    assert (response.status_code, response.headers["x-auth-error"]) == (400, "REQUEST_INVALID")


async def test_the_authorization_server(stage: Stage) -> None:
    """Cognito's endpoints, with the PKCE method that its own document leaves out."""
    found = (await stage.browser().send("GET", "/.well-known/oauth-authorization-server/oauth")).json()
    assert found["issuer"] == f"{GATEWAY}/oauth"
    assert found["authorization_endpoint"].startswith(stage.cognito.base)
    assert found["token_endpoint"].startswith(stage.cognito.base)
    assert found["code_challenge_methods_supported"] == ["S256"]
