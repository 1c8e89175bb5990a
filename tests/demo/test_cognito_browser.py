"""What a browser meets: authorize, the sign-in page, its session, logout."""

import httpx
import pytest

from .conftest import CALLBACK, Pkce, StandIn, answer_of, inputs


def test_authorize_leads_to_the_sign_in_page(stand_in: StandIn) -> None:
    """Without a session, authorize goes to /login with the same parameters."""
    to_login = stand_in.authorize(Pkce())
    assert to_login.next_request is not None
    assert to_login.next_request.url.path.endswith("/login")
    assert to_login.next_request.url.query == to_login.request.url.query


def test_the_page_is_plain_and_accessible(stand_in: StandIn) -> None:
    """The page has labelled fields and one stylesheet, and neither script nor a way to be framed."""
    page = stand_in.form(Pkce())
    assert page.status_code == 200
    for expected in ('<html lang="en">', '<label for="username">', '<label for="password">', "<main>"):
        assert expected in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://localhost:8080" in policy
    assert page.headers["cache-control"] == "no-store"
    css = stand_in.http.get(page.url.join("style.css"))
    assert css.headers["content-type"].startswith("text/css")


def test_signing_in_brings_a_code_and_the_state(stand_in: StandIn) -> None:
    """The right password goes back to exactly the redirect_uri with a code and the state."""
    answer = stand_in.submit(stand_in.form(Pkce()), "uma", "uma's password")
    assert answer.headers["location"].startswith(f"{CALLBACK}?code=")
    assert answer_of(answer)["state"] == "the state"


def test_cookies_are_guarded(stand_in: StandIn) -> None:
    """Both cookies are HttpOnly and SameSite=Lax, and belong to the pool's path alone."""
    page = stand_in.form(Pkce())
    answer = stand_in.submit(page, "uma", "uma's password")
    for response, name in ((page, "XSRF-TOKEN"), (answer, "cognito")):
        cookie = response.headers["set-cookie"]
        assert cookie.startswith(f"{name}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert f"Path=/{stand_in.pool}" in cookie


@pytest.mark.parametrize(
    ("username", "password"), [("uma", "wrong"), ("stranger", "uma's password"), ("", "")]
)
def test_wrong_password(stand_in: StandIn, username: str, password: str) -> None:
    """A wrong password shows the page again, not saying whether the user exists; the next may be right."""
    page = stand_in.submit(stand_in.form(Pkce()), username, password)
    assert page.status_code == 400
    assert "Incorrect user name or password." in page.text
    assert 'role="alert"' in page.text
    assert inputs(page)["username"] == username
    assert answer_of(stand_in.submit(page, "uma", "uma's password"))["code"]


def test_the_page_escapes_what_people_type(stand_in: StandIn) -> None:
    """A user name with markup comes back as text."""
    page = stand_in.submit(stand_in.form(Pkce()), '"><script>alert(1)</script>', "x")
    assert "<script" not in page.text
    assert inputs(page)["username"] == '"><script>alert(1)</script>'


def test_login_hint_fills_in_the_name(stand_in: StandIn) -> None:
    """login_hint is the user name to begin with."""
    assert inputs(stand_in.form(Pkce(), login_hint="uma"))["username"] == "uma"


def test_cancel(stand_in: StandIn) -> None:
    """Cancelling takes access_denied and the state to the client."""
    answer = answer_of(stand_in.submit(stand_in.form(Pkce()), "", "", action="cancel"))
    assert (answer["error"], answer["state"]) == ("access_denied", "the state")
    assert "code" not in answer


@pytest.mark.parametrize("forged", ["", "made up"])
def test_foreign_forms_are_refused(stand_in: StandIn, forged: str) -> None:
    """A form without the token of this browser signs nobody in (login CSRF)."""
    page = stand_in.form(Pkce())
    fields = {"_csrf": forged, "username": "uma", "password": "uma's password"}
    assert stand_in.http.post(page.url, data=fields).status_code == 403
    fields["_csrf"] = inputs(page)["_csrf"]
    with httpx.Client(trust_env=False) as other_browser:
        assert other_browser.post(page.url, data=fields).status_code == 403


def test_two_tabs(stand_in: StandIn) -> None:
    """A page that was opened before another one still works."""
    pkce = Pkce()
    first, second = stand_in.form(pkce, state="1"), stand_in.form(pkce, state="2")
    assert answer_of(stand_in.submit(first, "uma", "uma's password"))["state"] == "1"
    assert answer_of(stand_in.submit(second, "uma", "uma's password"))["state"] == "2"


def test_the_session_answers_the_second_time(stand_in: StandIn) -> None:
    """A browser that is signed in gets a new code without being asked, for an hour."""
    pkce = Pkce()
    first = stand_in.code(pkce)
    second = answer_of(stand_in.authorize(pkce))["code"]
    assert second != first
    assert stand_in.exchange(second, pkce).status_code == 200
    stand_in.clock.now += 3600
    assert "login?" in stand_in.authorize(pkce).headers["location"]


def test_prompt(stand_in: StandIn) -> None:
    """prompt=none never asks, prompt=login always does (OpenID Connect Core, section 3.1.2.1)."""
    assert answer_of(stand_in.authorize(Pkce(), prompt="none"))["error"] == "login_required"
    stand_in.code(Pkce())
    assert "code" in answer_of(stand_in.authorize(Pkce(), prompt="none"))
    assert "login?" in stand_in.authorize(Pkce(), prompt="login").headers["location"]


def test_a_made_up_session_is_none(stand_in: StandIn) -> None:
    """A session cookie that was never issued signs nobody in."""
    stand_in.http.cookies.set("cognito", "made up", path=f"/{stand_in.pool}")
    assert "login?" in stand_in.authorize(Pkce()).headers["location"]


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "stranger"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?x=1"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": "https://evil.example/"},
        {"client_id": "cli"},
    ],
)
def test_never_redirects_where_it_is_not_sure(stand_in: StandIn, changed: dict[str, str | None]) -> None:
    """An unknown client or a redirect_uri that is not exactly registered is a page, not a redirect."""
    answer = stand_in.authorize(Pkce(), **changed)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "can't be completed" in answer.text.replace("&#x27;", "'")


def test_damaged_query(stand_in: StandIn) -> None:
    """A parameter that occurs twice is a page, not a guess."""
    url = f"{stand_in.issuer}/oauth2/authorize?client_id=web&client_id=cli"
    assert stand_in.http.get(url).status_code == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "openid tools/read"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "not a URL"}, "invalid_request"),
        ({"resource": "https://a/#fragment"}, "invalid_request"),
        ({"resource": "http://[bad"}, "invalid_request"),
        ({"client_id": "no-flow"}, "unauthorized_client"),
    ],
)
def test_refusals_reach_the_client(stand_in: StandIn, changed: dict[str, str | None], error: str) -> None:
    """A request of a known client that can't be granted comes back with error and state."""
    answer = answer_of(stand_in.authorize(Pkce(), **changed))
    assert (answer["error"], answer["state"]) == (error, "the state")


def test_redirect_keeps_the_query_of_the_redirect_uri(stand_in: StandIn) -> None:
    """A registered redirect_uri with a query keeps it (RFC 6749, section 3.1.2)."""
    callback = "http://localhost:9090/callback?from=cognito"
    answer = stand_in.submit(stand_in.form(Pkce(), redirect_uri=callback), "uma", "uma's password")
    assert answer.headers["location"].startswith(f"{callback}&code=")


def test_state_comes_back_unchanged(stand_in: StandIn) -> None:
    """Any state survives, and none stays none."""
    state = "a b&c=d+e%20é/?#"
    assert (
        answer_of(stand_in.submit(stand_in.form(Pkce(), state=state), "uma", "uma's password"))["state"]
        == state
    )
    assert "state" not in answer_of(stand_in.authorize(Pkce(), state=None))


def test_scope_defaults_to_all_that_are_allowed(stand_in: StandIn) -> None:
    """Without scope, the client gets every scope it may have."""
    tokens = stand_in.user_tokens(scope=None)
    assert stand_in.verified(tokens["access_token"])["scope"] == "openid email profile"


def test_logout_ends_the_session(stand_in: StandIn) -> None:
    """After logout the browser has to sign in again, even with the old cookie."""
    stand_in.code(Pkce())
    cookie = stand_in.http.cookies["cognito"]
    answer = stand_in.http.get(
        f"{stand_in.issuer}/logout", params={"client_id": "web", "logout_uri": "http://localhost:8080/"}
    )
    assert (answer.status_code, answer.headers["location"]) == (302, "http://localhost:8080/")
    assert "cognito" not in stand_in.http.cookies
    stand_in.http.cookies.set("cognito", cookie, path=f"/{stand_in.pool}")
    assert "login?" in stand_in.authorize(Pkce()).headers["location"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"client_id": "web"},
        {"logout_uri": "http://localhost:8080/"},
        {"client_id": "web", "logout_uri": "http://localhost:8080"},
        {"client_id": "cli", "logout_uri": "http://localhost:8080/"},
    ],
)
def test_logout_redirects_to_registered_urls_alone(stand_in: StandIn, given: dict[str, str]) -> None:
    """Without client_id and an exactly registered logout_uri, logout is a page and the session stays."""
    stand_in.code(Pkce())
    assert stand_in.http.get(f"{stand_in.issuer}/logout", params=given).status_code == 400
    assert "code" in answer_of(stand_in.authorize(Pkce()))
