"""Which path is answered by what, and how each request begins and ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import Route

from auth_server.contract import ASSETS, CALLBACK, HOME, LOGIN, LOGOUT, SESSION
from auth_server.errors import NotHere, WrongMethod
from auth_server.headers import Headers, listener
from auth_server.validate.request import Site, check
from auth_server.web import answers, home, login, metadata, session
from auth_server.web.context import Web, WebRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    Handler = Callable[[Web, WebRequest], Awaitable[Response]]


def routes(web: Web) -> list[Route]:
    """Return the routes for people and their commands; the last takes what no other does."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", HOME, home.home),
        ("GET", LOGIN, login.login),
        ("GET", CALLBACK, login.callback),
        ("GET", LOGOUT, session.logout),
        ("POST", LOGOUT, session.logout),
        ("GET", SESSION, session.show),
        ("POST", SESSION, session.create),
        ("DELETE", SESSION, session.delete),
        ("GET", f"{ASSETS}{{digest}}/{{name}}", home.asset),
        ("GET", metadata.RESOURCE, metadata.resource),
        ("GET", metadata.AUTHORIZATION_SERVER, metadata.authorization_server),
    ]
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        by_path.setdefault(path, {})[method] = handler
    by_path["/{path:path}"] = {}
    return [Route(path, _Endpoint(web, found)) for path, found in by_path.items()]


class _Endpoint:
    """What is at one path: a handler for each method; none where nothing is."""

    def __init__(self, web: Web, handlers: dict[str, Handler]) -> None:
        self._web = web
        self._site = Site.of(web.settings.gateway_url, web.settings.allowed_hosts)
        self._handlers = handlers | {"HEAD": handlers["GET"]} if "GET" in handlers else handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens: a person gets a page, and nobody a session by mistake."""
        starlette = Request(scope, receive)
        request = WebRequest(self._web, starlette, time.time(), Headers(starlette.headers.raw))
        try:
            check(request.headers, self._site, listener=listener(scope))
            response = await self._handler(request.method)(self._web, request)
        except Exception as error:  # noqa: BLE001 - see above
            response = answers.refused(request, error)
        await request.finish(response)(scope, receive, send)

    def _handler(self, method: str) -> Handler:
        if not self._handlers:
            raise NotHere("what this address names is not here")
        if method not in self._handlers:
            allowed = tuple(sorted(self._handlers))
            raise WrongMethod(f"this address takes {', '.join(allowed)}", allowed=allowed)
        return self._handlers[method]
