"""Answers to people and programs: pages under a strict policy, JSON, redirects, and errors as either."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import Response

from auth_server import contract as h
from auth_server.errors import ErrorCode, Refusal, Unavailable
from auth_server.oauth.cognito import CognitoError
from auth_server.validate import responses
from auth_server.web import pages
from auth_server.web.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_server.web.context import WebRequest

log = logging.getLogger("auth_server")

# On every answer. The referrer stays for this origin: without one, browsers send `Origin: null` with forms.
_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def page(template: str, *, status: int = 200, leads_to: str = "", **values: Any) -> Response:
    """Return a page.

    `leads_to` is a URL that its form ends up at: browsers hold redirects to form-action, too.
    """
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self'{_origin(leads_to)}"
    )
    body = pages.render(template, **values)
    given = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return Response(body, status, _ALWAYS | given)


def data(value: Mapping[str, Any], *, status: int = 200) -> Response:
    """Return JSON."""
    body = json.dumps(value, separators=(",", ":"))
    return Response(body, status, _ALWAYS | {"Content-Type": "application/json"})


def redirect(location: str, *, status: int = 302) -> Response:
    """Send the browser on."""
    return Response("", status, _ALWAYS | {"Location": location})


def nothing() -> Response:
    """Return success without a body."""
    return Response(status_code=204, headers=_ALWAYS)


def asset(found: pages.Asset, *, exact: bool) -> Response:
    """Return a file of the pages; for good, where its address names this very content."""
    kept = "public, max-age=31536000, immutable" if exact else "no-cache"
    return Response(found.body, 200, _ALWAYS | {"Content-Type": found.media_type, "Cache-Control": kept})


def refused(request: WebRequest, error: Exception) -> Response:
    """Return what the person or the program is told; an unforeseen error is 503 and tells nothing."""
    match error:
        case Problem():
            problem = error
        case Refusal():
            problem = problem_of(error)
        case CognitoError():
            log.error("cognito failed", extra={"fields": {"reason": str(error)[:300]}})
            problem = problem_of(
                Unavailable(ErrorCode.AUTH_UNAVAILABLE, "Cognito does not answer; try again")
            )
        case _:
            # Only its type: the text of a stranger's exception may hold what it choked on.
            log.error("failed", extra={"fields": {"exception": type(error).__name__, "path": _path(request)}})
            problem = problem_of(Unavailable(ErrorCode.AUTH_UNAVAILABLE, "this gateway failed; try again"))
    about = request.about
    answer = responses.refused(problem.refusal, about, now=request.now)
    fields = {
        "status": answer.status,
        "error_code": problem.refusal.code.value,
        "message": problem.refusal.message,
        "path": _path(request),
        "request_id": about.request_id,
    }
    log.info("refused", extra={"fields": fields})
    given = {name.decode(): value.decode() for name, value in answer.headers}
    del given["content-length"]
    if request.is_person:
        response = page(
            "problem",
            status=answer.status,
            problem=problem,
            request_id=about.request_id,
            host=request.web.host,
        )
        response.headers.update(given | {"content-type": response.headers["content-type"]})
        return response
    return Response(
        answer.body, answer.status, {name.lower(): text for name, text in _ALWAYS.items()} | given
    )


def _path(request: WebRequest) -> str:
    return h.encode(request.starlette.url.path[:200])


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
