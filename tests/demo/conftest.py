"""A real stand-in on a real port, with a clock that tests can turn, and helpers to talk to it."""

import base64
import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from support.asgi_server import Stage, serving
from support.key_rings import key_ring
from support.plain_http import NO_CERTIFICATES

from auth_server.demo.cognito import (
    AppClient,
    Directory,
    Flow,
    KeyRing,
    Pool,
    ResourceServer,
    User,
    create_app,
)

POOL = "us-east-1_Test00001"
CALLBACK = "http://localhost:8080/oauth2/callback/cognito"
NOW = 1_800_000_000


@dataclass
class Clock:
    """A clock that stands still until a test turns it."""

    now: float = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class Pkce:
    """A code verifier and its S256 challenge (RFC 7636)."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        """BASE64URL(SHA256(verifier))."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Inputs(HTMLParser):
    """The input elements of a page, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect an input."""
        given = dict(attrs)
        if tag == "input" and given.get("name"):
            self.values[str(given["name"])] = given.get("value") or ""


def inputs(page: httpx.Response) -> dict[str, str]:
    """Return the form fields of a page."""
    parser = Inputs()
    parser.feed(page.text)
    return parser.values


def answer_of(response: httpx.Response) -> dict[str, str]:
    """Return what a redirect brings to the client."""
    assert response.status_code == 302, response.text
    return {name: value for name, (value,) in parse_qs(urlsplit(response.headers["location"]).query).items()}


@dataclass
class StandIn:
    """The running stand-in as a client sees it."""

    base: str
    app: Starlette
    clock: Clock
    http: httpx.Client
    pool: str = POOL

    @property
    def issuer(self) -> str:
        """The issuer of the test's pool."""
        return f"{self.base}/{self.pool}"

    @property
    def keys(self) -> KeyRing:
        """The private keys."""
        keys = self.app.state.keys
        assert isinstance(keys, KeyRing)
        return keys

    def token(self, auth: tuple[str, str] | None = None, /, **form: str) -> httpx.Response:
        """Call the token endpoint."""
        return self.post("token", form, auth)

    def post(self, endpoint: str, form: dict[str, str], auth: tuple[str, str] | None) -> httpx.Response:
        """Post a form as a client does, with Basic authentication or without."""
        basic = httpx.BasicAuth(*auth) if auth else httpx.Auth()
        return self.http.post(f"{self.issuer}/oauth2/{endpoint}", data=form, auth=basic)

    def authorize(self, pkce: Pkce, **changed: str | None) -> httpx.Response:
        """Ask for a code; a parameter given as None is left out."""
        asked = {
            "response_type": "code",
            "client_id": "web",
            "redirect_uri": CALLBACK,
            "state": "the state",
            "nonce": "the nonce",
            "scope": "openid email",
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        } | changed
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return self.http.get(f"{self.issuer}/oauth2/authorize?{query}")

    def form(self, pkce: Pkce, **changed: str | None) -> httpx.Response:
        """Follow authorize to the sign-in page."""
        to_login = self.authorize(pkce, **changed)
        assert to_login.next_request is not None, to_login.text
        return self.http.get(to_login.next_request.url)

    def submit(
        self, page: httpx.Response, username: str, password: str, action: str = "sign-in"
    ) -> httpx.Response:
        """Fill in the sign-in page as a browser does."""
        fields = inputs(page) | {"username": username, "password": password, "action": action}
        return self.http.post(page.url, data=fields)

    def code(self, pkce: Pkce, username: str = "uma", **changed: str | None) -> str:
        """Sign somebody in and return the code."""
        return answer_of(self.submit(self.form(pkce, **changed), username, f"{username}'s password"))["code"]

    def exchange(self, code: str, pkce: Pkce, /, **changed: str) -> httpx.Response:
        """Exchange a code as the client `web`."""
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": pkce.verifier} | changed
        return self.token(("web", "web+secret/%"), grant_type="authorization_code", **form)

    def user_tokens(self, username: str = "uma", **changed: str | None) -> dict[str, Any]:
        """Sign somebody in and return the token answer."""
        pkce = Pkce()
        answer = self.exchange(self.code(pkce, username, **changed), pkce)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def verified(self, token: str, audience: str | None = None) -> dict[str, Any]:
        """Verify with plain PyJWT against the served JWKS, as anybody would; time is the test's clock."""
        served = jwt.PyJWKSet.from_dict(self.http.get(f"{self.issuer}/.well-known/jwks.json").json())
        key = served[jwt.get_unverified_header(token)["kid"]]
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "strict_aud": True}
        if audience is None:
            options["verify_aud"] = False
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], issuer=self.issuer, audience=audience, options=options
        )
        return claims


def directory() -> Directory:
    """Return a pool with one client of each kind."""
    web = frozenset({Flow.CODE, Flow.REFRESH_TOKEN, Flow.USER_PASSWORD})
    sign_in = ("openid", "email", "profile")
    pool = Pool(
        id=POOL,
        resource_servers=(ResourceServer("tools", ("read", "write")),),
        clients=(
            AppClient(
                id="agent",
                secret="agent secret",
                flows=frozenset({Flow.CLIENT_CREDENTIALS}),
                scopes=("tools/read", "tools/write"),
            ),
            AppClient(
                id="web",
                secret="web+secret/%",
                flows=web,
                scopes=sign_in,
                callback_urls=(CALLBACK, "http://localhost:9090/callback?from=cognito"),
                logout_urls=("http://localhost:8080/",),
            ),
            AppClient(
                id="rotating",
                secret="rotating secret",
                flows=web,
                scopes=sign_in,
                callback_urls=(CALLBACK,),
                rotate_refresh_tokens=True,
            ),
            AppClient(id="cli", flows=web, scopes=sign_in, callback_urls=("http://localhost:9090/callback",)),
            AppClient(id="no-flow", flows=frozenset(), scopes=("openid",), callback_urls=(CALLBACK,)),
        ),
        users=(
            User("uma", "uma's password", "uma@example.com", ("users", "a, group with commas")),
            User("nobody", "nobody's password", "nobody@example.com", email_verified=False),
        ),
    )
    return Directory((pool,))


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Start the server."""
    stage = Stage()
    with serving(lambda _base: stage) as stage.base:
        yield stage


@pytest.fixture
def stand_in(stage: Stage) -> Iterator[StandIn]:
    """Put up a stand-in of its own for the test, with a browser that keeps cookies."""
    clock = Clock()
    app = create_app(directory(), issuer_base=stage.base, clock=clock, keys=key_ring(POOL))
    stage.app = app
    with httpx.Client(trust_env=False, verify=NO_CERTIFICATES) as http:
        yield StandIn(stage.base, app, clock, http)
