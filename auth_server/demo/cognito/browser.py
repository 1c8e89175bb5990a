"""The endpoints that a browser visits: authorize, the sign-in page, logout (Cognito's "managed login")."""

import secrets
import uuid
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from auth_server.demo.cognito import authorize, pages
from auth_server.demo.cognito.authorize import AuthorizationRequest
from auth_server.demo.cognito.directory import Pool
from auth_server.demo.cognito.errors import AuthorizationRefused, BadAuthorization, OAuthError
from auth_server.demo.cognito.forms import parameters, read_form, same
from auth_server.demo.cognito.ledger import (
    CODE_LIFETIME,
    SESSION_LIFETIME,
    Authentication,
    BrowserSession,
    CodeGrant,
)
from auth_server.demo.cognito.service import Service, pool_of, service_of

SESSION_COOKIE = "cognito"
CSRF_COOKIE = "XSRF-TOKEN"


async def authorization_endpoint(request: Request) -> Response:
    """Answer GET /oauth2/authorize: a code if the browser is signed in, else the way to the sign-in page."""
    service, pool = service_of(request), pool_of(request)
    asked = authorize.read(pool, _query(request))
    handle = request.cookies.get(SESSION_COOKIE, "")
    session = service.ledgers[pool.id].sessions.get(handle, now=service.clock())
    if session is not None and asked.prompt != "login":
        return _grant(service, pool, asked, session)
    if asked.prompt == "none":
        raise asked.refused("login_required", "nobody is signed in")
    # Relative, so that it is right behind any proxy.
    return RedirectResponse(f"../login?{request.url.query}", status_code=302)


async def sign_in_page(request: Request) -> Response:
    """Answer GET /login with the form."""
    asked = authorize.read(pool_of(request), _query(request))
    return _form(request, asked, username=asked.login_hint)


async def sign_in(request: Request) -> Response:
    """Answer POST /login: start a browser session and go back to the client with a code."""
    service, pool = service_of(request), pool_of(request)
    asked = authorize.read(pool, _query(request))
    form = await read_form(request)
    cookie, field = request.cookies.get(CSRF_COOKIE), form.get("_csrf", "")
    if not cookie or not same(field, cookie):
        return _form(request, asked, problem="This form is out of date. Please try again.", status=403)
    if form.get("action") == "cancel":
        raise asked.refused("access_denied", "the person cancelled")
    user = pool.user(form.get("username", ""))
    # An unknown user costs the same comparison, and the answer does not say which of the two was wrong.
    known = same(form.get("password", ""), user.password if user else secrets.token_hex())
    if user is None or not known:
        problem = "Incorrect user name or password."
        return _form(request, asked, username=form.get("username", ""), problem=problem, status=400)
    session = BrowserSession(user, int(service.clock()))
    handle = service.ledgers[pool.id].sessions.put(
        session, expires_at=service.clock() + SESSION_LIFETIME, now=service.clock()
    )
    response = _grant(service, pool, asked, session)
    _set_cookie(response, service, pool, SESSION_COOKIE, handle, max_age=SESSION_LIFETIME)
    return response


async def logout_endpoint(request: Request) -> Response:
    """Answer GET /logout: end the browser session and go to a registered sign-out URL."""
    service, pool = service_of(request), pool_of(request)
    given = _query(request)
    client = pool.client(given.get("client_id", ""))
    logout_uri = given.get("logout_uri", "")
    if client is None or logout_uri not in client.logout_urls:
        raise BadAuthorization(
            "invalid_request",
            "Signing out needs the client_id of an app client and a logout_uri among its sign-out URLs.",
        )
    service.ledgers[pool.id].sessions.take(request.cookies.get(SESSION_COOKIE, ""), now=service.clock())
    response = RedirectResponse(logout_uri, status_code=302, headers={"Cache-Control": "no-store"})
    response.delete_cookie(SESSION_COOKIE, path=_cookie_path(service, pool))
    return response


async def style(request: Request) -> Response:
    """Answer GET /style.css."""
    pool_of(request)
    return Response(pages.STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


async def refused(_request: Request, exception: Exception) -> Response:
    """Take an error to the client (RFC 6749, section 4.1.2.1)."""
    assert isinstance(exception, AuthorizationRefused)  # noqa: S101 - registered for nothing else
    answer = {"error": exception.error, "error_description": exception.description, "state": exception.state}
    target = authorize.location(exception.redirect_uri, answer)
    return RedirectResponse(target, status_code=302, headers={"Cache-Control": "no-store"})


async def bad_authorization(request: Request, exception: Exception) -> Response:
    """Tell the person what is wrong: a redirect would be an open one (RFC 6749, section 4.1.2.1)."""
    assert isinstance(exception, BadAuthorization)  # noqa: S101 - registered for nothing else
    page = pages.problem(
        pool=pool_of(request).id,
        title="This request can't be completed",
        error=exception.error,
        explanation=exception.explanation,
    )
    return _html(page, status=400)


def _query(request: Request) -> dict[str, str]:
    try:
        return parameters(request.url.query)
    except OAuthError:
        explanation = "The link that brought you here is damaged: a parameter occurs twice or can't be read."
        raise BadAuthorization("invalid_request", explanation) from None


def _grant(service: Service, pool: Pool, asked: AuthorizationRequest, session: BrowserSession) -> Response:
    """Redirect to the client with a new code (RFC 6749, section 4.1.2)."""
    now = service.clock()
    authentication = Authentication(
        user=session.user,
        client_id=asked.client.id,
        scopes=asked.scopes,
        auth_time=session.auth_time,
        origin_jti=str(uuid.uuid4()),
        resource=asked.resource,
    )
    grant = CodeGrant(authentication, asked.redirect_uri, asked.code_challenge, asked.nonce)
    code = service.ledgers[pool.id].codes.put(grant, expires_at=now + CODE_LIFETIME, now=now)
    target = authorize.location(asked.redirect_uri, {"code": code, "state": asked.state})
    return RedirectResponse(target, status_code=302, headers={"Cache-Control": "no-store"})


def _form(
    request: Request,
    asked: AuthorizationRequest,
    *,
    username: str = "",
    problem: str | None = None,
    status: int = 200,
) -> Response:
    """Return the sign-in page with a token that a foreign site can't know (double-submit cookie)."""
    service, pool = service_of(request), pool_of(request)
    # The token of the browser stays the same, so that a second tab does not spoil the first one's form.
    csrf = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(32)
    page = pages.sign_in(pool=pool.id, client=asked.client.id, csrf=csrf, username=username, problem=problem)
    response = _html(page, status=status, form_target=asked.redirect_uri)
    _set_cookie(response, service, pool, CSRF_COOKIE, csrf)
    return response


def _html(page: str, *, status: int, form_target: str = "") -> HTMLResponse:
    # Chromium applies form-action to the redirect that answers the form, too.
    target = urlsplit(form_target)
    source = f"{target.scheme}://{target.netloc}" if target.netloc else f"{target.scheme}:"
    form_action = f"'self' {source}" if form_target else "'none'"
    policy = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {form_action}"
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(page, status_code=status, headers=headers)


def _set_cookie(  # noqa: PLR0913, PLR0917 - what a cookie is made of
    response: Response, service: Service, pool: Pool, name: str, value: str, max_age: int | None = None
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=_cookie_path(service, pool),
        secure=service.public_base.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def _cookie_path(service: Service, pool: Pool) -> str:
    return f"{urlsplit(service.public_base).path}/{pool.id}"
