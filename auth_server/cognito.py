"""Cognito's OAuth endpoints, as a client: discovery, and client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from auth_server import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 10.0  # seconds for one exchange, from the connection to the last byte
MAX_BODY = 256 * 1024

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CODE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749, section 5.2


class CognitoError(Exception):
    """Cognito said no, or nothing that could be understood. The text holds no secret.

    `code` is OAuth's `error` where Cognito gave one, else empty.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class MachineToken:
    """An access token of an agent's own; `expires_in` is in seconds, 0 where Cognito did not say."""

    access_token: str = field(repr=False)
    expires_in: int


async def client_credentials(
    url: str, client_id: str, client_secret: str, scopes: Sequence[str]
) -> MachineToken:
    """Get a token for an agent; raises CognitoError. Without scopes, it has all that the client may have."""
    # In the form, the secret has one reading. In Basic it has two: RFC 6749 (2.3.1) encodes it first,
    # Cognito's documentation does not, and a secret may hold a plus sign.
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    if scopes:
        form["scope"] = " ".join(scopes)
    answer = await _exchange("POST", url, form)
    token, lasts = answer.get("access_token"), answer.get("expires_in", 0)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise CognitoError(f"{url} answered without an access token; is it the pool's /oauth2/token?")
    return MachineToken(token, lasts if type(lasts) is int and lasts > 0 else 0)


async def discover_token_endpoint(issuers: Sequence[str]) -> str:
    """Return the token endpoint of the pool's discovery document (OpenID Connect Discovery, section 4).

    `issuers` are the forms of the pool's issuer; the first is asked. Raises CognitoError. The document must
    be the pool's own, and may not lead from https to http.
    """
    issuer = issuers[0]
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    document = await _exchange("GET", url)
    endpoint = document.get("token_endpoint")
    if document.get("issuer") not in issuers:
        raise CognitoError(
            f"{url} is not the document of this pool; check COGNITO_USER_POOL_ID and COGNITO_ISSUER"
        )
    schemes = {"https"} if issuer.startswith("https:") else {"https", "http"}
    if not isinstance(endpoint, str) or not _is_url(endpoint, schemes):
        raise CognitoError(
            f"{url} names no token endpoint: the pool needs a domain; add one, or set COGNITO_DOMAIN"
        )
    return endpoint


async def _exchange(method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Send one request and return the JSON object of its answer. Redirects are not followed."""
    # As for the keys: what is plain http is near, and no proxy may come between.
    trust_env = url.startswith("https:")
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=trust_env, follow_redirects=False) as client,
            client.stream(method, url, data=form, headers={"Accept": "application/json"}) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise CognitoError(f"{url} answered with more than {MAX_BODY} bytes")
    except TimeoutError:
        raise CognitoError(f"{url} did not answer within {TIMEOUT:.0f} s; is the network up?") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The type alone: texts of the HTTP library may repeat the request.
        raise CognitoError(
            f"{url} cannot be reached ({type(error).__name__}); check the address and the network"
        ) from None
    return _object(url, response.status_code, bytes(body))


def _object(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = strict_json.parse_object(body)
    except ValueError:
        answer = {}
    if status == httpx.codes.OK and answer:
        return answer
    code = answer.get("error")
    if isinstance(code, str) and _CODE.fullmatch(code):
        raise CognitoError(f"{url} refused with {code}", code=code)
    what = "is nothing like JSON" if status == httpx.codes.OK else f"has status {status}"
    raise CognitoError(f"the answer of {url} {what}; is it the right address?")


def _is_url(text: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and text.isascii() and text.isprintable()
