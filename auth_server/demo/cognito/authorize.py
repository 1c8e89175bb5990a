"""The authorization request (RFC 6749, section 4.1.1): read, checked and answered; no HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from auth_server.demo.cognito.directory import AppClient, Flow, Pool
from auth_server.demo.cognito.errors import AuthorizationRefused, BadAuthorization

S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request that may be granted."""

    client: AppClient
    redirect_uri: str
    scopes: tuple[str, ...]
    code_challenge: str
    state: str | None = None
    nonce: str | None = None
    resource: str | None = None
    prompt: str | None = None
    login_hint: str = ""

    def refused(self, error: str, description: str) -> AuthorizationRefused:
        """Return the exception that takes an error to the client."""
        return AuthorizationRefused(self.redirect_uri, self.state, error, description)


def read(pool: Pool, given: Mapping[str, str]) -> AuthorizationRequest:
    """Check a request: who and where to first, since until then there is nowhere safe to redirect to."""
    client = pool.client(given.get("client_id", ""))
    if client is None:
        explanation = "The application that sent you here is not known to this user pool."
        raise BadAuthorization("invalid_request", explanation)
    redirect_uri = given.get("redirect_uri", "")
    if redirect_uri not in client.callback_urls:
        raise BadAuthorization(
            "redirect_mismatch",
            f"The address to return to is not among the callback URLs of the app client {client.id}. "
            "They are compared character by character.",
        )
    state = given.get("state")

    def refuse(error: str, description: str) -> AuthorizationRefused:
        return AuthorizationRefused(redirect_uri, state, error, description)

    if Flow.CODE not in client.flows:
        raise refuse("unauthorized_client", "the client may not use authorization codes")
    if given.get("response_type") != "code":
        raise refuse("unsupported_response_type", "response_type must be code")
    scopes = tuple(dict.fromkeys(given.get("scope", "").split())) or client.scopes
    if not set(scopes) <= set(client.scopes):
        raise refuse("invalid_scope", "a scope is not allowed for this client")
    # Cognito lets a client leave PKCE out; here it must not, so that one that forgets is noticed.
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not S256_CHALLENGE.fullmatch(challenge):
        raise refuse("invalid_request", "code_challenge with code_challenge_method=S256 is required")
    resource = given.get("resource")
    if resource is not None and not _absolute(resource):
        raise refuse("invalid_request", "resource must be an absolute URL without a fragment")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scopes=scopes,
        code_challenge=challenge,
        state=state,
        nonce=given.get("nonce"),
        resource=resource,
        prompt=given.get("prompt"),
        login_hint=given.get("login_hint", ""),
    )


def location(redirect_uri: str, answer: Mapping[str, str | None]) -> str:
    """Return the redirect that takes an answer to the client (RFC 6749, section 4.1.2)."""
    parts = urlsplit(redirect_uri)
    added = urlencode({name: value for name, value in answer.items() if value is not None}, quote_via=quote)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))


def _absolute(resource: str) -> bool:
    try:
        parts = urlsplit(resource)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and "#" not in resource
