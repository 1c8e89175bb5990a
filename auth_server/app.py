"""The sidecar's ASGI application: routes, start and stop. No rules."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth_server.asgi import read_body
from auth_server.config.settings import Settings, environment
from auth_server.contract import VALIDATE, VALIDATE_HEADERS
from auth_server.headers import listener
from auth_server.identity.groups import SessionGroups
from auth_server.identity.identify import Identifier
from auth_server.identity.keys import Keys
from auth_server.identity.revocations import Revocations
from auth_server.identity.tokens import Tokens
from auth_server.logs import configure
from auth_server.oauth.provider import Provider
from auth_server.policy.watcher import PolicyFile
from auth_server.stores import open_store
from auth_server.validate.validate import Caller, Validator
from auth_server.web import Web, routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

log = logging.getLogger("auth_server")

_QUESTIONS = {(path, method) for path in (VALIDATE, VALIDATE_HEADERS) for method in ("GET", "POST")}


class Sidecar:
    """The ASGI application: /validate itself, everything else through Starlette.

    The hot path builds no request or response object and passes no middleware.
    """

    def __init__(self, validator: Validator, others: Starlette) -> None:
        self.validator = validator
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the only clock of the hot path is read here."""
        if scope["type"] != "http" or (scope["path"], scope["method"]) not in _QUESTIONS:
            await self._others(scope, receive, send)
            return
        now, validator = time.time(), self.validator
        caller = await validator.caller(scope["headers"], now=now, listener=listener(scope))
        # What a stranger sends is read to its end all the same, or nginx may take the answer for broken.
        body = await read_body(receive, kept=isinstance(caller, Caller))
        answer = validator.answer(scope["path"], caller, body, now=now)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})


def create_app(settings: Settings) -> Sidecar:
    """Build the application; raises ConfigurationError where scopes.yml cannot be used."""
    policy_file = PolicyFile(settings.scopes_file)
    policy_file.load_first()
    keys = Keys(settings.pools, refresh=settings.jwks_refresh, max_stale=settings.jwks_max_stale)
    store = open_store(settings.revocation_url)
    store.prepare()
    revocations = Revocations(store, session_max_age=settings.session_max_age)
    provider = Provider(settings)
    tokens = Tokens(settings, keys)
    groups = None
    if settings.session_refresh is not None:
        groups = SessionGroups(settings, store, revocations, provider, tokens)
    identifier = Identifier(settings, tokens, revocations, groups)
    validator = Validator(settings, identifier, policy_file)

    tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await revocations.look()
        parts = {"keys": keys.run(), "policy": policy_file.watch(), "revocations": revocations.follow()}
        for name, part in parts.items():
            tasks.append(asyncio.create_task(part, name=name))
            tasks[-1].add_done_callback(_tell_of_its_end)
        log.info("started", extra={"fields": {"scopes_file": str(settings.scopes_file)}})
        yield
        await _end(tasks)
        if groups is not None:
            await groups.aclose()
        await revocations.aclose()

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "alive"})

    def state() -> dict[str, Any]:
        stopped = [task.get_name() for task in tasks if task.done()]
        ready = keys.ready and revocations.ready and not stopped
        return {
            "status": "ready" if ready else "not ready",
            "keys": keys.state(),
            "policy": {
                "file": str(settings.scopes_file),
                "digest": policy_file.policy.digest,
                "loaded_at": policy_file.loaded_at,
                "last_error": policy_file.error,
            },
            "revocations": revocations.state(),
            "stopped": stopped,
        }

    async def readyz(_: Request) -> JSONResponse:
        found = state()
        return JSONResponse(found, status_code=200 if found["status"] == "ready" else 503)

    async def metrics(_: Request) -> Response:
        from auth_server import metrics  # quicker to start without

        return Response(metrics.exposition(state()), media_type=metrics.CONTENT_TYPE)

    web = Web(settings, tokens, identifier, policy_file, provider, revocations, groups)
    others = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            *routes(web),
        ],
        lifespan=lifespan,
    )
    return Sidecar(validator, others)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until each has ended: a library may take a cancellation for a time-out of its own."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=1)


def _tell_of_its_end(task: asyncio.Task[None]) -> None:
    """Say that something ended which runs as long as the process; /readyz says it from then on."""
    if not task.cancelled():
        fields = {"part": task.get_name(), "exception": type(task.exception()).__name__}
        log.critical("a part of this process has stopped; restart it", extra={"fields": fields})


def from_environment() -> Sidecar:
    """Build the application from the environment: what each of several workers runs."""
    settings = Settings.from_environ(environment())
    configure(settings)
    return create_app(settings)
