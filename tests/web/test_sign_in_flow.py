"""Signing in, over sockets: the whole way, and every attack on it that is known."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.sidecar import SECRET_KEY, UNSET
from support.signin import (
    CALLBACK,
    GATEWAY,
    LOGIN,
    LOGOUT,
    MANY_GROUPS,
    PERSON,
    Browser,
    Stage,
    query_of,
    signing_in,
)

from auth_server.identity import session_cookie
from auth_server.oauth import sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

OTHER_KEY = "oTh3r-K3y-0f-An0ther-D3pl0yment-zQ8xW2vN5mB7"
HTTPS = "https://gw.example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with signing_in(tmp_path) as running:
        yield running


def problem(response: httpx.Response, status: int, code: str) -> str:
    """Check a page that says what went wrong, and that nobody is signed in by it; return its text."""
    assert (response.status_code, response.headers["x-auth-error"]) == (status, code), response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "mcp_gateway_session=e" not in str(response.headers.get_list("set-cookie"))
    assert code in response.text
    assert "request-7" in response.text
    return response.text


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the contract's JSON error, and return it."""
    error: dict[str, Any] = response.json()["error"]
    assert (response.status_code, error["details"]["error_code"]) == (status, code), response.text
    assert response.headers["x-auth-error"] == code
    assert response.headers["content-type"] == "application/json"
    assert error["request_id"] == "request-7"
    return error


def sealed_by(key: str, pending: sign_in.Pending, now: float) -> dict[str, str]:
    """Return the cookie of a sign-in, as somebody with that key makes it."""
    return {sign_in.cookie_name(pending.state, secure=False): pending.sealed([key], now=now)}


def asked(stage: Stage, pending: sign_in.Pending) -> str:
    """Return the address at which this sign-in asks Cognito."""
    return pending.address(f"{stage.cognito.issuer}/oauth2/authorize", "web", f"{GATEWAY}{CALLBACK}")


# ------------------------------------------------------------------------------------------ the whole way


async def test_the_whole_way(stage: Stage) -> None:
    """One comes back to where one was going, with a session of the verified user and the contract's cookie."""
    browser = stage.browser()
    response = await browser.sign_in(redirect="/notes/mcp?x=1")
    assert (response.status_code, response.headers["location"]) == (303, "/notes/mcp?x=1")
    assert set(browser.cookies) == {"mcp_gateway_session"}
    assert browser.attributes["mcp_gateway_session"] == "HttpOnly; Max-Age=28800; Path=/; SameSite=lax"
    identity = session_cookie.verify(browser.session, [SECRET_KEY], max_age=28800, now=time.time())
    assert (identity.username, identity.email) == ("uma", "uma@example.com")
    assert identity.groups == ("readers",)
    assert await stage.validate(browser.session) == "uma"


async def test_what_cognito_is_asked(stage: Stage) -> None:
    """The question has PKCE, state and nonce, each new; the code is exchanged with Basic and the verifier."""
    browser = stage.browser()
    first, second = query_of(await browser.begin()), query_of(address := await browser.begin())
    assert first["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]
    await browser.get(await browser.at_cognito(address))
    (sent,), (basic,) = stage.cognito.requests, stage.cognito.authorizations
    assert basic.startswith("Basic ")
    assert set(sent) == {"grant_type", "code", "redirect_uri", "code_verifier"}


async def test_the_cookie_of_a_sign_in(stage: Stage) -> None:
    """It lasts ten minutes, goes to the sign-in's own paths alone, and no script reads it."""
    browser = stage.browser()
    await browser.begin()
    (name,) = browser.cookies
    assert name.startswith("mcp_gateway_sign_in_")
    assert browser.attributes[name] == "HttpOnly; Max-Age=600; Path=/oauth2/; SameSite=lax"


async def test_a_public_client(tmp_path: Path) -> None:
    """An app client without a secret signs people in, too, by PKCE alone."""
    options = {"COGNITO_CLIENT_ID": "public", "COGNITO_CLIENT_SECRET": UNSET}
    async with signing_in(tmp_path, **options) as stage:
        browser = stage.browser()
        assert (await browser.sign_in()).status_code == 303
        assert stage.cognito.authorizations == [""]
        assert await stage.validate(browser.session) == "uma"


async def test_over_https(tmp_path: Path) -> None:
    """Over https every cookie is Secure and bound to this very host, and the old name makes way for the new."""
    async with signing_in(tmp_path, GATEWAY_URL=HTTPS) as stage:
        browser = stage.browser()
        browser.cookies["mcp_gateway_session"] = "from before https"
        await browser.begin()
        name = next(name for name in browser.cookies if "sign_in" in name)
        assert name.startswith("__Host-mcp_gateway_sign_in_")
        assert browser.attributes[name] == "HttpOnly; Max-Age=600; Path=/; SameSite=lax; Secure"
        assert (await browser.sign_in()).status_code == 303
        assert "mcp_gateway_session" not in browser.cookies
        name = "__Host-mcp_gateway_session"
        assert browser.attributes[name] == "HttpOnly; Max-Age=28800; Path=/; SameSite=lax; Secure"
        own = browser.cookies[name]
        assert await stage.validate(own) == "uma"  # under the other name

        async def ask(cookie: str) -> str:
            response = await stage.sidecar.ask(cookie=cookie, server="notes", host=urlsplit(HTTPS).netloc)
            return str(response.headers.get("x-username") or response.headers["x-auth-error"])

        assert await ask(f"{name}={own}") == "uma"
        assert await ask(f"{name}={own}; mcp_gateway_session={own}") == "uma"
        assert await ask(f"{name}={own}; mcp_gateway_session={own}x") == "REQUEST_INVALID"
        assert await ask(f"{name}={own}; {name}={own}") == "REQUEST_INVALID"


async def test_by_another_name_of_the_host(tmp_path: Path) -> None:
    """Who comes by another name goes to GATEWAY_URL first: Cognito returns there; and never in circles."""
    async with signing_in(tmp_path, ALLOWED_HOSTS="other.example,behind-a-proxy") as stage:
        browser = stage.browser()
        response = await browser.send(
            "GET", f"{LOGIN}?redirect=/notes", headers=PERSON | {"host": "other.example"}
        )
        assert browser.cookies == {}
        assert response.headers["location"] == f"{GATEWAY}{LOGIN}?redirect=%2Fnotes&here=1"
        again = await browser.send(
            "GET", response.headers["location"], headers=PERSON | {"host": "behind-a-proxy"}
        )
        assert again.headers["location"].startswith(stage.cognito.issuer)


async def test_by_a_name_that_is_not_this_hosts(stage: Stage) -> None:
    """Pages, too, are for this gateway's hosts alone."""
    response = await stage.browser().send("GET", "/", headers=PERSON | {"host": "evil.example"})
    assert (response.status_code, response.headers["x-auth-error"]) == (421, "REQUEST_INVALID")


async def test_two_tabs(stage: Stage) -> None:
    """Two sign-ins at once in one browser both end where they were going, in any order."""
    browser = stage.browser()
    first = await browser.begin("/first")
    second = await browser.begin("/second")
    assert (await browser.get(await browser.at_cognito(second))).headers["location"] == "/second"
    assert (await browser.get(await browser.at_cognito(first))).headers["location"] == "/first"
    assert await stage.validate(browser.session) == "uma"


async def test_a_reload_of_the_callback(stage: Stage) -> None:
    """Reloading, or coming back by the back button, leads to the page and leaves the session as it is."""
    browser = stage.browser()
    back = await browser.at_cognito(await browser.begin("/notes"))
    await browser.get(back)
    session = browser.session
    again = await browser.get(back)
    assert (again.status_code, again.headers["location"]) == (302, "/")
    assert browser.session == session
    assert await stage.validate(session) == "uma"


async def test_many_sign_ins_begun(stage: Stage) -> None:
    """A browser that begins again and again keeps five, the newest, and is not drowned in cookies."""
    browser = stage.browser()
    addresses = [await browser.begin() for _ in range(9)]
    assert len(browser.cookies) == sign_in.MAX_PENDING
    assert (await browser.get(await browser.at_cognito(addresses[-1]))).status_code == 303


async def test_a_key_is_rotated_meanwhile(stage: Stage, tmp_path: Path) -> None:
    """A sign-in that began under the old key, and a session signed with it, go on under the new one."""
    browser = stage.browser()
    await browser.sign_in()
    old = browser.session
    rotated = {"SECRET_KEY": f"{OTHER_KEY},{SECRET_KEY}"}
    folder = tmp_path / "rotated"
    folder.mkdir()
    async with signing_in(folder, **rotated) as after:
        assert await after.validate(old) == "uma"
        newer = after.browser()
        pending = sign_in.Pending.begin(bytes(96), "/notes", now=time.time())
        newer.cookies.update(sealed_by(SECRET_KEY, pending, time.time()))
        back = await newer.at_cognito(asked(after, pending))
        assert (await newer.get(back)).headers["location"] == "/notes"
        assert await stage.validate(newer.session) == "SESSION_INVALID"  # signed with the new key


# ------------------------------------------------------------------------------------------------ attacks


@pytest.mark.parametrize(
    "redirect",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "http://gw.localhost:8080@evil.example/",
        "javascript:alert(1)",
    ],
)
async def test_no_open_redirect(stage: Stage, redirect: str) -> None:
    """A target elsewhere is forgotten; one ends up at the start page."""
    assert (await stage.browser().sign_in(redirect=redirect)).headers["location"] == "/"


async def test_a_target_given_twice(stage: Stage) -> None:
    """Two targets have no one reading."""
    response = await stage.browser().get(f"{LOGIN}?redirect=/a&redirect=//evil.example")
    problem(response, 400, "REQUEST_INVALID")


async def test_login_csrf(stage: Stage) -> None:
    """A callback that an attacker prepared signs nobody in as the attacker."""
    eve, uma = stage.browser(), stage.browser()
    prepared = await eve.at_cognito(await eve.begin(), "eve")
    problem(await uma.get(prepared), 400, "REQUEST_INVALID")
    assert uma.cookies == {}
    await uma.begin()  # even while the victim is signing in
    problem(await uma.get(prepared), 400, "REQUEST_INVALID")
    assert uma.session == ""


async def test_a_planted_sign_in_over_https(tmp_path: Path) -> None:
    """A neighbouring host can set a cookie for the domain, but not under the name that counts over https."""
    async with signing_in(tmp_path, GATEWAY_URL=HTTPS) as stage:
        eve, uma = stage.browser(), stage.browser()
        prepared = await eve.at_cognito(await eve.begin(), "eve")
        uma.cookies.update({name.removeprefix("__Host-"): value for name, value in eve.cookies.items()})
        problem(await uma.get(prepared), 400, "REQUEST_INVALID")
        assert uma.session == ""


async def test_a_callback_played_back(stage: Stage) -> None:
    """State and code count once: with the cookie put back by hand, the second time is refused."""
    browser = stage.browser()
    back = await browser.at_cognito(await browser.begin("/notes"))
    kept = dict(browser.cookies)
    await browser.get(back)
    thief = stage.browser()
    thief.cookies.update(kept)
    said = problem(await thief.get(back), 400, "REQUEST_INVALID")
    assert "invalid_grant" in said
    assert "redirect=/notes" in said  # starting over leads to where one was going
    assert thief.cookies == {}
    problem(await thief.get(back), 400, "REQUEST_INVALID")


async def test_a_stolen_code(stage: Stage) -> None:
    """A code that came for one browser brings nothing in another: its verifier is not there."""
    uma, eve = stage.browser(), stage.browser()
    stolen = query_of(await uma.at_cognito(await uma.begin()))
    own = query_of(await eve.begin())
    response = await eve.get(f"{CALLBACK}?code={stolen['code']}&state={own['state']}")
    assert "invalid_grant" in problem(response, 400, "REQUEST_INVALID")


async def test_callbacks_mixed_up(stage: Stage) -> None:
    """The codes of two tabs, swapped, sign nobody in."""
    browser = stage.browser()
    first, second = await browser.begin("/first"), await browser.begin("/second")
    one, two = [query_of(await browser.at_cognito(address)) for address in (first, second)]
    for code, state in ((one["code"], two["state"]), (two["code"], one["state"])):
        problem(await browser.get(f"{CALLBACK}?code={code}&state={state}"), 400, "REQUEST_INVALID")
    assert browser.session == ""


async def test_an_answer_of_another_issuer(stage: Stage) -> None:
    """An answer that names another issuer (RFC 9207) is not exchanged."""
    browser = stage.browser()
    back = await browser.at_cognito(await browser.begin())
    problem(await browser.get(f"{back}&iss=https://evil.example"), 400, "REQUEST_INVALID")
    assert stage.cognito.requests == []


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"nonce": "x" * 43}, "SESSION_INVALID"),
        ({"nonce": None}, "SESSION_INVALID"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "SESSION_INVALID"),
        ({"aud": "agent"}, "INVALID_AUDIENCE"),
        ({"iss": "https://evil.example"}, "INVALID_ISSUER"),
        ({"token_use": "access", "client_id": "web"}, "INVALID_TOKEN_USE"),
        ({"cognito:username": None}, "INVALID_TOKEN_USE"),
        ({"cognito:groups": "readers"}, "TOKEN_MALFORMED"),
    ],
)
async def test_an_id_token_that_does_not_fit(stage: Stage, claims: dict[str, Any], code: str) -> None:
    """A well-signed ID token with another nonce, access token, audience or issuer signs nobody in."""
    stage.cognito.id_claims = claims
    browser = stage.browser()
    said = problem(await browser.sign_in(), 401, code)
    assert "does not add up" in said
    assert browser.cookies == {}


@pytest.mark.parametrize("token", ["a.b.c", "", None, 5, {"a": 1}, "x" * 20_000])
async def test_an_answer_without_an_id_token(stage: Stage, token: object) -> None:
    """What is no token, or not signed by the pool, signs nobody in."""
    stage.cognito.answer = {"id_token": token}
    response = await stage.browser().sign_in()
    assert response.status_code in {401, 503}
    problem(response, response.status_code, response.headers["x-auth-error"])


async def test_a_sign_in_that_is_too_old(tmp_path: Path) -> None:
    """MAX_AUTH_AGE holds for the callback, for a call, and for a token that is to become a session."""
    async with signing_in(tmp_path, MAX_AUTH_AGE="600") as stage:
        long_ago = {"auth_time": int(time.time()) - 700}
        stage.cognito.id_claims = long_ago
        browser = stage.browser()
        problem(await browser.sign_in(), 401, "TOKEN_EXPIRED")
        token = stage.cognito.sign(**long_ago)
        bearer = {"authorization": f"Bearer {token}"}
        refused(await browser.send("POST", "/session", headers=bearer), 401, "TOKEN_EXPIRED")
        refused(await browser.send("POST", "/session", json={"id_token": token}), 401, "TOKEN_EXPIRED")
        refused(await browser.send("GET", "/session", headers=bearer), 401, "TOKEN_EXPIRED")
        assert browser.cookies == {}
        fresh = stage.cognito.sign(auth_time=int(time.time()) - 500)
        assert (await browser.send("POST", "/session", json={"id_token": fresh})).status_code == 200


async def test_a_token_of_a_stranger(stage: Stage) -> None:
    """A token that another key signed is refused, whatever it says."""
    head, payload, signature = stage.cognito.sign().split(".")
    stage.cognito.answer = {"id_token": f"{head}.{payload}.{signature[::-1].replace('_', 'A')}"}
    response = await stage.browser().sign_in()
    assert response.status_code == 401


async def test_session_fixation(stage: Stage) -> None:
    """A session that somebody planted before is not the one after, and ends."""
    eve = stage.browser()
    await eve.sign_in("eve")
    planted = eve.session
    uma = stage.browser()
    uma.cookies["mcp_gateway_session"] = planted
    await uma.sign_in("uma")
    assert uma.session != planted
    assert await stage.validate(uma.session) == "uma"
    assert await stage.validate(planted) == "REVOKED"


async def test_each_session_has_an_id_of_its_own(stage: Stage) -> None:
    """The same person's second session is another one; ending it leaves the first."""
    one, two = stage.browser(), stage.browser()
    await one.sign_in()
    await two.sign_in()
    await two.send("POST", LOGOUT, headers={"origin": GATEWAY})
    assert await stage.validate(one.session) == "uma"


async def test_a_sign_in_is_no_session(stage: Stage) -> None:
    """The reference's hole: the sign-in state's cookie, used as a session."""
    browser = stage.browser()
    await browser.begin()
    (sign_in,) = browser.cookies.values()
    assert await stage.validate(sign_in) == "SESSION_INVALID"


async def test_a_session_is_no_sign_in(stage: Stage) -> None:
    """The reverse: a session's cookie under a sign-in's name finishes none."""
    browser = stage.browser()
    await browser.sign_in()
    session = browser.session
    other = stage.browser()
    address = await other.begin()
    state = query_of(address)["state"]
    back = await other.at_cognito(address)
    other.cookies.clear()
    other.cookies[sign_in.cookie_name(state, secure=False)] = session
    problem(await other.get(back), 400, "REQUEST_INVALID")


async def test_cookies_of_another_deployment(stage: Stage) -> None:
    """A session or a sign-in that another gateway's key made counts nothing here."""
    session = session_cookie.mint(
        session_cookie.Session("root", ("readers",), "sid"), [OTHER_KEY], now=time.time()
    )
    assert await stage.validate(session) == "SESSION_INVALID"
    browser = stage.browser()
    pending = sign_in.Pending.begin(bytes(96), "/", now=time.time())
    browser.cookies.update(sealed_by(OTHER_KEY, pending, time.time()))
    back = await browser.at_cognito(asked(stage, pending))
    problem(await browser.get(back), 400, "REQUEST_INVALID")


@pytest.mark.parametrize("ago", [700, -700])
async def test_a_sign_in_from_another_time(stage: Stage, ago: float) -> None:
    """A sign-in counts for ten minutes, and not before it began."""
    browser = stage.browser()
    pending = sign_in.Pending.begin(bytes(96), "/", now=time.time() - ago)
    browser.cookies.update(sealed_by(SECRET_KEY, pending, time.time() - ago))
    back = await browser.at_cognito(asked(stage, pending))
    problem(await browser.get(back), 400, "REQUEST_INVALID")


@pytest.mark.parametrize(("ahead", "code"), [(3600, "TOKEN_NOT_YET_VALID"), (-7200, "TOKEN_EXPIRED")])
async def test_clocks_that_do_not_agree(stage: Stage, ahead: float, code: str) -> None:
    """Where Cognito's clock is an hour ahead or behind, the page says that the clocks differ."""
    stage.cognito.ahead = ahead
    assert "clocks do not agree" in problem(await stage.browser().sign_in(), 401, code)


@pytest.mark.parametrize("ahead", [20, -20])
async def test_clocks_that_agree_enough(stage: Stage, ahead: float) -> None:
    """Some seconds of difference stop nobody."""
    stage.cognito.ahead = ahead
    assert (await stage.browser().sign_in()).status_code == 303


# ------------------------------------------------------------------------------------------------- errors


async def test_access_denied(stage: Stage) -> None:
    """Who cancels at Cognito reads so, and may start over to where they were going."""
    browser = stage.browser()
    address = await browser.at_cognito(await browser.begin("/notes"), action="cancel")
    assert query_of(address)["error"] == "access_denied"
    said = problem(await browser.get(address), 403, "ACCESS_DENIED")
    assert "You were not signed in" in said
    assert "redirect=/notes" in said
    assert browser.cookies == {}


@pytest.mark.parametrize(
    ("error", "status"), [("server_error", 503), ("unauthorized_client", 503), ("invalid_request", 503)]
)
async def test_other_errors_of_cognito(stage: Stage, error: str, status: int) -> None:
    """Each is named, with what to do; what the address says beyond its code is not repeated."""
    browser = stage.browser()
    state = query_of(await browser.begin())["state"]
    address = f"{CALLBACK}?error={error}&error_description=Call+%2B1+555&state={state}"
    said = problem(await browser.get(address), status, "AUTH_UNAVAILABLE")
    assert error in said
    assert "555" not in said


async def test_an_error_that_is_no_code(stage: Stage) -> None:
    """What somebody puts in the place of the code stands nowhere on the page."""
    browser = stage.browser()
    state = query_of(await browser.begin())["state"]
    said = problem(
        await browser.get(f"{CALLBACK}?error=%3Cscript%3Ealert(1)&state={state}"), 503, "AUTH_UNAVAILABLE"
    )
    assert "alert(1)" not in said


async def test_an_error_that_nobody_asked_for(stage: Stage) -> None:
    """An error without a sign-in of this browser is no news."""
    problem(await stage.browser().get(f"{CALLBACK}?error=access_denied&state=x"), 400, "REQUEST_INVALID")


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=", "?state=%ff%00&code=%0a"])
async def test_a_callback_without_its_parts(stage: Stage, query: str) -> None:
    """A callback that is not one is refused."""
    problem(await stage.browser().get(f"{CALLBACK}{query}"), 400, "REQUEST_INVALID")


async def test_a_callback_with_two_codes(stage: Stage) -> None:
    """A parameter that comes twice has no one reading."""
    browser = stage.browser()
    back = await browser.at_cognito(await browser.begin())
    problem(await browser.get(f"{back}&code=other"), 400, "REQUEST_INVALID")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "invalid_client"}, "COGNITO_CLIENT_SECRET"),
        ({"error": "redirect_mismatch"}, f"{GATEWAY}{CALLBACK}"),
        ({"error": "unauthorized_client"}, "authorization code grant"),
        ({"nothing": "readable"}, "does not answer"),
    ],
)
async def test_settings_that_do_not_agree(stage: Stage, answer: dict[str, Any], said: str) -> None:
    """Where Cognito refuses the gateway itself, the page tells the operator which setting to look at."""
    stage.cognito.status, stage.cognito.answer = 400, answer
    assert said in problem(await stage.browser().sign_in(), 503, "AUTH_UNAVAILABLE")


@pytest.mark.parametrize("path", ["/assets/", "/assets/a/b/c", "/session/", "/nothing", "/oauth2/login/okta"])
async def test_a_path_that_is_not_there(stage: Stage, path: str) -> None:
    """It is a page for people and the contract's error for programs, whatever the method; never a redirect."""
    assert "not here" in problem(await stage.browser().get(path), 404, "REQUEST_INVALID")
    for method in ("GET", "POST", "DELETE", "PUT", "PATCH"):
        refused(await stage.browser().send(method, path), 404, "REQUEST_INVALID")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", LOGIN, "GET, HEAD"),
        ("POST", CALLBACK, "GET, HEAD"),
        ("PUT", LOGOUT, "GET, HEAD, POST"),
        ("OPTIONS", "/session", "DELETE, GET, HEAD, POST"),
        ("PATCH", "/assets/x/gateway.css", "GET, HEAD"),
    ],
)
async def test_a_method_that_does_not_fit(stage: Stage, method: str, path: str, allowed: str) -> None:
    """It is refused with the methods that fit, as a page or as JSON."""
    response = await stage.browser().send(method, path)
    refused(response, 405, "REQUEST_INVALID")
    assert response.headers["allow"] == allowed
    response = await stage.browser().send(method, path, headers=PERSON)
    problem(response, 405, "REQUEST_INVALID")
    assert response.headers["allow"] == allowed


async def test_only_the_head_is_asked_for(stage: Stage) -> None:
    """HEAD is answered as GET is, without a body."""
    browser = stage.browser()
    await browser.sign_in()
    for path in ("/", "/session", "/nothing"):
        asked_for, head = await browser.send("GET", path), await browser.send("HEAD", path)
        assert (head.status_code, head.content) == (asked_for.status_code, b"")
        assert head.headers["content-type"] == asked_for.headers["content-type"]


async def test_programs_get_json(stage: Stage) -> None:
    """The same refusals are the contract's JSON for who does not ask for a page."""
    browser = stage.browser()
    error = refused(await browser.send("GET", f"{CALLBACK}?code=x&state=y"), 400, "REQUEST_INVALID")
    assert error["type"] == "RequestError"
    refused(await browser.send("GET", "/"), 401, "TOKEN_MISSING")
    refused(await browser.send("GET", "/session"), 401, "TOKEN_MISSING")


async def test_cognito_is_down(stage: Stage) -> None:
    """Where the discovery document cannot be read, sign-in and sign-out say so; what is there goes on."""
    stage.cognito.has_discovery = False
    browser = stage.browser()
    problem(await browser.get(LOGIN), 503, "AUTH_UNAVAILABLE")
    await browser.send("POST", "/session", json={"id_token": stage.cognito.sign()})
    assert "What you may call" in (await browser.get("/")).text
    copy = browser.session
    said = problem(await browser.send("POST", LOGOUT, headers=PERSON), 503, "AUTH_UNAVAILABLE")
    assert "Cognito does not answer" in said
    assert await stage.validate(copy) == "REVOKED"


async def test_cognito_is_down_for_a_moment(stage: Stage) -> None:
    """What the discovery document said once goes on while it is away."""
    browser = stage.browser()
    await browser.begin()
    stage.cognito.has_discovery = False
    assert (await browser.sign_in()).status_code == 303


async def test_sign_in_is_not_configured(tmp_path: Path) -> None:
    """Without an app client the page says that sign-in is not configured, and by whom it can be."""
    async with signing_in(tmp_path, COGNITO_CLIENT_ID=UNSET, COGNITO_CLIENT_SECRET=UNSET) as stage:
        browser = stage.browser()
        said = (await browser.get("/")).text
        assert "not configured" in said
        assert LOGIN not in said
        for path in (LOGIN, f"{CALLBACK}?code=x&state=y"):
            problem(await browser.get(path), 503, "AUTH_UNAVAILABLE")
        assert (await browser.send("POST", LOGOUT)).headers["location"] == "/"


async def test_more_groups_than_fit(stage: Stage) -> None:
    """Where not all groups fit in a cookie, those that grant something are kept."""
    browser = stage.browser()
    assert (await browser.sign_in("many")).status_code == 303
    identity = session_cookie.verify(browser.session, [SECRET_KEY], max_age=60, now=time.time())
    assert (identity.username, identity.groups) == ("many", ())


async def test_groups_that_never_fit(stage: Stage) -> None:
    """Where even those that grant something do not fit, the page says so."""
    mapped = "".join(f'  "{name}": [mcp/read]\n' for name in MANY_GROUPS)
    text = stage.sidecar.scopes_file.read_text().replace("group_mappings:\n", f"group_mappings:\n{mapped}")
    digest = (await stage.sidecar.client.get("/readyz")).json()["policy"]["digest"]
    stage.sidecar.scopes_file.write_text(text)
    while (await stage.sidecar.client.get("/readyz")).json()["policy"]["digest"] == digest:
        pass
    assert "too many groups" in problem(await stage.browser().sign_in("many"), 403, "ACCESS_DENIED")


# ------------------------------------------------------------------------------------- the end of a session


async def test_signing_out(stage: Stage) -> None:
    """Signing out ends the session at once, for every copy of it, and leads to Cognito's own sign-out."""
    browser = stage.browser()
    await browser.sign_in()
    copy = browser.session
    assert await stage.validate(copy) == "uma"
    response = await browser.send("POST", LOGOUT, headers=PERSON | {"origin": GATEWAY})
    assert response.status_code == 303
    assert query_of(response.headers["location"]) == {"client_id": "web", "logout_uri": f"{GATEWAY}/"}
    assert browser.session == ""
    assert await stage.validate(copy) == "REVOKED"
    back = await browser.get(response.headers["location"])
    assert back.headers["location"] == f"{GATEWAY}/"
    asked = await browser.get(await browser.begin())
    assert asked.headers["location"].startswith("../login")  # for the password, since Cognito forgot as well


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://gw.localhost", "http://gw.localhost:80801"]
)
async def test_signing_out_from_another_site(stage: Stage, origin: str) -> None:
    """A form of another site ends no session."""
    browser = stage.browser()
    await browser.sign_in()
    response = await browser.send("POST", LOGOUT, headers=PERSON | {"origin": origin})
    problem(response, 403, "ORIGIN_MISMATCH")
    assert await stage.validate(browser.session) == "uma"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_without_an_origin(stage: Stage, site: str) -> None:
    """Where a browser leaves the origin out, it still says that another site is behind the form."""
    browser = stage.browser()
    await browser.sign_in()
    response = await browser.send("POST", LOGOUT, headers=PERSON | {"sec-fetch-site": site})
    problem(response, 403, "ORIGIN_MISMATCH")


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {}])
async def test_a_link_to_sign_out(stage: Stage, headers: dict[str, str]) -> None:
    """A link on another site, or one of which nobody knows where it is, only asks."""
    browser = stage.browser()
    await browser.sign_in()
    response = await browser.get(LOGOUT, **headers)
    assert response.status_code == 200
    assert "Sign out?" in response.text
    assert await stage.validate(browser.session) == "uma"


@pytest.mark.parametrize(
    "headers", [PERSON | {"sec-fetch-site": "none"}, PERSON | {"sec-fetch-site": "same-origin"}, {}]
)
async def test_signing_out_by_get(stage: Stage, headers: dict[str, str]) -> None:
    """Who types the address, follows this site's own link, or is a program, is signed out."""
    browser = stage.browser()
    await browser.sign_in()
    copy = browser.session
    response = await browser.send("GET", LOGOUT, headers=headers)
    assert response.status_code == 302
    assert response.headers["location"].startswith(f"{stage.cognito.issuer}/logout?")
    assert await stage.validate(copy) == "REVOKED"


async def test_signing_out_twice(stage: Stage) -> None:
    """Without a session, signing out still ends Cognito's."""
    response = await stage.browser().send("POST", LOGOUT, headers=PERSON)
    assert response.headers["location"].startswith(f"{stage.cognito.issuer}/logout?")


async def test_signing_out_while_the_store_is_down(stage: Stage, tmp_path: Path) -> None:
    """Where the end of a session cannot be kept, nobody is told that all is well."""
    browser = stage.browser()
    await browser.sign_in()
    for file in tmp_path.glob("revocations.sqlite*"):
        file.unlink()
    (tmp_path / "revocations.sqlite").mkdir()
    said = problem(
        await browser.send("POST", LOGOUT, headers=PERSON | {"origin": GATEWAY}), 503, "AUTH_UNAVAILABLE"
    )
    assert "in this browser only" in said
    assert browser.session == ""


# ------------------------------------------------------------------------------------------------ /session


async def test_who_am_i(stage: Stage) -> None:
    """GET /session tells a cookie's or a token's identity, and never a token."""
    browser = stage.browser()
    await browser.sign_in()
    answer = (await browser.send("GET", "/session")).json()
    until = answer.pop("expires_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until)
    assert answer == {
        "username": "uma",
        "email": "uma@example.com",
        "client_id": "",
        "groups": ["readers"],
        "scopes": ["by-group"],
        "auth_method": "session_cookie",
    }
    token = {"authorization": f"Bearer {stage.cognito.sign('access')}"}
    answer = (await stage.browser().send("GET", "/session", headers=token)).json()
    assert (answer["username"], answer["auth_method"], answer["client_id"]) == ("uma", "jwt", "web")


@pytest.mark.parametrize("by", ["body", "header", "access"])
async def test_a_token_becomes_a_session(stage: Stage, by: str) -> None:
    """POST /session answers a verified user's token with a session, as cookie and in the body."""
    browser = stage.browser()
    token = stage.cognito.sign("access" if by == "access" else "id")
    options: dict[str, Any] = {"headers": {"authorization": f"Bearer {token}"}}
    if by == "body":
        options = {"json": {"id_token": token}}
    response = await browser.send("POST", "/session", **options)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["username"] == "uma"
    assert answer["cookie"] == {"name": "mcp_gateway_session", "value": browser.session}
    assert answer["auth_method"] == "session_cookie"
    assert await stage.validate(answer["cookie"]["value"]) == "uma"
    assert token not in response.text


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("id", {"exp": 1}, "TOKEN_EXPIRED"),
        ("id", {"aud": "stranger"}, "INVALID_AUDIENCE"),
        ("id", {"iss": "https://evil.example"}, "INVALID_ISSUER"),
        ("id", {"cognito:username": None}, "INVALID_TOKEN_USE"),
        ("access", {"username": None}, "INVALID_TOKEN_USE"),
        ("access", {"sub": "web"}, "INVALID_TOKEN_USE"),
        ("access", {"aud": f"{GATEWAY}/notes"}, "INVALID_AUDIENCE"),
        ("access", {"aud": GATEWAY}, "INVALID_AUDIENCE"),
        ("access", {"aud": "https://evil.example"}, "INVALID_AUDIENCE"),
    ],
)
async def test_a_token_that_becomes_no_session(
    stage: Stage, kind: str, changes: dict[str, Any], code: str
) -> None:
    """An agent's token has no user, one bound to a resource must not grow, others do not count at all."""
    browser = stage.browser()
    headers = {"authorization": f"Bearer {stage.cognito.sign(kind, **changes)}"}
    refused(await browser.send("POST", "/session", headers=headers), 401, code)
    assert browser.cookies == {}


async def test_an_access_token_in_the_place_of_an_id_token(stage: Stage) -> None:
    """The member id_token holds an ID token and nothing else."""
    body = {"id_token": stage.cognito.sign("access")}
    refused(await stage.browser().send("POST", "/session", json=body), 401, "INVALID_TOKEN_USE")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"content": b"{}", "headers": {"content-type": "application/json"}},
        {"content": b"nonsense", "headers": {"content-type": "application/json"}},
        {"json": {"id_token": 5}},
        {"json": {"id_token": None}},
        {"data": {"id_token": "x"}},
        {"content": b'{"id_token": "a", "id_token": "b"}', "headers": {"content-type": "application/json"}},
    ],
)
async def test_a_body_that_holds_no_token(stage: Stage, options: dict[str, Any]) -> None:
    """What is no JSON object with one id_token is refused; a form of another site could send no other."""
    refused(await stage.browser().send("POST", "/session", **options), 400, "REQUEST_INVALID")


async def test_a_body_that_is_larger_than_any_token(stage: Stage) -> None:
    """Nobody's megabytes are read to find a token."""
    response = await stage.browser().send("POST", "/session", json={"id_token": "x" * 70_000})
    refused(response, 413, "BODY_TOO_LARGE")


async def test_an_ended_token_becomes_no_session(stage: Stage) -> None:
    """A token of a user whose access was ended a moment ago is not exchanged for a longer one."""
    from auth_server.identity.revocations import RevocationKind, Revocations
    from auth_server.stores import open_store

    folder = stage.sidecar.scopes_file.parent
    store = Revocations(open_store(f"sqlite://{folder}/revocations.sqlite"))
    await store.revoke(RevocationKind.USER, "uma", now=time.time() + 1)
    await store.aclose()
    body = {"id_token": stage.cognito.sign()}
    refused(await stage.browser().send("POST", "/session", json=body), 401, "REVOKED")


@pytest.mark.parametrize(("method", "path"), [("POST", "/session"), ("DELETE", "/session"), ("POST", LOGOUT)])
async def test_changes_from_another_origin(stage: Stage, method: str, path: str) -> None:
    """Whatever changes something is refused to pages of other origins, before anything is looked at."""
    browser = stage.browser()
    await browser.sign_in()
    session = browser.session
    headers = {"origin": "https://evil.example"}
    options: dict[str, Any] = {"json": {"id_token": stage.cognito.sign()}} if path == "/session" else {}
    refused(await browser.send(method, path, headers=headers, **options), 403, "ORIGIN_MISMATCH")
    assert browser.session == session
    assert await stage.validate(session) == "uma"


async def test_ending_a_session(stage: Stage) -> None:
    """DELETE /session ends it for every copy; a second time it is over already."""
    browser = stage.browser()
    await browser.sign_in()
    copy = browser.session
    assert (await browser.send("DELETE", "/session")).status_code == 204
    assert browser.session == ""
    assert await stage.validate(copy) == "REVOKED"
    browser.cookies["mcp_gateway_session"] = copy
    refused(await browser.send("DELETE", "/session"), 401, "REVOKED")
    token = {"authorization": f"Bearer {stage.cognito.sign('access')}"}
    refused(await stage.browser().send("DELETE", "/session", headers=token), 400, "REQUEST_INVALID")


# ---------------------------------------------------------------------------------------------- the page


async def test_the_page(stage: Stage) -> None:
    """It says who one is, by which groups and scopes, what one may call and what not, and how to sign out."""
    browser = stage.browser()
    await browser.sign_in()
    response = await browser.get("/")
    assert response.status_code == 200
    text = re.sub(r"<[^>]*>", "", response.text)
    for said in ("uma", "uma@example.com", "readers", "by-group", "notes", "time", "Not allowed", "Allowed"):
        assert said in text
    assert "in 7 h 59 min" in text
    assert f'action="{LOGOUT}"' in response.text
    assert browser.session not in response.text


async def test_the_page_for_who_is_signed_out(stage: Stage) -> None:
    """It leads to the sign-in, and says why where a session is over."""
    browser = stage.browser()
    assert LOGIN in (await browser.get("/")).text
    await browser.sign_in()
    await browser.send("DELETE", "/session", headers={})
    browser.cookies["mcp_gateway_session"] = "nonsense"
    said = (await browser.get("/")).text
    assert "no longer counts" in said
    assert browser.session == ""  # it is of no use


async def test_names_that_are_markup(stage: Stage) -> None:
    """Users and groups may be called anything; on the page it stays text."""
    browser = stage.browser()
    assert (await browser.sign_in("<script>alert(1)</script>")).status_code == 303
    said = (await browser.get("/")).text
    assert "<script>alert" not in said
    assert (
        "&lt;script&gt;alert(1)&lt;<wbr>/script&gt;" in said
        or "&lt;script&gt;alert(1)&lt;/script&gt;" in said
    )
    assert '"><b>' not in said


@pytest.mark.parametrize("path", ["/", LOGOUT, f"{CALLBACK}?code=x&state=y"])
async def test_what_browsers_are_told(stage: Stage, path: str) -> None:
    """No page runs a script that is not ours, is framed, cached, or tells other sites where one was."""
    headers = (await stage.browser().get(path)).headers
    policy = dict(part.partition(" ")[::2] for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"].startswith("'self'")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


async def test_no_page_has_a_script_or_style_of_its_own(stage: Stage) -> None:
    """What the policy forbids is nowhere in the pages."""
    browser = stage.browser()
    pages = [(await browser.get(path)).text for path in ("/", LOGOUT, f"{CALLBACK}?code=x&state=y")]
    await browser.sign_in()
    pages.append((await browser.get("/")).text)
    for page in pages:
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", page)


async def test_what_the_pages_refer_to(stage: Stage) -> None:
    """Files have a name that changes with their content and may be kept for good; others are not there."""
    browser = stage.browser()
    await browser.sign_in()
    for path in set(re.findall(r'"(/assets/[^"]+)"', (await browser.get("/")).text)):
        found = await browser.get(path)
        assert found.status_code == 200
        assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
        older = re.sub(r"/assets/\w+/", "/assets/000000000000/", path)
        assert (await browser.get(older)).headers["cache-control"] == "no-cache"
    problem(await browser.get("/assets/x/settings.py"), 404, "REQUEST_INVALID")


async def test_nothing_secret_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Neither code, state, tokens nor cookies get into the log."""
    import logging

    logging.getLogger("auth_server").propagate = True
    browser = stage.browser()
    with caplog.at_level(logging.DEBUG, "auth_server"):
        back = await browser.at_cognito(await browser.begin())
        await browser.get(back)
        session = browser.session
        await browser.get(f"{back}x")
        await browser.send("POST", LOGOUT, headers={"origin": GATEWAY})
    said = str([record.__dict__ for record in caplog.records])
    assert "signed in" in said
    query = query_of(back)
    for secret in (query["code"], query["state"], session[:40], urlsplit(back).query):
        assert secret not in said


def test_a_browser_is_not_a_test() -> None:
    """The test's browser keeps what it is given and drops what is taken away."""
    browser = Browser(Stage(None, None, GATEWAY))  # type: ignore[arg-type]
    jar: dict[str, str] = {}
    browser._keep(jar, 'a="b"; HttpOnly; Path=/')
    assert jar == {"a": "b"}
    browser._keep(jar, "a=; Max-Age=0; Path=/")
    assert jar == {}
