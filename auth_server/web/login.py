"""Signing in with a browser: to Cognito and back (RFC 6749, section 4.1; RFC 7636; OpenID Connect Core)."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from auth_server import contract
from auth_server.contract import CALLBACK, LOGIN
from auth_server.errors import Refusal
from auth_server.identity import cognito_claims, session_cookie
from auth_server.identity.revocations import RevocationKind
from auth_server.model import AuthMethod
from auth_server.oauth import sign_in
from auth_server.oauth.cognito import CognitoError
from auth_server.stores import StoreError
from auth_server.web import answers, problems

if TYPE_CHECKING:
    from starlette.responses import Response

    from auth_server.model import Identity
    from auth_server.oauth.sign_in import Pending
    from auth_server.web.context import Web, WebRequest

log = logging.getLogger("auth_server")

_ERROR = re.compile(r"[a-z_]{1,40}")  # RFC 6749's and OpenID Connect's error codes are such words


async def login(web: Web, request: WebRequest) -> Response:
    """Remember what this sign-in is for, and send the browser to Cognito."""
    if not web.can_sign_in:
        raise problems.not_configured()
    query = request.query()
    gateway_url = web.settings.gateway_url
    target = sign_in.return_target(query.get("redirect", "/"), gateway_url)
    if request.elsewhere and "here" not in query:
        # Cognito returns to GATEWAY_URL's host, and cookies of another one would not come along. Once: a
        # proxy that changes the Host would turn this into a circle.
        return answers.redirect(f"{gateway_url}{LOGIN}?{urlencode({'redirect': target, 'here': '1'})}")
    endpoints = await web.provider.endpoints()
    pending = sign_in.Pending.begin(secrets.token_bytes(96), target, now=request.now)
    keys, path = web.settings.secret_keys, _cookie_path(web)
    for name in sign_in.superfluous(request.cookies(), keys, secure=web.is_secure, now=request.now):
        request.drop_cookie(name, path=path)
    request.keep_cookie(
        sign_in.cookie_name(pending.state, secure=web.is_secure),
        pending.sealed(keys, now=request.now),
        max_age=sign_in.LIFETIME,
        path=path,
    )
    return answers.redirect(pending.address(endpoints.authorize, web.settings.client_id, _redirect_uri(web)))


async def callback(web: Web, request: WebRequest) -> Response:
    """Take Cognito's answer: only that to a question of this browser, and only once."""
    if not web.can_sign_in:
        raise problems.not_configured()
    query = request.query()
    state = query.get("state", "")
    keys, secure = web.settings.secret_keys, web.is_secure
    pending = sign_in.find(state, request.cookies(), keys, secure=secure, now=request.now)
    if pending is None:
        if await request.signed_in() is not None:
            return answers.redirect("/")  # reloaded, or reached with the back button: it was done before
        raise problems.not_begun_here()
    request.drop_cookie(sign_in.cookie_name(state, secure=secure), path=_cookie_path(web))
    try:
        person, refresh_token = await _person(web, request, query, pending)
    except problems.Problem as problem:
        problem.target = pending.target
        raise
    await _replace_session(web, request)
    _, made = open_session(web, request, person)
    if web.groups is not None:
        await web.groups.keep(made, refresh_token, now=request.now)
    fields = {"user": contract.encode(made.username), "session": made.session_id}
    log.info("signed in", extra={"fields": fields | {"request_id": request.about.request_id}})
    return answers.redirect(pending.target, status=303)


def open_session(web: Web, request: WebRequest, person: cognito_claims.Person) -> tuple[str, Identity]:
    """Give this browser a new session; return its cookie, and who that will speak for.

    Raises Problem where the cookie cannot be small enough.
    """
    settings = web.settings
    cookie = _mint(web, person, now=request.now)
    request.keep_cookie(web.session_cookie, cookie, max_age=settings.session_max_age)
    return cookie, session_cookie.verify(
        cookie, settings.secret_keys, max_age=settings.session_max_age, now=request.now
    )


def _mint(web: Web, person: cognito_claims.Person, *, now: float) -> str:
    known = person.identity
    session = session_cookie.Session.of(known, name=person.name, sid=secrets.token_urlsafe(16))
    mapped = tuple(group for group in known.groups if group in web.policy_file.policy.groups)
    # A group that scopes.yml does not know grants nothing: it is what is left out where not all fit.
    for fitting in (session, replace(session, groups=mapped)):
        try:
            return session_cookie.mint(fitting, web.settings.secret_keys, now=now)
        except ValueError:
            continue
    raise problems.too_many_groups()


async def end(web: Web, identity: Identity, *, now: float) -> None:
    """End a session for everybody who has a copy of it; raises StoreError where that cannot be kept."""
    if identity.session_id:
        await web.revocations.revoke(RevocationKind.SESSION, identity.session_id, now=now)


async def _person(
    web: Web, request: WebRequest, query: dict[str, str], pending: Pending
) -> tuple[cognito_claims.Person, str]:
    """Return who Cognito says this is, as verified, and their refresh token, if any; raises Problem."""
    error, code, settings = query.get("error"), query.get("code", ""), web.settings
    if error is not None:
        raise problems.refused_by_cognito(error if _ERROR.fullmatch(error) else "an unknown error")
    if query.get("iss", settings.pools[0].issuers[0]) not in settings.pools[0].issuers:
        raise problems.not_begun_here()  # an answer of somebody else's (RFC 9207)
    redirect_uri = _redirect_uri(web)
    try:
        answer = await web.provider.exchange(code, verifier=pending.verifier, redirect_uri=redirect_uri)
    except CognitoError as failure:
        log.warning("code not exchanged", extra={"fields": {"reason": str(failure)[:300]}})
        raise problems.refused_code(failure, redirect_uri=redirect_uri) from None
    asked = cognito_claims.SignIn(pending.nonce, answer.access_token)
    try:
        person = await web.tokens.signed_in(answer.id_token, asked, now=request.now)
    except Refusal as refusal:
        raise problems.refused_token(refusal) from None
    return person, answer.refresh_token


async def _replace_session(web: Web, request: WebRequest) -> None:
    """End the session that this browser had: who planted it, or copied it, has nothing of the new one."""
    request.drop_session()
    old = await request.signed_in()
    if old is None or old.method is not AuthMethod.SESSION_COOKIE:
        return
    try:
        await end(web, old, now=request.now)
    except StoreError as error:
        log.error("old session not ended", extra={"fields": {"reason": str(error)}})  # noqa: TRY400 - the reason is all


def _redirect_uri(web: Web) -> str:
    return f"{web.settings.gateway_url}{CALLBACK}"


def _cookie_path(web: Web) -> str:
    """Return where browsers send the cookies of sign-ins; with the prefix `__Host-` it must be everywhere."""
    return "/" if web.is_secure else "/oauth2/"
