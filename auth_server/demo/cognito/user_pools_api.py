"""The user pools API, as far as signing in without a browser needs it (AWS API reference, InitiateAuth)."""

import base64
import hmac
import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from auth_server.demo.cognito.directory import AppClient, Flow, Pool
from auth_server.demo.cognito.errors import ApiError
from auth_server.demo.cognito.forms import read_body, same
from auth_server.demo.cognito.ledger import Authentication
from auth_server.demo.cognito.service import Service, service_of
from auth_server.demo.cognito.tokens import issue_refresh_token, issue_user_tokens

TARGET = "AWSCognitoIdentityProviderService.InitiateAuth"
SIGN_IN_SCOPE = "aws.cognito.signin.user.admin"
MEDIA_TYPE = "application/x-amz-json-1.1"


async def initiate_auth(request: Request) -> Response:
    """Answer POST / with X-Amz-Target …InitiateAuth and AuthFlow USER_PASSWORD_AUTH."""
    if request.headers.get("x-amz-target") != TARGET:
        raise ApiError("UnknownOperationException", "only InitiateAuth is known here")
    service, call = service_of(request), _parsed(await read_body(request))
    found = service.directory.pool_of(call["ClientId"])
    if found is None:
        raise ApiError("ResourceNotFoundException", f"User pool client {call['ClientId']} does not exist.")
    pool, client = found
    if call["AuthFlow"] != "USER_PASSWORD_AUTH" or Flow.USER_PASSWORD not in client.flows:
        raise ApiError("InvalidParameterException", f"{call['AuthFlow']} flow not enabled for this client")
    answer = _sign_in(service, pool, client, call["AuthParameters"])
    return JSONResponse(answer, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def api_error(_request: Request, exception: Exception) -> Response:
    """Answer as AWS's JSON protocol does."""
    assert isinstance(exception, ApiError)  # noqa: S101 - registered for nothing else
    return JSONResponse(
        {"__type": exception.exception, "message": exception.message},
        status_code=400,
        media_type=MEDIA_TYPE,
        headers={"x-amzn-errortype": f"{exception.exception}:"},
    )


def secret_hash(client: AppClient, username: str) -> str:
    """Return the SECRET_HASH that AWS defines ("Computing secret hash values"); for clients with a secret."""
    key, message = (client.secret or "").encode(), (username + client.id).encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode("ascii")


def _sign_in(service: Service, pool: Pool, client: AppClient, given: dict[str, str]) -> dict[str, Any]:
    for name in ("USERNAME", "PASSWORD"):
        if not given.get(name):
            raise ApiError("InvalidParameterException", f"Missing required parameter {name}")
    if client.secret is not None:
        if "SECRET_HASH" not in given:
            message = f"Client {client.id} is configured with secret but SECRET_HASH was not received"
            raise ApiError("NotAuthorizedException", message)
        if not same(given["SECRET_HASH"], secret_hash(client, given["USERNAME"])):
            raise ApiError("NotAuthorizedException", f"Unable to verify secret hash for client {client.id}")
    user = pool.user(given["USERNAME"])
    if user is None or not same(given["PASSWORD"], user.password):
        raise ApiError("NotAuthorizedException", "Incorrect username or password.")
    authentication = Authentication(
        user=user,
        client_id=client.id,
        scopes=(SIGN_IN_SCOPE,),
        auth_time=int(service.clock()),
        origin_jti=str(uuid.uuid4()),
        hosted=False,
    )
    tokens = issue_user_tokens(service, pool, client, authentication)
    tokens |= issue_refresh_token(service, pool, client, authentication)
    names = {
        "AccessToken": "access_token",
        "ExpiresIn": "expires_in",
        "IdToken": "id_token",
        "RefreshToken": "refresh_token",
        "TokenType": "token_type",
    }
    result = {name: tokens[key] for name, key in names.items() if key in tokens}
    return {"AuthenticationResult": result, "ChallengeParameters": {}}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError("SerializationException", "the body is not JSON") from None
    shape = {"ClientId": str, "AuthFlow": str, "AuthParameters": dict}
    if not isinstance(call, dict):
        raise ApiError("SerializationException", "the body is not a JSON object")
    if not all(isinstance(call.get(name), kind) for name, kind in shape.items()):
        raise ApiError("InvalidParameterException", f"required: {', '.join(shape)}")
    if not all(isinstance(value, str) for value in call["AuthParameters"].values()):
        raise ApiError("SerializationException", "AuthParameters must be strings")
    return call
