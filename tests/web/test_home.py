"""The page of a person: who they are, what they may do, and what browsers are told about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.web_sign_in import (
    CALLBACK,
    LOGIN,
    LOGOUT,
    Stage,
    problem,
)

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio

OTHER_KEY = "oTh3r-K3y-0f-An0ther-D3pl0yment-zQ8xW2vN5mB7"
HTTPS = "https://gw.example"


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
