"""Cognito's OAuth endpoints, as a client: discovery, and client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus, urlsplit

from auth_server import strict_json
from auth_server.oauth import exchange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = exchange.TIMEOUT

AuthMethod = Literal["client_secret_post", "client_secret_basic"]
"""How a client sends its secret, in the words of OAuth's registry."""

_OK = 200
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CODE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749, section 5.2


class CognitoError(Exception):
    """Cognito said no, or nothing that could be understood. The text holds no secret.

    `code` is OAuth's `error`, or AWS's exception, where Cognito gave one, else empty.
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
    url: str,
    client_id: str,
    client_secret: str,
    scopes: Sequence[str],
    auth_method: AuthMethod = "client_secret_post",
) -> MachineToken:
    """Get a token for an agent; raises CognitoError. Without scopes, it has all that the client may have."""
    form, headers = authenticated({"grant_type": "client_credentials"}, client_id, client_secret, auth_method)
    if scopes:
        form["scope"] = " ".join(scopes)
    answer = await ask("POST", url, form, headers=headers)
    token, lasts = answer.get("access_token"), answer.get("expires_in", 0)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise CognitoError(f"{url} answered without an access token; is it the pool's /oauth2/token?")
    return MachineToken(token, lasts if type(lasts) is int and lasts > 0 else 0)


def authenticated(
    form: Mapping[str, str],
    client_id: str,
    client_secret: str,
    auth_method: AuthMethod = "client_secret_post",
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the form and the headers with which a client says who it is (RFC 6749, section 2.3.1).

    A public client has no secret. In the form, a secret has one reading. In Basic it has two: the RFC encodes
    it first, as is done here, Cognito's documentation does not, and a secret may hold a plus sign.
    """
    if client_secret and auth_method == "client_secret_basic":
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        return dict(form), {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    secret = {"client_secret": client_secret} if client_secret else {}
    return {**form, "client_id": client_id, **secret}, {}


async def discover_token_endpoint(issuers: Sequence[str]) -> str:
    """Return the token endpoint of the pool's discovery document; as `discover` otherwise."""
    return (await discover(issuers, "token_endpoint"))[0]


async def discover(issuers: Sequence[str], *names: str) -> list[str]:
    """Return endpoints of the pool's discovery document (OpenID Connect Discovery, section 4).

    `issuers` are the forms of the pool's issuer; the first is asked. Raises CognitoError. The document must
    be the pool's own, and may not lead from https to http.
    """
    issuer = issuers[0]
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    document = await ask("GET", url)
    if document.get("issuer") not in issuers:
        raise CognitoError(
            f"{url} is not the document of this pool; check COGNITO_USER_POOL_ID and COGNITO_ISSUER"
        )
    schemes = {"https"} if issuer.startswith("https:") else {"https", "http"}
    found = []
    for name in names:
        endpoint = document.get(name)
        if not isinstance(endpoint, str) or not _is_url(endpoint, schemes):
            what = name.replace("_", " ")
            raise CognitoError(
                f"{url} names no {what}: the pool needs a domain; add one, or set COGNITO_DOMAIN"
            )
        found.append(endpoint)
    return found


async def ask(
    method: str,
    url: str,
    form: Mapping[str, str] | None = None,
    *,
    json: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send one request to Cognito and return the JSON object of its answer; raises CognitoError."""
    try:
        answer = await exchange.exchange(method, url, form=form, json=json, headers=headers, timeout=TIMEOUT)
    except exchange.ExchangeError as error:
        raise CognitoError(str(error)) from None
    return _object(url, answer.status, answer.body)


def _object(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = strict_json.parse_object(body)
    except ValueError:
        answer = {}
    if status == _OK and answer:
        return answer
    code = answer.get("error") or answer.get("__type")  # OAuth's endpoints; AWS's API
    if isinstance(code, str) and _CODE.fullmatch(code):
        code = code.rpartition("#")[2]
        reason = answer.get("message")
        said = f": {reason}" if isinstance(reason, str) and _CODE.fullmatch(reason) else ""
        raise CognitoError(f"{url} refused with {code}{said}", code=code)
    what = "is nothing like JSON" if status == _OK else f"has status {status}"
    raise CognitoError(f"the answer of {url} {what}; is it the right address?")


def _is_url(text: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and text.isascii() and text.isprintable()
