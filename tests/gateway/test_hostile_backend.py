"""An MCP server that would like to be a page of the gateway's origin, met by a person with Chromium."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.asgi_server import serving
from support.door import call, cookie

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route
    from starlette.types import Receive, Scope, Send
    from support.backend import Exchange
    from support.chromium import Person
    from support.door import Door

SESSION = "mcp_gateway_session"
SITES = ["localhost", "127.0.0.1"]
SCRIPT = "window.top.pwned = true; fetch('/secret/mcp', {method: 'DELETE'})"
BODIES = {
    "text/html": f"<!doctype html><title>evil</title><h1>evil</h1><script>{SCRIPT}</script>",
    "image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg"><script>{SCRIPT}</script></svg>',
    "text/javascript": "self.addEventListener('fetch', e => e.respondWith(new Response('evil')))",
    "text/css": "body { background: red }",
    "application/xhtml+xml": f'<html xmlns="http://www.w3.org/1999/xhtml"><script>{SCRIPT}</script></html>',
}
# What a page can do without a script's call, in which the person's cookie goes along.
MARKUP = {
    "image": '<img src="{url}">',
    "script": '<script src="{url}"></script>',
    "module": '<script type="module" src="{url}"></script>',
    "style": '<link rel="stylesheet" href="{url}">',
    "frame": '<iframe src="{url}"></iframe>',
    "object": '<object data="{url}"></object>',
    "embed": '<embed src="{url}">',
    "video": '<video src="{url}" autoplay></video>',
    "preload": '<link rel="preload" as="script" href="{url}">',
    "prefetch": '<link rel="prefetch" href="{url}">',
    "manifest": '<link rel="manifest" crossorigin="use-credentials" href="{url}">',
    "refresh": '<meta http-equiv="refresh" content="0; url={url}">',
}


@dataclass
class Hostile:
    """A gateway's backend that answers with anything, a person with a session there, and a page elsewhere."""

    door: Door
    person: Person
    page: Page
    elsewhere: str
    session: str
    body: str = ""
    markup: str = ""

    @property
    def url(self) -> str:
        """The MCP server's address at the gateway."""
        return f"{self.door.gateway.base_url}/time/mcp"

    @property
    def home(self) -> str:
        """The gateway's own page."""
        return f"{self.door.gateway.base_url}/"

    def answers(self, kind: str, *headers: str) -> None:
        """Have the backend answer everything with this."""

        async def behaviour(exchange: Exchange) -> None:
            body = BODIES[kind].encode()
            lines = [f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}", *headers]
            await exchange.send("\r\n".join([*lines, "", ""]).encode() + body)

        self.door.backend.behaviour = behaviour

    def visit(self, host: str, markup: str) -> None:
        """Open a page elsewhere that holds this; wait until all of it was tried."""
        self.markup = markup
        self.page.goto(f"{self.elsewhere.replace('127.0.0.1', host)}/", wait_until="networkidle")

    def inside(self) -> None:
        """Open a page of the gateway's origin that lets any script run, as if somebody had found a way to."""

        def fulfil(route: Route) -> None:
            route.fulfill(content_type="text/html", body="<!doctype html><title>inside</title>")

        self.page.route("**/gateway/inside", fulfil)
        self.page.goto(f"{self.home}gateway/inside")

    def safe(self) -> None:
        """Check that the backend heard nothing, that nothing of it ran, and that the session is as it was."""
        assert self.door.backend.requests == []
        assert self.door.secret.requests == []
        self.unchanged()

    def unchanged(self) -> None:
        """Check that nothing ran, and that the cookies are as they were."""
        assert all(page.evaluate("window.pwned") is None for page in self.person.context.pages)
        cookies = {name: found["value"] for name, found in self.person.cookies().items()}
        assert cookies == {SESSION: self.session}


@pytest.fixture
def hostile(door: Door, person: Person) -> Iterator[Hostile]:
    session = cookie("ada", ("readers", "insiders"))
    person.context.add_cookies([{"name": SESSION, "value": session, "url": door.gateway.base_url}])
    made = Hostile(door, person, person.tab(), "", session)

    async def elsewhere(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": f"<!doctype html>{made.markup}".encode()})

    with serving(lambda _: elsewhere) as made.elsewhere:
        yield made
        made.page.close()
        person.complaints.clear()  # the browser's own, of what it stopped


@pytest.mark.parametrize("kind", BODIES)
def test_an_address_that_is_opened(hostile: Hostile, kind: str) -> None:
    """Who types it, or follows a link, gets the gateway's own page; the server hears nothing."""
    hostile.answers(kind)
    hostile.page.goto(hostile.url)
    assert hostile.page.url == hostile.home
    hostile.safe()


@pytest.mark.parametrize("host", SITES)
def test_a_link_a_form_and_a_window_of_another_page(hostile: Hostile, host: str) -> None:
    """So does who is sent there by any page, of this site or another."""
    hostile.answers("text/html")
    page = hostile.page
    for markup in (
        f'<a href="{hostile.url}">go</a>',
        f'<form action="{hostile.url}"><button>go</button></form>',
    ):
        hostile.visit(host, markup)
        page.get_by_text("go").click()
        page.wait_for_url(hostile.home)
    hostile.visit(host, f"<button onclick=\"window.open('{hostile.url}')\">go</button>")
    with page.expect_popup() as opened:
        page.get_by_text("go").click()
    opened.value.wait_for_url(hostile.home)
    hostile.safe()


@pytest.mark.parametrize("host", SITES)
@pytest.mark.parametrize("markup", MARKUP)
def test_what_a_page_loads(hostile: Hostile, markup: str, host: str) -> None:
    """Nothing that a page elsewhere embeds is asked of an MCP server in the person's name."""
    for kind in ("text/html", "image/svg+xml", "text/javascript"):
        hostile.answers(kind)
        hostile.visit(host, MARKUP[markup].format(url=f"{hostile.url}?{kind}"))
        hostile.safe()


FETCH = """async ([url, method]) => {
  try { await fetch(url, {method, mode: "no-cors", credentials: "include"}); } catch { return; }
}"""


@pytest.mark.parametrize("host", SITES)
def test_a_script_of_another_page(hostile: Hostile, host: str) -> None:
    """A stream that it opens in the person's name, it does not open."""
    hostile.visit(host, "")
    for method in ("GET", "POST"):
        hostile.page.evaluate(FETCH, [hostile.url, method])
    hostile.safe()


@pytest.mark.parametrize("markup", [name for name in MARKUP if name != "refresh"])
def test_what_a_page_of_the_gateways_own_loads(hostile: Hostile, markup: str) -> None:
    """Not even a page of this very origin has an MCP server's answer as a script, a frame or an image."""
    hostile.inside()
    for kind in ("text/html", "image/svg+xml", "text/javascript"):
        hostile.answers(kind)
        html = MARKUP[markup].format(url=f"{hostile.url}?{kind}")
        put = "html => document.body.append(document.createRange().createContextualFragment(html))"
        hostile.page.evaluate(put, html)
        hostile.page.wait_for_load_state("networkidle")
    if markup == "prefetch":  # a script's call by all that the browser says: fetched, and never shown
        assert {seen.method for seen in hostile.door.backend.requests} <= {"GET"}
        hostile.unchanged()
    else:
        hostile.safe()


WORKER = """async ([url, options]) => {
  try { await navigator.serviceWorker.register(url, options); return "installed"; }
  catch (error) { return error.name; }
}"""


@pytest.mark.parametrize("options", [{}, {"scope": "/"}, {"type": "module"}])
def test_a_service_worker(hostile: Hostile, options: dict[str, str]) -> None:
    """A script of an MCP server's becomes no service worker, neither of all pages nor of its own address."""
    hostile.answers("text/javascript", "Service-Worker-Allowed: /")
    hostile.inside()
    installed = hostile.page.evaluate(WORKER, [hostile.url, options])
    assert installed in {"SecurityError", "TypeError"}
    assert hostile.page.evaluate("async () => (await navigator.serviceWorker.getRegistrations()).length") == 0
    hostile.safe()


CALL = """async ([url, body]) => {
  const headers = {"Content-Type": "application/json"};
  const answer = await fetch(url, {method: "POST", headers, body});
  return [answer.status, await answer.text(), Object.fromEntries(answer.headers)];
}"""


def test_an_answer_that_would_steer_the_browser(hostile: Hostile) -> None:
    """A script of the gateway's own origin may call; the answer plants no cookie and clears none."""
    hostile.answers(
        "text/html",
        f"Set-Cookie: {SESSION}=evil; Path=/",
        "Set-Cookie: mcp_gateway_sign_in=evil; Path=/",
        "Set-Cookie: other=evil; Path=/",
        'Clear-Site-Data: "*"',
        "Refresh: 0; url=/secret/mcp",
    )
    hostile.inside()
    status, body, headers = hostile.page.evaluate(CALL, [hostile.url, json.dumps(call())])
    assert (status, body) == (200, BODIES["text/html"])
    found: dict[str, Any] = headers
    assert found["content-security-policy"] == "sandbox; default-src 'none'"
    assert hostile.door.backend.only().method == "POST"
    hostile.unchanged()


def test_an_answer_that_would_send_the_browser_away(hostile: Hostile) -> None:
    """A redirect of the server's leads a script neither elsewhere nor to another server."""
    hostile.inside()
    for location in (hostile.elsewhere, "//localhost:1/", "/../secret/mcp", "../secret/mcp"):

        async def behaviour(exchange: Exchange, location: str = location) -> None:
            await exchange.json({}, status="307 Temporary Redirect", headers=(f"Location: {location}",))

        hostile.door.backend.behaviour = behaviour
        status, body, _ = hostile.page.evaluate(CALL, [hostile.url, json.dumps(call())])
        assert (status, json.loads(body)["error"]["details"]["error_code"]) == (502, "UPSTREAM_UNAVAILABLE")
    assert hostile.door.secret.requests == []
    hostile.unchanged()
