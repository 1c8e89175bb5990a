"""An MCP client that has no token finds out by itself how to get one (MCP, authorization)."""

from __future__ import annotations

import html
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

if TYPE_CHECKING:
    from support.demo import Demo

pytestmark = pytest.mark.anyio

CALLBACK = "http://localhost:9090/callback"


class Memory:
    """Keeps what the client learns; it knows its app client beforehand, Cognito registers none."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = OAuthClientInformationFull(
            client_id="demo-cli", redirect_uris=[AnyUrl(CALLBACK)], token_endpoint_auth_method="none"
        )

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Signs in at the pool's page, where the client sends them."""

    def __init__(self, username: str, password: str) -> None:
        self.known = {"username": username, "password": password}
        self.came_back = ""

    async def visit(self, address: str) -> None:
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
            page = await browser.get(address)
            token = re.search(r'name="_csrf" value="([^"]*)"', page.text)
            assert token is not None, page.text
            form = {"_csrf": html.unescape(token[1]), "action": "sign-in"} | self.known
            answer = await browser.post(page.url, data=form, follow_redirects=False)
            self.came_back = urljoin(str(page.url), answer.headers["location"])

    async def result(self) -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(self.came_back).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0])


@pytest.mark.skipif(  # in containers the stand-in's token endpoint has a name that no client outside can resolve
    os.environ.get("GATEWAY_STACK") == "compose",
    reason="the token endpoint of the stand-in in containers is for containers alone",
)
async def test_a_client_signs_its_person_in(demo: Demo) -> None:
    """From the 401 to a granted call: metadata, sign-in at the pool with PKCE, a token bound to the server."""
    memory, person = Memory(), Person("uma", demo.password("uma"))
    url = f"{demo.base_url}/currenttime/mcp"
    wishes = OAuthClientMetadata(redirect_uris=[AnyUrl(CALLBACK)], token_endpoint_auth_method="none")
    auth = OAuthClientProvider(url, wishes, memory, person.visit, person.result)
    async with (
        httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result = await client.call_tool("current_time_by_timezone", {"tz_name": "Europe/Berlin"})
    assert not result.is_error
    assert memory.tokens is not None
