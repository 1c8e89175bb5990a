"""For agents: auth plug-ins that let an HTTP client, and so the official MCP client, through the gateway.

`CognitoClientCredentials` gives an agent an identity of its own, `SessionCookie` lets it act for the person
who ran `auth-server login`. Either is the `auth=` of a client of httpx or of httpx2, sync or asyncio:

    async with httpx2.AsyncClient(auth=CognitoClientCredentials.from_environ()) as http:
        async with Client(streamable_http_client(URL, http_client=http)) as client:
            ...
"""

from auth_server.client.cookie import SessionCookie
from auth_server.client.credentials import CognitoClientCredentials
from auth_server.client.errors import ClientError, CognitoAuthenticationError, SessionCookieError

__all__ = [
    "ClientError",
    "CognitoAuthenticationError",
    "CognitoClientCredentials",
    "SessionCookie",
    "SessionCookieError",
]
