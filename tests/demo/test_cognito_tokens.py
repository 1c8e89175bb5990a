"""The token endpoint: client credentials, codes, refresh tokens, and the claims of what it issues."""

import base64
import hashlib
import uuid

import pytest

from .conftest import CALLBACK, NOW, Pkce, StandIn, answer_of

AGENT = ("agent", "agent secret")


def test_client_credentials_with_basic(stand_in: StandIn) -> None:
    """A client that authenticates with Basic gets an access token with all its scopes, and no other token."""
    answer = stand_in.token(AGENT, grant_type="client_credentials")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "expires_in", "token_type"}
    assert (body["expires_in"], body["token_type"]) == (3600, "Bearer")
    assert stand_in.verified(body["access_token"])["scope"] == "tools/read tools/write"


def test_client_credentials_with_post(stand_in: StandIn) -> None:
    """A client may send its secret in the body instead."""
    form = {"client_id": "agent", "client_secret": "agent secret", "scope": "tools/read"}
    answer = stand_in.token(grant_type="client_credentials", **form)
    assert stand_in.verified(answer.json()["access_token"])["scope"] == "tools/read"


def test_machine_token_claims(stand_in: StandIn) -> None:
    """An M2M token has the client as subject and neither aud nor anything of a user."""
    claims = stand_in.verified(stand_in.token(AGENT, grant_type="client_credentials").json()["access_token"])
    uuid.UUID(claims.pop("jti"))
    assert claims == {
        "sub": "agent",
        "client_id": "agent",
        "token_use": "access",
        "scope": "tools/read tools/write",
        "auth_time": NOW,
        "iss": stand_in.issuer,
        "exp": NOW + 3600,
        "iat": NOW,
        "version": 2,
    }


@pytest.mark.parametrize(
    ("auth", "form", "error"),
    [
        (("agent", "wrong"), {}, "invalid_client"),
        (("stranger", "x"), {}, "invalid_client"),
        (None, {"client_id": "agent"}, "invalid_client"),
        (None, {}, "invalid_client"),
        (None, {"client_id": "agent", "client_secret": "wrong"}, "invalid_client"),
        (None, {"client_id": "cli", "client_secret": "x"}, "invalid_client"),
        (("agent", "agent secret"), {"client_secret": "agent secret"}, "invalid_request"),
        (("agent", "agent secret"), {"client_id": "web"}, "invalid_request"),
        (("agent", "agent secret"), {"scope": "tools/delete"}, "invalid_scope"),
        (("agent", "agent secret"), {"scope": "tools/read openid"}, "invalid_scope"),
        (("web", "web+secret/%"), {}, "unauthorized_client"),
        (None, {"client_id": "cli"}, "unauthorized_client"),
    ],
)
def test_client_credentials_refused(
    stand_in: StandIn, auth: tuple[str, str] | None, form: dict[str, str], error: str
) -> None:
    """Wrong credentials, foreign scopes and flows that are not allowed are 400 with AWS's error code."""
    answer = stand_in.token(auth, grant_type="client_credentials", **form)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize("authorization", ["Basic !!", "Basic YWdlbnQ=", "Bearer YTpi", "Basic /w=="])
def test_unreadable_authorization(stand_in: StandIn, authorization: str) -> None:
    """An Authorization header that is no Basic credential is invalid_client."""
    answer = stand_in.http.post(
        f"{stand_in.issuer}/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": authorization},
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})


@pytest.mark.parametrize(
    ("content", "media_type", "error"),
    [
        ("grant_type=password&client_id=cli", None, "unsupported_grant_type"),
        ("client_id=cli", None, "invalid_request"),
        ("grant_type=refresh_token&client_id=cli", None, "invalid_request"),
        ("grant_type=authorization_code&client_id=cli&code=x", None, "invalid_request"),
        ("grant_type=a&grant_type=b&client_id=cli", None, "invalid_request"),
        ("grant_type", None, "invalid_request"),
        ("grant_type=%ff&client_id=cli", None, "invalid_request"),
        ("grant_type=é", None, "invalid_request"),
        ("", None, "invalid_client"),
        ("grant_type=client_credentials&client_id=cli", "application/json", "invalid_request"),
    ],
)
def test_unreadable_forms(stand_in: StandIn, content: str, media_type: str | None, error: str) -> None:
    """A form that is missing something, says it twice or can't be decoded is refused."""
    headers = {"Content-Type": media_type or "application/x-www-form-urlencoded"}
    answer = stand_in.http.post(f"{stand_in.issuer}/oauth2/token", content=content.encode(), headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_enormous_form(stand_in: StandIn) -> None:
    """A form is read up to a limit."""
    assert stand_in.token(grant_type="x" * 100_000).status_code == 413


def test_basic_accepts_percent_encoded_secrets(stand_in: StandIn) -> None:
    """A secret with + and % works raw, as AWS documents it, and form-encoded, as RFC 6749 has it."""
    pkce = Pkce()
    for secret in ("web+secret/%", "web%2Bsecret%2F%25"):
        form = {"code": stand_in.code(pkce), "redirect_uri": CALLBACK, "code_verifier": pkce.verifier}
        stand_in.http.cookies.clear()
        assert stand_in.token(("web", secret), grant_type="authorization_code", **form).status_code == 200


def test_user_access_token_claims(stand_in: StandIn) -> None:
    """A user's access token names user, client, groups and scopes, and has no aud."""
    tokens = stand_in.user_tokens()
    assert set(tokens) == {"access_token", "id_token", "refresh_token", "expires_in", "token_type"}
    claims = stand_in.verified(tokens["access_token"])
    for name in ("jti", "origin_jti", "event_id", "sub"):
        uuid.UUID(claims.pop(name))
    assert claims == {
        "iss": stand_in.issuer,
        "client_id": "web",
        "token_use": "access",
        "scope": "openid email",
        "auth_time": NOW,
        "exp": NOW + 3600,
        "iat": NOW,
        "version": 2,
        "username": "uma",
        "cognito:groups": ["users", "a, group with commas"],
    }


def test_id_token_claims(stand_in: StandIn) -> None:
    """An ID token is for the client, carries the nonce and is bound to the access token by at_hash."""
    tokens = stand_in.user_tokens()
    claims = stand_in.verified(tokens["id_token"], audience="web")
    access = stand_in.verified(tokens["access_token"])
    assert claims.pop("sub") == access["sub"]
    assert claims.pop("origin_jti") == access["origin_jti"]
    for name in ("jti", "event_id"):
        uuid.UUID(claims.pop(name))
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims.pop("at_hash") == base64.urlsafe_b64encode(half).decode().rstrip("=")
    assert claims == {
        "iss": stand_in.issuer,
        "aud": "web",
        "token_use": "id",
        "cognito:username": "uma",
        "cognito:groups": ["users", "a, group with commas"],
        "email": "uma@example.com",
        "email_verified": True,
        "auth_time": NOW,
        "exp": NOW + 3600,
        "iat": NOW,
        "nonce": "the nonce",
    }


def test_groups_are_absent_when_there_are_none(stand_in: StandIn) -> None:
    """A user without groups has tokens without cognito:groups, and an unverified address says so."""
    tokens = stand_in.user_tokens("nobody")
    assert "cognito:groups" not in stand_in.verified(tokens["access_token"])
    claims = stand_in.verified(tokens["id_token"], audience="web")
    assert "cognito:groups" not in claims
    assert claims["email_verified"] is False


def test_no_nonce_no_claim(stand_in: StandIn) -> None:
    """Without a nonce in the request the ID token has none."""
    assert "nonce" not in stand_in.verified(stand_in.user_tokens(nonce=None)["id_token"], audience="web")


def test_no_openid_no_id_token(stand_in: StandIn) -> None:
    """Without the openid scope there is no ID token."""
    assert "id_token" not in stand_in.user_tokens(scope="email")


def test_resource_becomes_the_audience(stand_in: StandIn) -> None:
    """A resource (RFC 8707) is the access token's aud, also after a refresh."""
    resource = "https://gateway.example/currenttime/mcp"
    tokens = stand_in.user_tokens(resource=resource)
    assert stand_in.verified(tokens["access_token"], audience=resource)["aud"] == resource
    again = stand_in.token(
        ("web", "web+secret/%"), grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    )
    assert stand_in.verified(again.json()["access_token"], audience=resource)["aud"] == resource


def test_resource_of_the_token_request_must_be_the_bound_one(stand_in: StandIn) -> None:
    """A token request may repeat the resource and not name another (RFC 8707, section 2.2)."""
    resource, pkce = "https://gateway.example/currenttime/mcp", Pkce()
    code = stand_in.code(pkce, resource=resource)
    assert stand_in.exchange(code, pkce, resource=resource).status_code == 200
    stand_in.http.cookies.clear()
    code = stand_in.code(pkce, resource=resource)
    assert stand_in.exchange(code, pkce, resource=f"{resource}/other").json() == {"error": "invalid_target"}


def test_a_code_works_once(stand_in: StandIn) -> None:
    """A replayed code is invalid_grant."""
    pkce = Pkce()
    code = stand_in.code(pkce)
    assert stand_in.exchange(code, pkce).status_code == 200
    replayed = stand_in.exchange(code, pkce)
    assert (replayed.status_code, replayed.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(("later", "status"), [(299, 200), (300, 400)])
def test_a_code_lives_five_minutes(stand_in: StandIn, later: int, status: int) -> None:
    """A code counts for 300 seconds."""
    pkce = Pkce()
    code = stand_in.code(pkce)
    stand_in.clock.now += later
    assert stand_in.exchange(code, pkce).status_code == status


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "wrong"},
        {"code_verifier": ""},
        {"redirect_uri": "http://localhost:9090/callback?from=cognito"},
        {"code": "made up"},
    ],
)
def test_a_code_is_bound(stand_in: StandIn, changed: dict[str, str]) -> None:
    """A code needs its verifier and its redirect_uri, and a failed attempt uses it up."""
    pkce = Pkce()
    code = stand_in.code(pkce)
    assert stand_in.exchange(code, pkce, **changed).json() == {"error": "invalid_grant"}
    if "code" not in changed:
        assert stand_in.exchange(code, pkce).json() == {"error": "invalid_grant"}


def test_a_code_is_bound_to_its_client(stand_in: StandIn) -> None:
    """Another client can't use the code."""
    pkce = Pkce()
    form = {"code": stand_in.code(pkce), "redirect_uri": CALLBACK, "code_verifier": pkce.verifier}
    stolen = stand_in.token(("rotating", "rotating secret"), grant_type="authorization_code", **form)
    assert stolen.json() == {"error": "invalid_grant"}


def test_a_public_client_exchanges_without_a_secret(stand_in: StandIn) -> None:
    """A client without a secret names itself in the body; PKCE protects its code."""
    pkce, callback = Pkce(), "http://localhost:9090/callback"
    form = {"client_id": "cli", "redirect_uri": callback}
    code = stand_in.code(pkce, **form)
    answer = stand_in.token(grant_type="authorization_code", code=code, code_verifier=pkce.verifier, **form)
    assert stand_in.verified(answer.json()["id_token"], audience="cli")["cognito:username"] == "uma"


def test_refresh(stand_in: StandIn) -> None:
    """A refresh token brings new tokens of the same sign-in, without a nonce or a new refresh token."""
    first = stand_in.user_tokens()
    stand_in.clock.now += 4000
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = stand_in.token(("web", "web+secret/%"), **form).json()
    assert "refresh_token" not in second
    old, new = (stand_in.verified(tokens["id_token"], audience="web") for tokens in (first, second))
    assert (new["auth_time"], new["iat"], new["origin_jti"]) == (NOW, NOW + 4000, old["origin_jti"])
    assert new["jti"] != old["jti"]
    assert "nonce" not in new


def test_refresh_tokens_rotate_where_the_client_says_so(stand_in: StandIn) -> None:
    """A rotating client gets a new refresh token each time; the old one dies, and the end stays the same."""
    pkce, auth = Pkce(), ("rotating", "rotating secret")
    code = stand_in.code(pkce, client_id="rotating")
    form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": pkce.verifier}
    first = stand_in.token(auth, grant_type="authorization_code", **form).json()["refresh_token"]
    stand_in.clock.now += 1000
    second = stand_in.token(auth, grant_type="refresh_token", refresh_token=first).json()["refresh_token"]
    again = stand_in.token(auth, grant_type="refresh_token", refresh_token=first)
    assert again.json() == {"error": "invalid_grant"}
    stand_in.clock.now = NOW + 30 * 24 * 3600
    late = stand_in.token(auth, grant_type="refresh_token", refresh_token=second)
    assert late.json() == {"error": "invalid_grant"}


def test_a_refresh_token_is_bound_to_its_client(stand_in: StandIn) -> None:
    """Another client can't use the refresh token, and does no harm by trying."""
    token = stand_in.user_tokens()["refresh_token"]
    stolen = stand_in.token(("rotating", "rotating secret"), grant_type="refresh_token", refresh_token=token)
    assert stolen.json() == {"error": "invalid_grant"}
    own = stand_in.token(("web", "web+secret/%"), grant_type="refresh_token", refresh_token=token)
    assert own.status_code == 200


def test_clients_without_a_flow(stand_in: StandIn) -> None:
    """A client that may not use codes or refresh tokens is unauthorized_client."""
    for form in ({"code": "x", "redirect_uri": CALLBACK}, {"refresh_token": "x"}):
        grant_type = "authorization_code" if "code" in form else "refresh_token"
        answer = stand_in.token(grant_type=grant_type, client_id="no-flow", **form)
        assert answer.json() == {"error": "unauthorized_client"}


def test_tokens_answer_post_alone(stand_in: StandIn) -> None:
    """GET /oauth2/token is 405."""
    assert stand_in.http.get(f"{stand_in.issuer}/oauth2/token").status_code == 405


def test_session_keeps_auth_time(stand_in: StandIn) -> None:
    """Tokens of a second authorization in the same browser say when the person really signed in."""
    stand_in.user_tokens()
    stand_in.clock.now += 600
    pkce = Pkce()
    code = answer_of(stand_in.authorize(pkce))["code"]
    claims = stand_in.verified(stand_in.exchange(code, pkce).json()["id_token"], audience="web")
    assert (claims["auth_time"], claims["iat"]) == (NOW, NOW + 600)
