"""The page `/`: who you are, and what you may call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from auth_server import contract
from auth_server.contract import LOGIN, LOGOUT
from auth_server.errors import InvalidRequest, NotHere, Unauthenticated
from auth_server.identity.credentials import session_cookies
from auth_server.oauth.cognito import CognitoError
from auth_server.policy.overview import overview
from auth_server.web import answers, pages
from auth_server.web.session import described

if TYPE_CHECKING:
    from starlette.responses import Response

    from auth_server.model import Identity
    from auth_server.policy.overview import Overview
    from auth_server.web.context import Web, WebRequest

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


async def home(web: Web, request: WebRequest) -> Response:
    """Show the page; programs get who they are as JSON, or 401."""
    try:
        identity = await request.who()
    except (Unauthenticated, InvalidRequest) as refusal:
        if not request.is_person:
            raise
        was_signed_in = bool(session_cookies(request.headers.every(contract.COOKIE)))
        request.drop_session()
        return answers.page(
            "signed_out",
            login=LOGIN,
            can_sign_in=web.can_sign_in,
            notice=refusal.message if was_signed_in else "",
            host=web.host,
        )
    if not request.is_person:
        return answers.data(described(web, identity))
    policy = web.policy_file.policy
    scopes = policy.effective_scopes(identity)
    shown = overview(policy, scopes)
    return answers.page(
        "home",
        leads_to=await _cognito(web),
        identity=identity,
        who=identity.username or identity.client_id,
        scopes=scopes,
        unmapped=[group for group in identity.groups if group not in policy.groups],
        overview=shown,
        until=moment(identity.expires_at),
        until_iso=datetime.fromtimestamp(identity.expires_at, UTC).isoformat(),
        left=lasting(identity.expires_at - request.now),
        logout=LOGOUT,
        gateway_url=web.settings.gateway_url,
        host=web.host,
        configuration=configuration(web, identity, shown),
    )


async def asset(_: Web, request: WebRequest) -> Response:
    """Return a file that the pages refer to."""
    found = pages.assets().get(request.starlette.path_params["name"])
    if found is None:
        raise NotHere("no page of this gateway has that file")
    return answers.asset(found, exact=found.path == request.starlette.url.path)


def configuration(web: Web, identity: Identity, shown: Overview) -> str:
    """Return the configuration of an MCP client for the servers that this person may use.

    The cookie itself is not in it: pages, and the scripts on them, must not be able to read it.
    """
    gateway_url = web.settings.gateway_url
    header = {"Cookie": f"{contract.SESSION_COOKIE}=${{MCP_GATEWAY_SESSION}}"}
    if identity.method.value == "jwt":
        header = {"Authorization": "Bearer ${MCP_GATEWAY_TOKEN}"}
    servers = {
        server.name: {"type": "http", "url": f"{gateway_url}/{quote(server.name)}/mcp", "headers": header}
        for server in shown.usable
    }
    return json.dumps({"mcpServers": servers}, indent=2)


def moment(timestamp: float) -> str:
    """Return a time as people write it."""
    when = datetime.fromtimestamp(timestamp, UTC)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def lasting(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return "less than a minute"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


async def _cognito(web: Web) -> str:
    try:
        return (await web.provider.endpoints()).logout if web.can_sign_in else ""
    except CognitoError:
        return ""
