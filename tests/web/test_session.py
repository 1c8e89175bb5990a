"""The end of a session, and /session: who has one, and how a token becomes one."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.web_sign_in import (
    GATEWAY,
    LOGOUT,
    PERSON,
    Stage,
    problem,
    query_of,
    refused,
)

from auth_server.identity.revocations import RevocationKind, Revocations
from auth_server.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

OTHER_KEY = "oTh3r-K3y-0f-An0ther-D3pl0yment-zQ8xW2vN5mB7"
HTTPS = "https://gw.example"


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
