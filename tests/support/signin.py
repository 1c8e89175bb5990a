"""Signing in for real: the sidecar on uvicorn, the stand-in Cognito on another, and a browser between them.

The gateway's public address is not where the sidecar listens: the browser goes there all the same, as nginx
would take it. The stand-in can answer what a good Cognito never would.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import re
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from auth_server.demo.cognito import KeyRing, create_app
from auth_server.demo.cognito.directory import AppClient, Directory, Flow, Pool, ResourceServer, User
from support.cli import serving
from support.sidecar import UNSET, Sidecar, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

GATEWAY = "http://gw.localhost:8080"
POOL = "us-east-1_Web000000"
CLIENT = "web"
# Every character that two readings of Basic could differ in, but the plus sign.
SECRET = "s%2B/&=;:x%s"
LOGIN = "/oauth2/login/cognito"
LOGOUT = "/oauth2/logout/cognito"
CALLBACK = "/oauth2/callback/cognito"
# More than a cookie holds, and of a kind that cannot be compressed.
MANY_GROUPS = tuple(hashlib.sha256(bytes([n])).hexdigest() for n in range(120))
PERSON = {"accept": "text/html,application/xhtml+xml"}

Tamper = dict[str, Any]


@dataclass
class Cognito:
    """The stand-in: its address, its clock, and what it changes in the next tokens' claims and answers."""

    base: str = ""
    ahead: float = 0
    id_claims: Tamper = field(default_factory=dict)
    answer: Tamper = field(default_factory=dict)
    status: int = 200
    has_discovery: bool = True
    is_down: bool = False
    turned_away: int = 0
    service: Any = None
    requests: list[dict[str, list[str]]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """The pool's issuer."""
        return f"{self.base}/{POOL}"

    def settings(self, **changes: str) -> dict[str, str]:
        """Return what a sidecar needs to sign people in here."""
        return {
            "COGNITO_USER_POOL_ID": POOL,
            "COGNITO_ISSUER": self.issuer,
            "COGNITO_JWKS_URL": UNSET,
            "COGNITO_CLIENT_ID": CLIENT,
            "COGNITO_CLIENT_SECRET": SECRET,
            "COGNITO_ALLOWED_CLIENT_IDS": "agent",
            "GATEWAY_URL": GATEWAY,
        } | changes

    def change(self, username: str, **changes: Any) -> None:
        """Change a user, as an administrator does; with `absent=True`, take them away."""
        self.service.directory = self.service.directory.changed(POOL, username, **changes)

    def sign(self, kind: str = "id", **changes: Any) -> str:
        """Sign a user's token as the pool does; a claim given as None is left out."""
        now = int(time.time())
        own = {"aud": CLIENT, "cognito:username": "uma", "email": "uma@example.com"}
        if kind == "access":
            own = {"client_id": CLIENT, "username": "uma", "scope": "openid"}
        claims = {
            "sub": "0f1e2d3c",
            "iss": self.issuer,
            "token_use": kind,
            "cognito:groups": ["readers"],
            "jti": "jti-1",
            "iat": now,
            "exp": now + 600,
            **own,
            **changes,
        }
        signer = getattr(_keys().current(POOL), kind)
        signed: str = signer.sign({name: value for name, value in claims.items() if value is not None})
        return signed


@contextlib.asynccontextmanager
async def signing_in(folder: Path, **changes: str) -> AsyncIterator[Stage]:
    """Run both."""
    cognito = Cognito()
    gateway = changes.get("GATEWAY_URL", GATEWAY)
    with serving(lambda base: _tampered(cognito, base, gateway)) as cognito.base:
        settings = {"REVOCATION_URL": f"sqlite://{folder}/revocations.sqlite"} | cognito.settings(**changes)
        async with running(folder, **settings) as sidecar:
            yield Stage(cognito, sidecar, gateway)


@dataclass
class Stage:
    """Everything that takes part."""

    cognito: Cognito
    sidecar: Sidecar
    gateway: str

    def browser(self) -> Browser:
        """Return a new browser."""
        return Browser(self)

    async def validate(self, cookie: str) -> str:
        """Return what `/validate` says of a session's cookie: its user, or the error's code."""
        host = urlsplit(self.gateway).netloc
        response = await self.sidecar.ask(cookie=f"mcp_gateway_session={cookie}", server="notes", host=host)
        return response.headers.get("x-username") or str(response.headers["x-auth-error"])


@dataclass
class Browser:
    """Keeps cookies by origin, and follows redirects one at a time, so that a test can step in between."""

    stage: Stage
    jars: dict[str, dict[str, str]] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that this browser has for the gateway."""
        return self.jars.setdefault(self.stage.gateway, {})

    @property
    def session(self) -> str:
        """The session cookie's value; empty where there is none."""
        return self.cookies.get("mcp_gateway_session") or self.cookies.get("__Host-mcp_gateway_session", "")

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """Visit an address, or a path of the gateway."""
        return await self.send("GET", url, headers=PERSON | headers)

    async def send(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send one request, with this browser's cookies, and keep those that come back."""
        url = urljoin(self.stage.gateway, url)
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        given = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if jar := self.jars.setdefault(origin, {}):
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if origin == self.stage.gateway:
            given = {"host": parts.netloc, "x-request-id": "request-7"} | given
            url = f"{self.stage.sidecar.client.base_url}".rstrip("/") + url.removeprefix(origin)
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.request(method, url, headers=given, **options)
        for line in response.headers.get_list("set-cookie"):
            self._keep(jar, line)
        response.extensions["origin"] = origin
        return response

    async def begin(self, redirect: str = "/") -> str:
        """Start to sign in, and return Cognito's address."""
        response = await self.send("GET", LOGIN, params={"redirect": redirect}, headers=PERSON)
        assert response.status_code == 302, response.text
        address = response.headers["location"]
        assert address.startswith(self.stage.cognito.issuer)
        return str(address)

    async def at_cognito(self, address: str, username: str = "uma", **form: str) -> str:
        """Sign in at Cognito, unless one is, and return the address that it sends the browser back to."""
        response = await self.get(address)
        while (location := response.headers.get("location")) is not None:
            address = urljoin(address, location)
            if not address.startswith(self.stage.cognito.base):
                return address
            response = await self.get(address)
        token = re.search(r'name="_csrf" value="([^"]*)"', response.text)
        assert token is not None, response.text
        fields = {
            "_csrf": html.unescape(token[1]),
            "username": username,
            "password": f"{username}'s password",
        }
        fields |= {"action": "sign-in"} | form
        response = await self.send("POST", address, data=fields)
        return str(response.headers["location"])

    async def sign_in(self, username: str = "uma", redirect: str = "/") -> httpx.Response:
        """Sign in all the way, and return the callback's answer."""
        return await self.get(await self.at_cognito(await self.begin(redirect), username))

    def _keep(self, jar: dict[str, str], line: str) -> None:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            jar.pop(name, None)
        else:
            jar[name] = value.strip('"')
            self.attributes[name] = "; ".join(sorted(attributes))


def query_of(address: str) -> dict[str, str]:
    """Return the parameters of an address, none of which comes twice."""
    return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}


def _directory(gateway: str) -> Directory:
    flows = frozenset({Flow.CODE, Flow.REFRESH_TOKEN})
    pool = Pool(
        id=POOL,
        resource_servers=(ResourceServer("mcp", ("read",)),),
        clients=(
            AppClient(
                id=CLIENT,
                secret=SECRET,
                flows=flows,
                scopes=("openid", "email"),
                callback_urls=(f"{gateway}{CALLBACK}",),
                logout_urls=(f"{gateway}/",),
                rotate_refresh_tokens=True,
            ),
            AppClient(
                id="public",
                flows=flows,
                scopes=("openid",),
                callback_urls=(f"{gateway}{CALLBACK}",),
                logout_urls=(f"{gateway}/",),
            ),
        ),
        users=(
            User("uma", "uma's password", "uma@example.com", ("readers",)),
            User("eve", "eve's password", "eve@example.com", ("readers",)),
            User(
                "<script>alert(1)</script>", "<script>alert(1)</script>'s password", "x@y.z", ('"><b>', "ü,ö")
            ),
            User("many", "many's password", "m@y.z", MANY_GROUPS),
        ),
    )
    return Directory((pool,))


def _tampered(cognito: Cognito, base: str, gateway: str) -> ASGIApp:
    app = create_app(
        _directory(gateway),
        issuer_base=base,
        keys=KeyRing({POOL: _keys().current(POOL)}),
        clock=lambda: time.time() + cognito.ahead,
    )

    cognito.service = app.state.service

    async def tampering(scope: Scope, receive: Receive, send: Send) -> None:
        if cognito.is_down:
            cognito.turned_away += 1
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if not cognito.has_discovery and scope["path"].endswith("/openid-configuration"):
            scope = {**scope, "path": "/away"}
        if scope["type"] != "http" or not scope["path"].endswith("/oauth2/token"):
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        cognito.authorizations.append(headers.get(b"authorization", b"").decode())

        async def recording() -> Message:
            message = await receive()
            cognito.requests.append(parse_qs(message.get("body", b"").decode()))
            return message

        await app(scope, recording, _changing(cognito, send))

    return tampering


def _changing(cognito: Cognito, send: Send) -> Callable[[Message], Any]:
    start: Message = {}

    async def change(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body = message["body"]
        answer = httpx.Response(200, content=body).json()
        if start["status"] == 200:
            answer = _answer(cognito, answer)
        content = httpx.Request("POST", "http://x", json=answer).content
        status = cognito.status if cognito.status != 200 else start["status"]
        length = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": length})
        await send({"type": "http.response.body", "body": content})

    return change


def _answer(cognito: Cognito, answer: dict[str, Any]) -> dict[str, Any]:
    if cognito.id_claims:
        payload = httpx.Response(200, content=_payload(answer["id_token"])).json() | cognito.id_claims
        kept = {name: value for name, value in payload.items() if value is not None}
        answer["id_token"] = _keys().current(POOL).id.sign(kept)
    changed = answer | cognito.answer
    return {name: value for name, value in changed.items() if value is not None}


def _payload(token: str) -> bytes:
    from auth_server.identity.jws import decode_base64url

    return decode_base64url(token.split(".")[1])


@cache
def _keys() -> KeyRing:
    return KeyRing.generate([POOL])
