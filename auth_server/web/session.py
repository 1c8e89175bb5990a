"""`/session` for programs, and signing out for people."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from auth_server import contract, strict_json
from auth_server.contract import LOGOUT
from auth_server.errors import ErrorCode, InvalidRequest, Unauthenticated, Unavailable
from auth_server.identity.credentials import credential
from auth_server.model import AuthMethod, BearerToken
from auth_server.oauth.cognito import CognitoError
from auth_server.stores import StoreError
from auth_server.web import answers, problems
from auth_server.web.login import end, open_session

if TYPE_CHECKING:
    from starlette.responses import Response

    from auth_server.identity.cognito_claims import Person
    from auth_server.model import Identity
    from auth_server.web.context import Web, WebRequest

log = logging.getLogger("auth_server")


async def show(web: Web, request: WebRequest) -> Response:
    """Answer GET /session: who am I."""
    return answers.data(described(web, await request.who()))


async def create(web: Web, request: WebRequest) -> Response:
    """Answer POST /session: a verified user token becomes a session of this gateway."""
    request.check_origin()
    if not web.settings.secret_keys:
        raise problems.not_configured()
    person = await _person(web, request)
    identity = person.identity
    if identity.resources:
        raise Unauthenticated(
            ErrorCode.INVALID_AUDIENCE,
            "the token is bound to a resource, and a session counts for all; use one that is not bound",
        )
    await web.revocations.confirm(identity)
    cookie, made = open_session(web, request, person)
    fields = {"user": contract.encode(identity.username), "session": made.session_id}
    log.info("session opened", extra={"fields": fields})
    return answers.data(described(web, made) | {"cookie": {"name": web.session_cookie, "value": cookie}})


async def delete(web: Web, request: WebRequest) -> Response:
    """Answer DELETE /session: end the session that the cookie stands for."""
    request.check_origin()
    identity = await request.who()
    if identity.method is not AuthMethod.SESSION_COOKIE:
        raise InvalidRequest("there is no session to end: the request has a token, and no session cookie")
    request.drop_session()
    try:
        await end(web, identity, now=request.now)
    except StoreError as error:
        log.error("session not ended", extra={"fields": {"reason": str(error)}})  # noqa: TRY400 - the reason is all
        message = "the session could not be ended everywhere; try again"
        raise Unavailable(ErrorCode.AUTH_UNAVAILABLE, message) from None
    return answers.nothing()


async def logout(web: Web, request: WebRequest) -> Response:
    """End the session here and at Cognito.

    A link on another site may lead here, so that a GET from there only asks. Browsers say where a request
    comes from (Sec-Fetch-Site); where they do not, a person is asked as well.
    """
    if request.method == "POST":
        request.check_origin()
    elif not _is_own_wish(request):
        return answers.page("sign_out", leads_to=await _logout_url(web) or "", logout=LOGOUT, host=web.host)
    request.drop_session()
    identity = await request.signed_in()
    if identity is not None and identity.method is AuthMethod.SESSION_COOKIE:
        try:
            await end(web, identity, now=request.now)
        except StoreError as error:
            log.error("session not ended", extra={"fields": {"reason": str(error)}})  # noqa: TRY400 - the reason is all
            raise problems.signed_out_here_only("the revocation store is down") from None
        log.info("signed out", extra={"fields": {"user": contract.encode(identity.username)}})
    if not web.can_sign_in:
        return answers.redirect("/", status=303)
    url = await _logout_url(web)
    if url is None:
        raise problems.signed_out_here_only("Cognito does not answer")
    return answers.redirect(url, status=303 if request.method == "POST" else 302)


def described(web: Web, identity: Identity) -> dict[str, Any]:
    """Return an identity as JSON has it."""
    until = datetime.fromtimestamp(identity.expires_at, UTC).isoformat(timespec="seconds")
    return {
        "username": identity.username,
        "email": identity.email,
        "client_id": identity.client_id,
        "groups": list(identity.groups),
        "scopes": list(web.policy_file.policy.effective_scopes(identity)),
        "auth_method": identity.method.value,
        "expires_at": until.replace("+00:00", "Z"),
    }


async def _person(web: Web, request: WebRequest) -> Person:
    """Return the person of the token in Authorization, or of the ID token in the body."""
    if request.headers.get(contract.AUTHORIZATION) is None:
        return await web.tokens.person(await _id_token(request), now=request.now, is_id=True)
    offered = credential(request.headers)
    raw = offered.raw if isinstance(offered, BearerToken) else ""
    return await web.tokens.person(raw, now=request.now)


async def _id_token(request: WebRequest) -> str:
    content = (request.headers.get(contract.CONTENT_TYPE) or "").partition(";")[0].strip().lower()
    if content != "application/json":
        raise InvalidRequest("send application/json with an id_token, or a token in Authorization")
    try:
        found = strict_json.parse_object(await request.body()).get("id_token")
    except ValueError as error:
        raise InvalidRequest(f"the body is {error}") from None
    if not isinstance(found, str):
        raise InvalidRequest("the body has no id_token, a string")
    return found


async def _logout_url(web: Web) -> str | None:
    """Return where Cognito ends its own session and comes back from; None where it cannot be learned."""
    try:
        endpoints = await web.provider.endpoints()
    except CognitoError:
        return None
    back = {"client_id": web.settings.client_id, "logout_uri": f"{web.settings.gateway_url}/"}
    return f"{endpoints.logout}{'&' if '?' in endpoints.logout else '?'}{urlencode(back)}"


def _is_own_wish(request: WebRequest) -> bool:
    site = request.headers.get(contract.SEC_FETCH_SITE)
    return site in {"same-origin", "none"} or (site is None and not request.is_person)
