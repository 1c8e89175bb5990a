"""Which path is answered by what, and how each visit begins and ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.routing import Route

from auth_server import headers
from auth_server.web import answers, home, login, metadata, session
from auth_server.web.context import Visit, Web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    Handler = Callable[[Web, Visit], Awaitable[Response]]


def routes(web: Web) -> list[Route]:
    """Return the routes for people and their commands."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/", home.home),
        ("GET", login.LOGIN, login.login),
        ("GET", login.CALLBACK, login.callback),
        ("GET", session.LOGOUT, session.logout),
        ("POST", session.LOGOUT, session.logout),
        ("GET", "/session", session.show),
        ("POST", "/session", session.create),
        ("DELETE", "/session", session.delete),
        ("GET", "/assets/{digest}/{name}", home.asset),
        ("GET", metadata.RESOURCE, metadata.resource),
        ("GET", metadata.AUTHORIZATION_SERVER, metadata.authorization_server),
    ]
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        by_path.setdefault(path, {})[method] = handler
    return [Route(path, _endpoint(web, found), methods=list(found)) for path, found in by_path.items()]


def _endpoint(web: Web, handlers: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        incoming = headers.Incoming(request.headers.raw)
        visit = Visit(web, request, time.time(), incoming)
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        try:
            response = await handler(web, visit)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a page, and nobody a session
            response = answers.refused(visit, error)
        return visit.finish(response)

    return answer
