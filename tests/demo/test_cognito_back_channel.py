"""userInfo, revocation and InitiateAuth."""

import base64
import hmac
import logging
from typing import Any

import httpx
import pytest

from .conftest import NOW, POOL, Pkce, StandIn

WEB = ("web", "web+secret/%")


def user_info(stand_in: StandIn, token: str | None) -> httpx.Response:
    """Ask who a token belongs to."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return stand_in.http.get(f"{stand_in.issuer}/oauth2/userInfo", headers=headers)


def revoke(stand_in: StandIn, auth: tuple[str, str] | None = WEB, **form: str) -> httpx.Response:
    """Call the revocation endpoint."""
    return stand_in.post("revoke", form, auth)


def initiate_auth(
    stand_in: StandIn, client_id: str, *, flow: str = "USER_PASSWORD_AUTH", **given: Any
) -> httpx.Response:
    """Call InitiateAuth as the AWS SDK does."""
    return stand_in.http.post(
        stand_in.base,
        json={"AuthFlow": flow, "ClientId": client_id, "AuthParameters": given},
        headers={
            "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )


def secret_hash(username: str) -> str:
    """Compute the SECRET_HASH of the client `web`."""
    return base64.b64encode(hmac.digest(WEB[1].encode(), f"{username}web".encode(), "sha256")).decode()


def test_user_info(stand_in: StandIn) -> None:
    """UserInfo answers who an access token with openid belongs to; booleans are strings, as in AWS."""
    tokens = stand_in.user_tokens()
    sub = stand_in.verified(tokens["access_token"])["sub"]
    expected = {"sub": sub, "username": "uma", "email": "uma@example.com", "email_verified": "true"}
    assert user_info(stand_in, tokens["access_token"]).json() == expected


def test_user_info_is_for_access_tokens_with_openid(stand_in: StandIn) -> None:
    """ID tokens, M2M tokens, tokens without openid, expired and forged ones are 401 invalid_token."""
    tokens = stand_in.user_tokens()
    machine = stand_in.token(("agent", "agent secret"), grant_type="client_credentials").json()[
        "access_token"
    ]
    stand_in.http.cookies.clear()
    without_openid = stand_in.user_tokens(scope="email")["access_token"]
    forged = f"{tokens['access_token'][:-6]}AAAAAA"
    for token in (tokens["id_token"], machine, without_openid, forged, "nonsense"):
        answer = user_info(stand_in, token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    stand_in.clock.now += 3600
    assert user_info(stand_in, tokens["access_token"]).status_code == 401


def test_user_info_without_a_token(stand_in: StandIn) -> None:
    """Without a bearer token it is 400 invalid_request, as AWS documents it."""
    answer = user_info(stand_in, None)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_revoked_refresh_tokens_die(stand_in: StandIn) -> None:
    """After revocation the refresh token is refused, and so are its access tokens at Cognito itself."""
    tokens = stand_in.user_tokens()
    answer = revoke(stand_in, token=tokens["refresh_token"])
    assert (answer.status_code, answer.content) == (200, b"")
    again = stand_in.token(WEB, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.json() == {"error": "invalid_grant"}
    assert user_info(stand_in, tokens["access_token"]).status_code == 401
    assert stand_in.verified(tokens["access_token"])["username"] == "uma", "offline it still verifies"


def test_revoking_the_unknown_succeeds(stand_in: StandIn) -> None:
    """An unknown token, and one that is revoked already, is 200 (RFC 7009, section 2.2)."""
    for _ in range(2):
        assert revoke(stand_in, token="never issued").status_code == 200


def test_another_client_can_not_revoke(stand_in: StandIn) -> None:
    """A client revokes its own tokens and nobody else's."""
    token = stand_in.user_tokens()["refresh_token"]
    assert revoke(stand_in, None, token=token, client_id="cli").status_code == 200
    assert stand_in.token(WEB, grant_type="refresh_token", refresh_token=token).status_code == 200


def test_revoke_refusals(stand_in: StandIn) -> None:
    """Wrong credentials, no token and tokens of another kind are refused."""
    access_token = stand_in.user_tokens()["access_token"]
    assert revoke(stand_in, ("web", "wrong"), token="x").json() == {"error": "invalid_client"}
    assert revoke(stand_in).json() == {"error": "invalid_request"}
    assert revoke(stand_in, token=access_token).json() == {"error": "unsupported_token_type"}


def test_initiate_auth(stand_in: StandIn) -> None:
    """USER_PASSWORD_AUTH with a SECRET_HASH signs a user in and answers AWS's AuthenticationResult."""
    answer = initiate_auth(
        stand_in, "web", USERNAME="uma", PASSWORD="uma's password", SECRET_HASH=secret_hash("uma")
    )
    assert answer.status_code == 200
    assert answer.json()["ChallengeParameters"] == {}
    result = answer.json()["AuthenticationResult"]
    assert set(result) == {"AccessToken", "ExpiresIn", "IdToken", "RefreshToken", "TokenType"}
    access = stand_in.verified(result["AccessToken"])
    assert (access["username"], access["scope"]) == ("uma", "aws.cognito.signin.user.admin")
    assert access["cognito:groups"] == ["users", "a, group with commas"]
    identity = stand_in.verified(result["IdToken"], audience="web")
    assert (identity["cognito:username"], identity["auth_time"]) == ("uma", NOW)
    assert "at_hash" not in identity
    form = {"grant_type": "refresh_token", "refresh_token": result["RefreshToken"]}
    assert stand_in.token(WEB, **form).status_code == 200


def test_initiate_auth_without_a_secret(stand_in: StandIn) -> None:
    """A public client needs no SECRET_HASH."""
    assert initiate_auth(stand_in, "cli", USERNAME="uma", PASSWORD="uma's password").status_code == 200


@pytest.mark.parametrize(
    ("client_id", "given", "exception", "message"),
    [
        (
            "cli",
            {"USERNAME": "uma", "PASSWORD": "wrong"},
            "NotAuthorizedException",
            "Incorrect username or password.",
        ),
        (
            "cli",
            {"USERNAME": "stranger", "PASSWORD": "x"},
            "NotAuthorizedException",
            "Incorrect username or password.",
        ),
        (
            "web",
            {"USERNAME": "uma", "PASSWORD": "uma's password"},
            "NotAuthorizedException",
            "Client web is configured with secret but SECRET_HASH was not received",
        ),
        (
            "web",
            {"USERNAME": "uma", "PASSWORD": "uma's password", "SECRET_HASH": secret_hash("ada")},
            "NotAuthorizedException",
            "Unable to verify secret hash for client web",
        ),
        ("cli", {"USERNAME": "uma"}, "InvalidParameterException", "Missing required parameter PASSWORD"),
        ("cli", {"USERNAME": 1, "PASSWORD": "x"}, "SerializationException", "AuthParameters must be strings"),
        (
            "stranger",
            {},
            "ResourceNotFoundException",
            "User pool client stranger does not exist.",
        ),
        (
            "agent",
            {"USERNAME": "uma", "PASSWORD": "x"},
            "InvalidParameterException",
            "USER_PASSWORD_AUTH flow not enabled for this client",
        ),
    ],
)
def test_initiate_auth_refused(
    stand_in: StandIn, client_id: str, given: dict[str, Any], exception: str, message: str
) -> None:
    """A refusal is 400 with AWS's exception name and message."""
    answer = initiate_auth(stand_in, client_id, **given)
    assert answer.status_code == 400
    assert answer.json() == {"__type": exception, "message": message}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"ClientId": 1}', b"\xff"])
def test_unreadable_calls(stand_in: StandIn, body: bytes) -> None:
    """A body that is no such call is 400."""
    headers = {"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"}
    assert stand_in.http.post(stand_in.base, content=body, headers=headers).status_code == 400


def test_other_operations(stand_in: StandIn) -> None:
    """An operation that the stand-in does not have says so."""
    headers = {"X-Amz-Target": "AWSCognitoIdentityProviderService.SignUp"}
    answer = stand_in.http.post(stand_in.base, json={}, headers=headers)
    assert (answer.status_code, answer.json()["__type"]) == (400, "UnknownOperationException")


def test_no_secret_is_logged(stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    """Neither password, secret, code nor token reaches a log at any level, and no repr shows one."""
    caplog.set_level(logging.DEBUG)
    pkce = Pkce()
    code = stand_in.code(pkce)
    tokens = stand_in.exchange(code, pkce).json()
    initiate_auth(stand_in, "cli", USERNAME="uma", PASSWORD="uma's password")
    revoke(stand_in, token=tokens["refresh_token"])
    server_side = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    )
    shown = server_side + repr(stand_in.app.state.service.directory)
    for secret in ("uma's password", WEB[1], "agent secret", code, *map(str, tokens.values())):
        if secret not in {"3600", "Bearer"}:
            assert secret not in shown
    assert POOL in shown
