"""Signing in, over sockets: the whole way, and every attack on it that is known."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from support.sidecar import SECRET_KEY, UNSET
from support.web_sign_in import (
    CALLBACK,
    GATEWAY,
    LOGIN,
    LOGOUT,
    MANY_GROUPS,
    PERSON,
    Browser,
    Stage,
    problem,
    query_of,
    refused,
    signing_in,
)

from auth_server.identity import session_cookie
from auth_server.oauth import sign_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

OTHER_KEY = "oTh3r-K3y-0f-An0ther-D3pl0yment-zQ8xW2vN5mB7"
HTTPS = "https://gw.example"


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
        long_ago: dict[str, Any] = {"auth_time": int(time.time()) - 700}
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


async def test_nothing_secret_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Neither code, state, tokens nor cookies get into the log."""
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


async def test_a_browser_is_not_a_test(stage: Stage) -> None:
    """The test's browser keeps what it is given and drops what is taken away."""
    browser, jar = Browser(stage), dict[str, str]()
    browser._keep(jar, 'a="b"; HttpOnly; Path=/')
    assert jar == {"a": "b"}
    browser._keep(jar, "a=; Max-Age=0; Path=/")
    assert jar == {}
