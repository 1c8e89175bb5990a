"""The gateway's own pages through nginx: what is answered where no page is, and attacks on signing in."""

from __future__ import annotations

import contextlib
import html
import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import httpx
import pytest
from support import raw
from support.vectors import open_redirects
from support.waiting import until

from auth_server.identity import session_cookie
from auth_server.oauth import sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.demo import Demo

LOGIN = "/oauth2/login/cognito"
CALLBACK = "/oauth2/callback/cognito"
LOGOUT = "/oauth2/logout/cognito"
SESSION = "mcp_gateway_session"
PERSON = {"Accept": "text/html"}
OTHER_KEY = "oTh3r-K3y-0f-An0ther-D3pl0yment-zQ8xW2vN5mB7"
EVIL = [
    "https://evil.example",
    "null",
    "http://localhost",
    "http://localhost:1",
    "http://LOCALHOST.evil.example",
]


@dataclass
class Visitor:
    """A browser that follows nothing by itself."""

    demo: Demo
    http: httpx.Client

    def get(self, url: str, **headers: str) -> httpx.Response:
        """Open an address as a person does."""
        return self.http.get(urljoin(self.demo.base_url, url), headers=PERSON | headers)

    def begin(self, redirect: str = "/") -> str:
        """Start to sign in; return Cognito's address."""
        response = self.get(f"{LOGIN}?{urlencode({'redirect': redirect})}")
        assert response.status_code == 302, response.text
        return response.headers["location"]

    def at_cognito(self, address: str, user: str = "uma") -> str:
        """Sign in there, unless one is, and return the address that leads back."""
        response = self.get(address)
        while (location := response.headers.get("location")) is not None:
            address = urljoin(address, location)
            if urlsplit(address).path == CALLBACK:  # in containers, the pool is at the gateway's own address
                return address
            response = self.get(address)
        token = re.search(r'name="_csrf" value="([^"]*)"', response.text)
        assert token is not None
        fields = {"_csrf": html.unescape(token[1]), "username": user, "password": self.demo.password(user)}
        answer = self.http.post(address, data=fields | {"action": "sign-in"})
        return str(answer.headers["location"])

    def sign_in(self, user: str = "uma", redirect: str = "/") -> httpx.Response:
        """Go the whole way."""
        return self.get(self.at_cognito(self.begin(redirect), user))

    @property
    def session(self) -> str:
        """The session's cookie; empty without one."""
        return self.http.cookies.get(SESSION) or ""

    def call(self, cookie: str = "", **headers: str) -> httpx.Response:
        """Call a tool with the cookie, and nothing else that says who calls."""
        given = {"Accept": "application/json, text/event-stream", **headers}
        given["Cookie"] = cookie or f"{SESSION}={self.session}"
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        return httpx.post(
            f"{self.demo.base_url}/currenttime/mcp", json=message, headers=given, trust_env=False
        )

    def who(self, cookie: str) -> str:
        """Return who the gateway says this cookie is, or the error's code."""
        given = {"Cookie": cookie}
        answer = httpx.get(f"{self.demo.base_url}/session", headers=given, trust_env=False)
        return str(answer.json().get("username") or answer.headers["x-auth-error"])


@contextlib.contextmanager
def visiting(demo: Demo) -> Iterator[Visitor]:
    with httpx.Client(trust_env=False) as http:
        yield Visitor(demo, http)


@pytest.fixture
def uma(demo: Demo) -> Iterator[Visitor]:
    with visiting(demo) as visitor:
        yield visitor


@pytest.fixture
def eve(demo: Demo) -> Iterator[Visitor]:
    with visiting(demo) as visitor:
        yield visitor


def refused(response: httpx.Response, status: int, code: str) -> None:
    """Check the contract's error, as JSON or as a page, and that no session comes with it."""
    assert (response.status_code, response.headers["x-auth-error"]) == (status, code), response.text
    assert response.headers["cache-control"] == "no-store"
    assert f"{SESSION}=e" not in response.headers.get("set-cookie", "")
    if response.request.method == "HEAD":
        assert response.content == b""
    elif response.headers["content-type"] == "application/json":
        assert response.json()["success"] is False
        assert response.json()["error"]["details"]["error_code"] == code
        assert len(response.json()["error"]["request_id"]) == 32
    else:
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert code in response.text


# --------------------------------------------------------------------------------- where there is no page


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/", 405, "REQUEST_INVALID"),
        ("DELETE", "/", 405, "REQUEST_INVALID"),
        ("PUT", "/", 405, "REQUEST_INVALID"),
        ("BREW", "/", 405, "REQUEST_INVALID"),
        ("POST", LOGIN, 405, "REQUEST_INVALID"),
        ("POST", CALLBACK, 405, "REQUEST_INVALID"),
        ("DELETE", LOGOUT, 405, "REQUEST_INVALID"),
        ("OPTIONS", "/session", 405, "REQUEST_INVALID"),
        ("POST", "/assets/x/gateway.css", 405, "REQUEST_INVALID"),
        ("GET", "/assets/", 404, "REQUEST_INVALID"),
        ("GET", "/assets/x", 404, "REQUEST_INVALID"),
        ("HEAD", "/assets/x/y/z", 404, "REQUEST_INVALID"),
        ("HEAD", "/session", 401, "TOKEN_MISSING"),
        ("GET", CALLBACK, 400, "REQUEST_INVALID"),
    ],
)
def test_where_there_is_no_page(
    uma: Visitor, method: str, path: str, status: int, code: str, accept: str
) -> None:
    """Programs get the contract's error, people that or a page, whatever the method."""
    response = uma.http.request(method, f"{uma.demo.base_url}{path}", headers={"Accept": accept})
    refused(response, status, code)
    if status == 405:
        assert "GET" in response.headers["allow"]


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/validate", "/metrics", "/gateway/validate", "/session/x"]
)
def test_what_is_inside_stays_inside(uma: Visitor, path: str) -> None:
    """Of the sidecar's own paths, nginx passes on those of the pages alone."""
    answer = uma.http.get(f"{uma.demo.base_url}{path}")
    assert answer.status_code in {401, 403, 404}
    assert answer.json()["success"] is False


def test_only_the_head(uma: Visitor) -> None:
    """HEAD is answered as GET is, without a body."""
    uma.sign_in()
    for path in ("/", "/session"):
        get, head = (uma.http.request(method, f"{uma.demo.base_url}{path}") for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")


# ---------------------------------------------------------------------------------------- open redirects


def kept(visitor: Visitor, query: bytes) -> str:
    """Start to sign in with this query, as it is, and return the target that the browser's cookie holds."""
    target = LOGIN.encode() + b"?redirect=" + query
    answer = raw.exchange(
        ("127.0.0.1", urlsplit(visitor.demo.base_url).port or 80),
        raw.request(
            "GET", target, [("Host", urlsplit(visitor.demo.base_url).netloc), ("Accept", "text/html")], b""
        ),
        method="GET",
    )
    if answer.status != 302:
        assert answer.status == 400
        return "/"
    state = parse_qs(urlsplit(answer.header("Location") or "").query)["state"][0]
    name, _, value = (answer.header("Set-Cookie") or "").partition(";")[0].partition("=")
    found = sign_in.find(state, [(name, value)], [visitor.demo.secret_key], secure=False, now=time.time())
    assert found is not None
    return found.target


def test_every_known_open_redirect(uma: Visitor) -> None:
    """No line of oauth2-proxy's list is where one comes back to: neither as it stands nor encoded."""
    lines = [line.encode("utf-8", "surrogateescape") for line in open_redirects() if line]
    assert len(lines) > 500
    led = {line: found for line in lines if (found := kept(uma, quote(line, safe="").encode())) != "/"}
    assert led == {}
    plain = [line for line in lines if re.fullmatch(rb"[!-\"$-~]+", line)]  # what a request's line can hold
    assert len(plain) > 300
    for line in plain:
        assert kept(uma, line) == "/", line


OWN_FORMS = [
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "/%2f%2fevil.example",
    "/%255c%255cevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/currenttime/..//evil.example",
    "///evil.example/%2f..",
    "http://localhost@evil.example/",
    "{url}@evil.example/",
    "{url}.evil.example/",
    "{url}\\@evil.example",
    "{url}//evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "\uff0f\uff0fevil.example",
    "/\u2028/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/\x00//evil.example",
]


@pytest.mark.parametrize("form", OWN_FORMS)
def test_no_open_redirect(uma: Visitor, form: str) -> None:
    """Gone the whole way, each form of our own ends at the start page."""
    response = uma.sign_in(redirect=form.format(url=uma.demo.base_url))
    assert (response.status_code, response.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "path", ["//evil.example/mcp", "/currenttime//evil.example", "/currenttime/%5Cevil.example"]
)
def test_a_deep_link_that_leads_away(uma: Visitor, path: str) -> None:
    """An address that nginx sends to the sign-in leads back to this gateway, or is refused at once."""
    response = uma.get(f"{uma.demo.base_url}{path}")
    if response.status_code != 302:
        assert response.status_code in {400, 404}
        return
    back = uma.get(uma.at_cognito(uma.get(response.headers["location"]).headers["location"]))
    assert back.headers["location"] == "/"


# ---------------------------------------------------------------------------------------------- attacks


def test_login_csrf(uma: Visitor, eve: Visitor) -> None:
    """A callback that somebody prepared signs nobody else in."""
    prepared = eve.at_cognito(eve.begin(), "dev")
    refused(uma.get(prepared), 400, "REQUEST_INVALID")
    assert uma.session == ""


def test_a_callback_played_back(uma: Visitor, eve: Visitor) -> None:
    """State and code count once, also for who has the sign-in's cookie."""
    back = uma.at_cognito(uma.begin())
    for cookie in uma.http.cookies.jar:
        if "sign_in" in cookie.name:
            eve.http.cookies.jar.set_cookie(cookie)
    assert uma.get(back).status_code == 303
    refused(eve.get(back), 400, "REQUEST_INVALID")
    assert eve.session == ""


def test_a_callback_of_another_issuer(uma: Visitor) -> None:
    """An answer that names another issuer is not exchanged; the code is still good for its owner."""
    back = uma.at_cognito(uma.begin())
    refused(uma.get(f"{back}&iss=https%3A%2F%2Fevil.example"), 400, "REQUEST_INVALID")
    assert uma.session == ""


def test_callbacks_mixed_up(uma: Visitor) -> None:
    """Codes of two tabs, swapped, sign nobody in."""
    uma.at_cognito(uma.begin())
    one, two = (parse_qs(urlsplit(uma.at_cognito(uma.begin(path))).query) for path in ("/a", "/b"))
    for code, state in ((one, two), (two, one)):
        refused(
            uma.get(f"{CALLBACK}?code={code['code'][0]}&state={state['state'][0]}"), 400, "REQUEST_INVALID"
        )
    assert uma.session == ""


def test_session_fixation(uma: Visitor, eve: Visitor) -> None:
    """A session that somebody planted is not the one after signing in, and is over, in every sidecar."""
    eve.sign_in("dev")
    planted = eve.session
    (cookie,) = [cookie for cookie in eve.http.cookies.jar if cookie.name == SESSION]
    uma.http.cookies.jar.set_cookie(cookie)
    assert uma.session == planted
    uma.sign_in()
    assert uma.who(f"{SESSION}={uma.session}") == "uma"
    # Who took the end of it knows at once; another replica, or worker, asks the store every second.
    ended = partial(eve.who, f"{SESSION}={planted}")
    until(lambda: {ended() for _ in range(4)} == {"REVOKED"}, "the planted session is over", seconds=5)


def test_cookies_in_each_others_place(uma: Visitor) -> None:
    """A sign-in's cookie opens nothing as a session, nor does a session finish a sign-in."""
    address = uma.begin()
    ((name, pending),) = uma.http.cookies.items()
    assert uma.who(f"{SESSION}={pending}") == "SESSION_INVALID"
    back = uma.at_cognito(address)
    session = session_cookie.mint(
        session_cookie.Session("uma", (), "s"), [uma.demo.secret_key], now=time.time()
    )
    uma.http.cookies.clear()
    refused(uma.get(back, Cookie=f"{name}={session}"), 400, "REQUEST_INVALID")


def test_cookies_of_another_deployment(uma: Visitor) -> None:
    """The same names under another key are nothing: neither a session nor a sign-in."""
    session = session_cookie.mint(
        session_cookie.Session("ada", ("mcp-registry-admin",), "s"), [OTHER_KEY], now=time.time()
    )
    assert uma.who(f"{SESSION}={session}") == "SESSION_INVALID"
    assert uma.call(f"{SESSION}={session}").headers["x-auth-error"] == "SESSION_INVALID"
    pending = sign_in.Pending.begin(bytes(96), "/", now=time.time())
    cookie = (
        f"{sign_in.cookie_name(pending.state, secure=False)}={pending.sealed([OTHER_KEY], now=time.time())}"
    )
    refused(uma.get(f"{CALLBACK}?code=x&state={pending.state}", Cookie=cookie), 400, "REQUEST_INVALID")


@pytest.mark.parametrize(
    ("ahead", "code"), [(20, "uma"), (3600, "SESSION_INVALID"), (-30_000, "SESSION_EXPIRED")]
)
def test_clocks(uma: Visitor, ahead: float, code: str) -> None:
    """A session of a clock that is a little ahead counts; one from the future or long ago does not."""
    cookie = session_cookie.mint(
        session_cookie.Session("uma", (), "s"), [uma.demo.secret_key], now=time.time() + ahead
    )
    assert uma.who(f"{SESSION}={cookie}") == code


def test_cookies_that_contradict(uma: Visitor) -> None:
    """Two sessions have no one reading, under one name or both; two times the same counts once."""
    uma.sign_in()
    one, two = uma.session, uma.demo.cookie("dev")
    host = f"__Host-{SESSION}"
    for contradiction in (f"{SESSION}={one}; {SESSION}={two}", f"{host}={one}; {SESSION}={two}"):
        assert uma.who(contradiction) == "REQUEST_INVALID"
        assert uma.call(contradiction).status_code == 400
    assert uma.who(f"{host}={one}") == uma.who(f"{host}={one}; {SESSION}={one}") == "uma"


# --------------------------------------------------------------------------------------------- other sites


@pytest.mark.parametrize("origin", EVIL)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", LOGOUT),
        ("POST", "/session"),
        ("DELETE", "/session"),
        ("POST", "/currenttime/mcp"),
        ("DELETE", "/currenttime/mcp"),
        ("GET", "/currenttime/mcp"),
    ],
)
def test_another_origin(uma: Visitor, method: str, path: str, origin: str) -> None:
    """What a page of another origin sends with the person's cookie is refused, and changes nothing."""
    cookie = f"{SESSION}={uma.demo.cookie('uma')}"
    headers = {"Cookie": cookie, "Origin": origin, "Content-Type": "application/json"}
    content = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}' if method == "POST" else None
    answer = uma.http.request(method, f"{uma.demo.base_url}{path}", headers=headers, content=content)
    refused(answer, 403, "ORIGIN_MISMATCH")
    assert uma.who(cookie) == "uma"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("method", "path"), [("POST", LOGOUT), ("DELETE", "/session")])
def test_another_site_without_an_origin(uma: Visitor, method: str, path: str, site: str) -> None:
    """Where a browser leaves the origin out, it still says where the request is from."""
    cookie = f"{SESSION}={uma.demo.cookie('uma')}"
    headers = {"Cookie": cookie, "Sec-Fetch-Site": site}
    refused(uma.http.request(method, f"{uma.demo.base_url}{path}", headers=headers), 403, "ORIGIN_MISMATCH")


def test_the_own_origin(uma: Visitor) -> None:
    """The gateway's own pages, and programs, are not stopped."""
    for headers in ({"Origin": uma.demo.base_url}, {}):
        assert uma.call(f"{SESSION}={uma.demo.cookie('uma')}", **headers).status_code != 403


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "Forwarded", "X-Original-URI"]
)
def test_headers_of_other_proxies(uma: Visitor, name: str) -> None:
    """A client's own word on where it came from steers neither redirects nor cookies."""
    response = uma.get(LOGIN, **{name: "evil.example"})
    assert urlsplit(response.headers["location"]).netloc == urlsplit(uma.begin()).netloc
    assert "evil" not in str(response.headers)


def test_another_host(uma: Visitor) -> None:
    """A Host that is not the gateway's is refused before any page is made."""
    answer: Any = uma.http.get(f"{uma.demo.base_url}/", headers={"Host": "evil.example"})
    assert answer.status_code == 421
