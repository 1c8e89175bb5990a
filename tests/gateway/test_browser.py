"""The pages as people meet them: Chromium, nginx, the sidecar and the stand-in, none of them played."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import httpx
import pytest
from support import chromium
from support.asgi_server import serving
from support.chromium import DESKTOP, PHONE, Person
from support.demo import GROUPS
from support.waiting import until

from auth_server.identity import session_cookie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, ViewportSize
    from starlette.types import Receive, Scope, Send
    from support.demo import Demo

SESSION = "mcp_gateway_session"
Call = tuple[str, dict[str, str]]
GRANTED: Call = ("current_time_by_timezone", {"tz_name": "Europe/Berlin"})
REFUSED: Call = ("convert_time", {})
IN_FORCE = 1  # seconds until an end is known everywhere


@dataclass
class World:
    """The demo, and whoever comes to it."""

    demo: Demo
    browser: Browser

    @property
    def url(self) -> str:
        """The gateway's address, as the demo prints it."""
        return self.demo.base_url

    def sign_in(self, page: Page, user: str = "uma", *, at: str = "/") -> None:
        """Go there, and sign in."""
        page.goto(f"{self.url}{at}")
        if page.url == f"{self.url}/":
            page.get_by_role("link", name="Continue with Amazon Cognito").click()
        self.fill(page, user, self.demo.password(user))

    def fill(self, page: Page, user: str, password: str) -> None:
        """Fill in Cognito's form."""
        page.get_by_label("User name").fill(user)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()

    def enter(self, person: Person, user: str = "uma") -> str:
        """Give the person a session of their own that was opened before, and return its cookie's value."""
        groups = (GROUPS[user],) if user in GROUPS else ()
        session = session_cookie.Session(user, groups, secrets.token_hex(8), f"{user}@example.com")
        value = session_cookie.mint(session, [self.demo.secret_key], now=time.time())
        person.context.add_cookies([{"name": SESSION, "value": value, "url": self.url}])
        return value

    def call(self, cookie: str, tool: tuple[str, dict[str, str]] = GRANTED) -> httpx.Response:
        """Call a tool with a copy of a session, as a program does."""
        return call(f"{self.url}/currenttime/mcp", {"Cookie": f"{SESSION}={cookie}"}, *tool)

    def known(self, page: Page) -> bool:
        """Whether the page says who is signed in."""
        return page.get_by_text("Signed in as").is_visible()


@pytest.fixture
def world(demo: Demo, browser: Browser) -> World:
    return World(demo, browser)


@dataclass
class Elsewhere:
    """A page that is none of the gateway's: on another port of its host, and so within its cookie's reach.

    By its address instead of its name, it is another site.
    """

    base: str
    body: str = ""

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        """Answer with the page."""
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": f"<!doctype html>{self.body}".encode()})

    def at(self, host: str) -> str:
        """Return its address under this name."""
        return self.base.replace("127.0.0.1", host) + "/"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere("")
    with serving(lambda _: made) as made.base:
        yield made


def call(url: str, headers: dict[str, str], name: str, arguments: dict[str, str]) -> httpx.Response:
    """Call a tool as MCP 2026-07-28 does, without a handshake."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": name, "arguments": arguments, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    given = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": name,
        **headers,
    }
    return httpx.post(url, json=message, headers=given, trust_env=False)


def error_code(response: httpx.Response) -> str:
    """Return the code of a refusal."""
    return str(response.json()["error"]["details"]["error_code"])


# ------------------------------------------------------------------------------------------- the whole way


def test_signing_in_and_calling(world: World, person: Person) -> None:
    """One signs in, reads who one is and what one may call, and the session calls just that."""
    page = person.tab()
    world.sign_in(page)
    assert page.url == f"{world.url}/"
    assert page.get_by_role("heading", name="uma", exact=True).is_visible()
    assert page.get_by_text("uma@example.com").is_visible()
    granted = page.get_by_role("row", name=re.compile(r"^current_time_by_timezone\b"))
    assert "Allowed" in granted.inner_text()
    assert "Not allowed" in page.get_by_role("row", name=re.compile(r"^convert_time\b")).inner_text()
    cookie = person.cookies()[SESSION]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert page.evaluate("document.cookie") == ""
    answer = world.call(cookie["value"])
    assert answer.status_code == 200
    assert re.search(r"CES?T", answer.text)
    refused = world.call(cookie["value"], REFUSED)
    assert (refused.status_code, error_code(refused)) == (403, "ACCESS_DENIED")


@pytest.mark.parametrize("where", ["/currenttime/mcp", "/currenttime/mcp?a=1&b=%2F", "/fininfo/"])
def test_a_deep_link(world: World, person: Person, where: str) -> None:
    """Who opens a server's address without a session is sent to sign in, and comes back to what there is to see."""
    page = person.tab()
    visited = chromium.addresses(page)
    world.sign_in(page, at=where)
    assert visited[-2:] == [f"{world.url}{where}", f"{world.url}/"]
    assert world.known(page)


def test_a_wrong_password(world: World, person: Person) -> None:
    """Cognito says so and asks again; the right one then counts."""
    page = person.tab()
    page.goto(f"{world.url}/oauth2/login/cognito")
    world.fill(page, "uma", "wrong")
    assert "Incorrect" in page.get_by_role("alert").inner_text()
    assert SESSION not in person.cookies()
    world.fill(page, "uma", world.demo.password("uma"))
    assert world.known(page)


def test_denied(world: World, person: Person) -> None:
    """Who cancels reads that nobody was signed in, and can start over to where one was going."""
    page = person.tab()
    visited = chromium.addresses(page)
    page.goto(f"{world.url}/currenttime/mcp")
    page.get_by_role("button", name="Cancel").click()
    assert page.get_by_role("heading", name="You were not signed in").is_visible()
    assert re.fullmatch(r"[0-9a-f]{32}", page.locator("dd").last.inner_text())  # the request's id
    assert SESSION not in person.cookies()
    page.get_by_role("link", name="Sign in again").click()
    world.fill(page, "uma", world.demo.password("uma"))
    assert visited[-2:] == [f"{world.url}/currenttime/mcp", f"{world.url}/"]


def test_a_sign_in_that_took_too_long(world: World, person: Person) -> None:
    """After ten minutes the browser has forgotten the sign-in; the page says so, and a new one works."""
    page = person.tab()
    page.goto(f"{world.url}/oauth2/login/cognito")
    (name,) = [name for name in person.cookies() if "sign_in" in name]
    assert 590 < person.cookies()[name]["expires"] - time.time() <= 600
    person.context.clear_cookies(name=name)
    world.fill(page, "uma", world.demo.password("uma"))
    assert page.get_by_role("heading", name="This sign-in can't be finished").is_visible()
    page.get_by_role("link", name="Sign in again").click()
    page.wait_for_url(f"{world.url}/")  # Cognito still knows who it is
    assert world.known(page)


def test_a_session_that_is_over(world: World, person: Person) -> None:
    """An expired session leads to the sign-in, which says why, and does not come back."""
    old = session_cookie.mint(
        session_cookie.Session("uma", ("mcp-registry-user",), "sid-old"),
        [world.demo.secret_key],
        now=time.time() - 30_000,
    )
    person.context.add_cookies([{"name": SESSION, "value": old, "url": world.url}])
    page = person.tab()
    page.goto(world.url)
    assert "is over" in page.get_by_role("status").inner_text()
    assert SESSION not in person.cookies()
    page.reload()
    assert page.get_by_role("status").count() == 0
    assert error_code(world.call(old)) == "SESSION_EXPIRED"


def test_signing_out(world: World, person: Person) -> None:
    """Signing out ends the session for every copy, at Cognito as well; going back shows nothing of it."""
    page = person.tab()
    world.sign_in(page)
    copy = person.cookies()[SESSION]["value"]
    assert world.call(copy).status_code == 200
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{world.url}/")
    assert page.get_by_role("heading", name="Sign in").is_visible()
    assert SESSION not in person.cookies()

    def answers() -> set[str]:
        """Ask often enough to meet every sidecar."""
        return {world.call(copy).headers.get("x-auth-error", "none") for _ in range(4)}

    until(lambda: answers() == {"REVOKED"}, "the copy's end", seconds=IN_FORCE + 1, every=0.1)
    page.go_back()
    assert not world.known(page)
    page.goto(f"{world.url}/oauth2/login/cognito")
    assert page.get_by_label("Password").is_visible()


def test_signing_out_by_a_link(world: World, person: Person, elsewhere: Elsewhere) -> None:
    """A link on another site only asks; one's own answer then counts."""
    world.enter(person)
    page = person.tab()
    elsewhere.body = f'<a href="{world.url}/oauth2/logout/cognito">out</a>'
    page.goto(elsewhere.at("127.0.0.1"))
    page.get_by_role("link").click()
    assert page.get_by_role("heading", name="Sign out?").is_visible()
    page.get_by_role("link", name="Stay signed in").click()
    assert world.known(page)
    page.go_back()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert SESSION not in person.cookies()


def test_two_tabs(world: World, person: Person) -> None:
    """Two sign-ins at once in one browser both lead to where they were going, and from there to the page."""
    first, second = person.tab(), person.tab()
    visited = {1: chromium.addresses(first), 2: chromium.addresses(second)}
    first.goto(f"{world.url}/currenttime/mcp?tab=1")
    second.goto(f"{world.url}/currenttime/mcp?tab=2")
    for page, number in ((second, 2), (first, 1)):
        world.fill(page, "uma", world.demo.password("uma"))
        assert visited[number][-2:] == [f"{world.url}/currenttime/mcp?tab={number}", f"{world.url}/"]
    assert {name for name in person.cookies() if name.startswith("mcp_gateway")} == {SESSION}


def test_back_and_reload(world: World, person: Person) -> None:
    """The back button, a form sent twice and a reload of the callback leave one signed in."""
    page = person.tab()
    visited: list[str] = []
    page.on("request", lambda request: visited.append(request.url))
    world.sign_in(page)
    session = person.cookies()[SESSION]["value"]
    page.reload()
    assert world.known(page)
    page.go_back()
    if page.get_by_label("Password").is_visible():
        world.fill(page, "uma", world.demo.password("uma"))
    assert world.known(page)
    callback = next(url for url in visited if "/oauth2/callback/" in url)
    page.goto(callback)
    assert page.url == f"{world.url}/"
    assert world.known(page)
    assert world.call(session).status_code == 200


# --------------------------------------------------------------------------------------- how it is reached


def focused(page: Page) -> str:
    """Return the text of what has the focus; it must be visible that it has."""
    seen = page.evaluate(
        """() => {
          const style = getComputedStyle(document.activeElement);
          return [document.activeElement.innerText || document.activeElement.name || "", style.outlineStyle];
        }"""
    )
    assert seen[1] != "none", seen
    return str(seen[0]).strip()


def tab_to(page: Page, text: str) -> None:
    """Press Tab until this has the focus."""
    passed = []
    for _ in range(30):
        page.keyboard.press("Tab")
        passed.append(focused(page))
        if text in passed[-1]:
            return
    pytest.fail(f"{text!r} is not reached by Tab, but {passed}")


def test_the_keyboard_alone(world: World) -> None:
    """Sign-in, the page and sign-out need no mouse, and one always sees where one is."""
    allowed = ["clipboard-read", "clipboard-write"]
    with chromium.visiting(world.browser, permissions=allowed) as visitor:
        page = visitor.tab()
        page.goto(world.url)
        tab_to(page, "Continue with Amazon Cognito")
        page.keyboard.press("Enter")
        page.get_by_label("User name").wait_for()
        assert page.evaluate("document.activeElement.name") == "username"
        page.keyboard.type("uma")
        tab_to(page, "password")
        page.keyboard.type(world.demo.password("uma"))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{world.url}/")
        tab_to(page, "Skip to what you may call")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        tab_to(page, "currenttime")
        row = page.get_by_role("row", name=re.compile(r"^convert_time\b"))
        assert row.is_visible()
        page.keyboard.press("Enter")
        assert not row.is_visible()
        tab_to(page, "Copy configuration")
        page.keyboard.press("Enter")
        page.get_by_text("Copied").wait_for()
        page.goto(world.url)
        tab_to(page, "Sign out")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Sign in").wait_for()
        assert SESSION not in visitor.cookies()


def test_the_configuration_is_copied(world: World) -> None:
    """The button copies what an MCP client takes; with a session put in its place, it works as it stands."""
    allowed = ["clipboard-read", "clipboard-write"]
    with chromium.visiting(world.browser, permissions=allowed) as visitor:
        session = world.enter(visitor)
        page = visitor.tab()
        page.goto(world.url)
        page.get_by_role("button", name="Copy configuration").click()
        page.get_by_text("Copied").wait_for()
        copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
        (server,) = copied["mcpServers"].values()
        assert server["type"] == "http"
        assert session not in str(copied)
        headers = {
            name: text.replace("${MCP_GATEWAY_SESSION}", session) for name, text in server["headers"].items()
        }
        answer = call(server["url"], headers, *GRANTED)
        assert answer.status_code == 200


def test_without_a_clipboard(world: World, person: Person) -> None:
    """Where the browser gives none, the text is marked, and the button says so."""
    world.enter(person)
    page = person.tab()
    page.add_init_script("delete Navigator.prototype.clipboard")
    page.goto(world.url)
    page.get_by_role("button", name="Copy configuration").click()
    page.get_by_text("press Ctrl+C").wait_for()
    assert json.loads(page.evaluate("getSelection().toString()"))["mcpServers"]


def test_without_scripts(world: World) -> None:
    """Everything but the copy button works without JavaScript."""
    with chromium.visiting(world.browser, java_script_enabled=False) as visitor:
        page = visitor.tab()
        world.sign_in(page)
        assert world.known(page)
        row = page.get_by_role("row", name=re.compile(r"^convert_time\b"))
        assert row.is_visible()
        page.get_by_role("heading", name="currenttime").click()
        assert not row.is_visible()
        assert "mcpServers" in page.locator("#configuration").inner_text()
        assert not page.get_by_role("button", name="Copy configuration").is_visible()
        page.get_by_role("button", name="Sign out").click()
        assert page.get_by_role("heading", name="Sign in").is_visible()
        assert SESSION not in visitor.cookies()


def _signed_out(world: World, page: Page) -> None:
    page.goto(world.url)


def _over(world: World, page: Page) -> None:
    page.context.add_cookies([{"name": SESSION, "value": "nonsense", "url": world.url}])
    page.goto(world.url)
    assert page.get_by_role("status").is_visible()


def _cognito(world: World, page: Page) -> None:
    page.goto(f"{world.url}/oauth2/login/cognito")


def _home(user: str) -> Callable[[World, Page], None]:
    def visit(world: World, page: Page) -> None:
        world.enter(Person(page.context), user)
        page.goto(world.url)
        page.evaluate("document.querySelectorAll('details').forEach(found => { found.open = true; })")
        assert world.known(page)

    return visit


def _problem(world: World, page: Page) -> None:
    page.goto(f"{world.url}/oauth2/callback/cognito?code=x&state=y")


def _not_here(world: World, page: Page) -> None:
    page.goto(f"{world.url}/assets/nothing")


def _asked(world: World, page: Page) -> None:
    page.goto(f"data:text/html,<a href='{world.url}/oauth2/logout/cognito'>out</a>")
    page.get_by_role("link").click()
    page.get_by_role("heading", name="Sign out?").wait_for()


PAGES = {
    "signed out": _signed_out,
    "over": _over,
    "cognito": _cognito,
    "uma": _home("uma"),
    "nobody": _home("nobody"),
    "problem": _problem,
    "not here": _not_here,
    "asked": _asked,
}


@pytest.mark.parametrize("name", PAGES)
def test_accessibility(world: World, person: Person, name: str) -> None:
    """axe-core finds nothing, in light or dark, on a desktop or a phone; nothing scrolls sideways."""
    page = person.tab()
    PAGES[name](world, page)
    looks: tuple[tuple[ViewportSize, Literal["light", "dark"]], ...] = ((DESKTOP, "light"), (PHONE, "dark"))
    for size, scheme in looks:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        assert chromium.violations(page) == [], (size, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


# ------------------------------------------------------------------------------------------ other sites


SITES = ["localhost", "127.0.0.1"]  # the same site as the gateway's, and another
FORMS = {
    "sign-out": '<form method="post" action="{url}/oauth2/logout/cognito"><button>go</button></form>',
    "session": (
        '<form method="post" enctype="text/plain" action="{url}/session">'
        '<input name=\'{{"id_token":"x","a":"\' value=\'"}}\'><button>go</button></form>'
    ),
    "call": (
        '<form method="post" enctype="text/plain" action="{url}/currenttime/mcp">'
        '<input name=\'{{"jsonrpc":"2.0","id":1,"method":"tools/list","a":"\' value=\'"}}\'><button>go</button></form>'
    ),
}


@pytest.mark.parametrize("host", SITES)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_another_page(
    world: World, person: Person, elsewhere: Elsewhere, form: str, host: str
) -> None:
    """What another page's form sends in the person's name is refused, and changes nothing."""
    session = world.enter(person)
    page = person.tab()
    elsewhere.body = FORMS[form].format(url=world.url)
    page.goto(elsewhere.at(host))
    with page.expect_response(lambda response: response.request.method == "POST") as answered:
        page.get_by_role("button").click()
    assert (answered.value.status, answered.value.headers["x-auth-error"]) == (403, "ORIGIN_MISMATCH")
    assert world.call(session).status_code == 200


FETCH = """async ([url, method, mode]) => {
  try { return (await fetch(url, {method, mode, credentials: "include"})).type; } catch { return "stopped"; }
}"""


def test_a_script_of_another_page(world: World, person: Person, elsewhere: Elsewhere) -> None:
    """A script that the person's cookie goes along with can neither read nor end the session, nor call."""
    session = world.enter(person)
    page = person.tab()
    elsewhere.body = ""
    page.goto(elsewhere.at("localhost"))
    for path in ("/session", "/", "/currenttime/mcp", "/oauth2/logout/cognito"):
        for method in ("GET", "POST", "DELETE"):
            assert page.evaluate(FETCH, [f"{world.url}{path}", method, "cors"]) == "stopped"
        # Sent without a question before, with the cookie: what comes back cannot be read.
        assert page.evaluate(FETCH, [f"{world.url}{path}", "POST", "no-cors"]) in {"opaque", "stopped"}
    assert world.call(session).status_code == 200
    page.goto(world.url)
    assert world.known(page)
    person.complaints.clear()  # the browser's own, of what it stopped


@pytest.mark.parametrize("host", SITES)
def test_a_frame_of_another_page(world: World, person: Person, elsewhere: Elsewhere, host: str) -> None:
    """No page of the gateway shows up in a frame, where clicks could be stolen."""
    world.enter(person)
    page = person.tab()
    elsewhere.body = f'<iframe src="{world.url}/"></iframe>'
    page.goto(elsewhere.at(host))
    frame = page.frames[1]
    frame.wait_for_load_state()
    assert frame.url == "chrome-error://chromewebdata/"
    person.complaints.clear()  # the browser's own


@pytest.mark.parametrize("host", SITES)
def test_a_link_on_another_page(world: World, person: Person, elsewhere: Elsewhere, host: str) -> None:
    """Who follows a link from elsewhere is still signed in: the cookie is Lax, not Strict."""
    world.enter(person)
    page = person.tab()
    elsewhere.body = f'<a href="{world.url}/">in</a>'
    page.goto(elsewhere.at(host))
    page.get_by_role("link").click()
    assert world.known(page)
