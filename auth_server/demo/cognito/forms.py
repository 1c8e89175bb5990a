"""Reading what clients send: parameters (RFC 6749, section 3) and who sends them (section 2.3)."""

import base64
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote_plus

from starlette.requests import Request

from auth_server.demo.cognito.directory import AppClient, Pool
from auth_server.demo.cognito.errors import OAuthError

BODY_LIMIT = 64 * 1024
FORM = "application/x-www-form-urlencoded"


def same(given: str, expected: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


async def read_body(request: Request) -> bytes:
    """Read the body up to a limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise OAuthError("invalid_request", 413)
    return bytes(body)


def parameters(encoded: str) -> dict[str, str]:
    """Decode parameters: none twice, and an empty one counts as absent (RFC 6749, section 3.1)."""
    if not encoded:
        return {}
    try:
        values = parse_qs(encoded, strict_parsing=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise OAuthError("invalid_request") from None
    if any(len(several) > 1 for several in values.values()):
        raise OAuthError("invalid_request")
    return {name: several[0] for name, several in values.items()}


async def read_form(request: Request) -> dict[str, str]:
    """Read the parameters of a POST."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request")
    body = await read_body(request)
    try:
        return parameters(body.decode("ascii"))
    except UnicodeDecodeError:
        raise OAuthError("invalid_request") from None


def authenticate(request: Request, form: Mapping[str, str], pool: Pool) -> AppClient:
    """Say which client sends this: client_secret_basic, client_secret_post or, for public clients, its id."""
    basic, posted = _basic(request), form.get("client_secret")
    if basic is None:
        name, password = form.get("client_id", ""), posted
    else:
        name, password = basic
        if posted is not None or form.get("client_id", name) != name:
            raise OAuthError("invalid_request")
    client = pool.client(name)
    if client is None or not _secret_matches(password, client.secret):
        raise OAuthError("invalid_client")
    return client


def _secret_matches(given: str | None, secret: str | None) -> bool:
    if given is None or secret is None:
        return given is secret
    # RFC 6749 has clients form-encode a secret before Basic, AWS's documentation and most clients do
    # not: the two readings differ only for secrets with % or +, and either one is accepted.
    return same(given, secret) or same(unquote_plus(given), secret)


def _basic(request: Request) -> tuple[str, str] | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, encoded = header.partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except ValueError:
        raise OAuthError("invalid_client") from None
    name, colon, password = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client")
    return unquote_plus(name), password
