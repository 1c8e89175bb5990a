"""The auth plug-ins, with the HTTP libraries they plug into, a real Cognito and a real door."""

import asyncio
import base64
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.types import Receive, Scope, Send
from support.asgi_server import Stage, read_body, serving
from support.demo_pool import AGENT_SECRET
from support.key_rings import key_ring
from support.repository import ROOT
from support.waiting import eventually

from auth_server.client import CognitoAuthenticationError, CognitoClientCredentials
from auth_server.demo.cognito import create_app
from auth_server.demo.directory import POOL_ID, demo_directory
from auth_server.errors import ConfigurationError
from auth_server.oauth import cognito

READ = "mcp-servers-restricted/read"
CALLERS = 50


@dataclass
class Pool:
    """A stand-in for Cognito that counts its tokens, and can be made slow, short-lived or silent."""

    app: Any
    base: str = ""
    asked: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    broken: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not scope["path"].endswith("/oauth2/token"):
            await self.app(scope, receive, send)
            return
        body = await read_body(receive)
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.asked.append((form, {k.decode(): v.decode() for k, v in scope["headers"]}))
        await asyncio.to_thread(self.open.wait)
        if self.broken:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"down for maintenance"})
            return

        async def replay() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    @property
    def issuer(self) -> str:
        """The pool's issuer."""
        return f"{self.base}/{POOL_ID}"

    def credentials(self, **changes: Any) -> CognitoClientCredentials:
        """Return those of the demo's agent."""
        given: dict[str, Any] = {"client_id": "demo-agent", "client_secret": AGENT_SECRET}
        given |= {"token_url": f"{self.issuer}/oauth2/token"} | changes
        return CognitoClientCredentials(**given)


@dataclass
class Door:
    """A server that lets in whom `welcome` says, and keeps who came with what."""

    base: str = ""
    welcome: Callable[[str], bool] = bool
    came: list[tuple[str, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 200 or 401."""
        body = await read_body(receive)
        who = dict(scope["headers"]).get(b"authorization", b"").decode()
        self.came.append((who, body))
        status = 200 if self.welcome(who) else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": who.encode()})

    @property
    def tokens(self) -> list[str]:
        """What came, each once, in order."""
        return list(dict.fromkeys(who for who, _ in self.came))


@dataclass
class Clock:
    """A clock that stands still until a test turns it."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture(scope="module")
def stages() -> Iterator[tuple[Stage, Stage]]:
    """Start the servers."""
    first, second = Stage(), Stage()
    with serving(lambda _base: first) as first.base, serving(lambda _base: second) as second.base:
        yield first, second


@pytest.fixture
def pool(stages: tuple[Stage, Stage]) -> Iterator[Pool]:
    """Run a Cognito."""
    stage = stages[0]
    directory = demo_directory("http://localhost:8080", secrets={"demo-agent": AGENT_SECRET})
    app = create_app(directory, issuer_base=stage.base, keys=key_ring(POOL_ID))
    stage.app = found = Pool(app, stage.base)
    found.open.set()
    yield found
    found.open.set()


@pytest.fixture
def door(stages: tuple[Stage, Stage]) -> Door:
    """Run a door."""
    stages[1].app = found = Door(stages[1].base)
    return found


@pytest.fixture(params=["sync", "asyncio"])
def call(request: pytest.FixtureRequest, library: ModuleType) -> Callable[..., list[Any]]:
    """Return what POSTs so many requests at once, and gives the answers."""

    def sync(auth: Any, url: str, count: int = 1, **options: Any) -> list[Any]:
        start = threading.Barrier(count)

        def post(client: Any) -> Any:
            start.wait(10)
            return client.post(url, **options)

        with library.Client(auth=auth, trust_env=False) as client, ThreadPoolExecutor(count) as threads:
            return list(threads.map(post, [client] * count))

    def asynchronous(auth: Any, url: str, count: int = 1, **options: Any) -> list[Any]:
        async def post() -> list[Any]:
            async with library.AsyncClient(auth=auth, trust_env=False) as client:
                return list(await asyncio.gather(*(client.post(url, **options) for _ in range(count))))

        return asyncio.run(post())

    return sync if request.param == "sync" else asynchronous


def test_the_token_is_sent_and_kept(pool: Pool, door: Door, call: Callable[..., list[Any]]) -> None:
    """Requests one after another carry the same bearer token, fetched once."""
    auth = pool.credentials()
    for _ in range(3):
        assert [answer.status_code for answer in call(auth, door.base)] == [200]
    assert len(pool.asked) == 1
    assert len(door.tokens) == 1
    assert door.tokens[0].startswith("Bearer ey")


def test_many_callers_share_one_fetch(pool: Pool, door: Door, call: Callable[..., list[Any]]) -> None:
    """Fifty callers at once cause one token request, and all get in."""
    answers = call(pool.credentials(), door.base, CALLERS)
    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert len(pool.asked) == 1
    assert len(door.tokens) == 1


def test_threads_and_event_loops_share_one_fetch(pool: Pool) -> None:
    """One object serves sync threads and several event loops at the same time."""
    auth = pool.credentials()
    pool.open.clear()

    def several() -> list[str]:
        async def gather() -> list[str]:
            held = await asyncio.gather(*(auth.atoken() for _ in range(5)))
            return [each.access_token for each in held]

        return asyncio.run(gather())

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(several) for _ in range(4)]
        single = [threads.submit(auth.token) for _ in range(4)]
        pool.open.set()
        found = {token for each in waiting for token in each.result(10)}
        found |= {each.result(10).access_token for each in single}
    assert len(found) == len(pool.asked) == 1


def test_one_who_stops_waiting_stops_nobody_else(pool: Pool) -> None:
    """A cancelled caller leaves the fetch to the others."""
    auth = pool.credentials()
    pool.open.clear()

    async def run() -> None:
        impatient, patient = asyncio.create_task(auth.atoken()), asyncio.create_task(auth.atoken())
        await eventually(lambda: len(pool.asked) == 1)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        pool.open.set()
        assert (await patient).access_token

    asyncio.run(run())
    assert len(pool.asked) == 1


def test_a_token_is_renewed_shortly_before_its_end(pool: Pool) -> None:
    """A token of an hour is kept for 59 minutes."""
    clock = Clock()
    auth = pool.credentials(clock=clock)
    first = auth.token()
    clock.now += 3600 - 61
    assert auth.token() is first
    clock.now += 1
    assert auth.token().access_token != first.access_token
    assert len(pool.asked) == 2


@pytest.mark.parametrize(("says", "kept"), [(b', "expires_in": 100', 90), (b"", 270)])
def test_how_long_a_token_is_kept(says: bytes, kept: float) -> None:
    """A short life is used to nine tenths; where Cognito says none, its shortest is assumed."""
    asked = 0

    async def endpoint(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal asked
        asked += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"access_token": "a.b.c"' + says + b"}"})

    clock = Clock()
    with serving(lambda _base: endpoint) as base:
        auth = CognitoClientCredentials("agent", "secret", token_url=base, clock=clock)
        auth.token()
        clock.now += kept - 1
        auth.token()
        assert asked == 1
        clock.now += 1
        auth.token()
        assert asked == 2


def test_an_outage_at_renewal_is_survived(pool: Pool) -> None:
    """What cannot be renewed is used until it ends; then the error is told, and the next success counts."""
    clock = Clock()
    auth = pool.credentials(clock=clock)
    first = auth.token()
    pool.broken = True
    clock.now += 3600 - 1
    assert auth.token() is first
    clock.now += 1
    with pytest.raises(CognitoAuthenticationError, match="has status 503"):
        auth.token()
    pool.broken = False
    assert auth.token().access_token != first.access_token


def test_a_refused_token_is_replaced_once(pool: Pool, door: Door, call: Callable[..., list[Any]]) -> None:
    """After a 401 a new token is fetched and the same request sent again."""
    auth = pool.credentials()
    old = f"Bearer {auth.token().access_token}"
    door.welcome = lambda who: who != old
    (answer,) = call(auth, door.base, content=b"the call")
    assert answer.status_code == 200
    assert len(pool.asked) == 2
    assert [body for _, body in door.came] == [b"the call"] * 2
    (answer,) = call(auth, door.base)
    assert (answer.status_code, len(pool.asked)) == (200, 2)


def test_many_refused_callers_share_one_replacement(
    pool: Pool, door: Door, call: Callable[..., list[Any]]
) -> None:
    """Fifty 401s for one token cause one new token."""
    auth = pool.credentials()
    old = f"Bearer {auth.token().access_token}"
    door.welcome = lambda who: who != old
    answers = call(auth, door.base, CALLERS)
    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert len(pool.asked) == 2


def test_a_door_that_refuses_everything(pool: Pool, door: Door, call: Callable[..., list[Any]]) -> None:
    """The 401 is handed on after one replacement; further requests fetch no third token for a minute."""
    clock = Clock()
    auth = pool.credentials(clock=clock)
    door.welcome = lambda _who: False
    for _ in range(3):
        assert [answer.status_code for answer in call(auth, door.base)] == [401]
    assert len(pool.asked) == 2
    clock.now += 60
    assert [answer.status_code for answer in call(auth, door.base)] == [401]
    assert len(pool.asked) == 3


def test_a_replacement_that_was_accepted_can_be_replaced(
    pool: Pool, door: Door, call: Callable[..., list[Any]]
) -> None:
    """A second revocation is answered with a new token as the first was."""
    auth = pool.credentials()
    refused = {f"Bearer {auth.token().access_token}"}
    door.welcome = lambda who: who not in refused
    assert [answer.status_code for answer in call(auth, door.base)] == [200]
    refused.add(f"Bearer {auth.token().access_token}")
    assert [answer.status_code for answer in call(auth, door.base)] == [200]
    assert len(pool.asked) == 3


def test_only_a_401_is_a_refusal(pool: Pool, call: Callable[..., list[Any]]) -> None:
    """A 403 comes back as it is: another token would hold the same rights."""

    async def forbidding(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serving(lambda _base: forbidding) as base:
        (answer,) = call(pool.credentials(), base)
    assert (answer.status_code, len(pool.asked)) == (403, 1)


def test_a_body_that_comes_in_pieces_is_sent_again(pool: Pool, door: Door, library: ModuleType) -> None:
    """A generator's body is kept for the second attempt."""
    auth = pool.credentials()
    old = f"Bearer {auth.token().access_token}"
    door.welcome = lambda who: who != old
    with library.Client(auth=auth, trust_env=False) as client:
        assert client.post(door.base, content=iter([b"in ", b"pieces"])).status_code == 200
    assert [body for _, body in door.came] == [b"in pieces"] * 2


def test_the_bearer_token_stays_with_its_origin(pool: Pool, door: Door, library: ModuleType) -> None:
    """A redirect to another origin does not take the token along."""

    async def elsewhere(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"location", door.base.encode())]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    door.welcome = lambda _who: True
    with (
        serving(lambda _base: elsewhere) as base,
        library.Client(auth=pool.credentials(), trust_env=False, follow_redirects=True) as client,
    ):
        assert client.get(base).status_code == 200
    assert door.tokens == [""]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong-secret"}, "invalid_client"),
        ({"scopes": ["no/such"]}, "invalid_scope"),
    ],
)
def test_refusals_are_typed(
    pool: Pool, door: Door, call: Callable[..., list[Any]], changes: dict[str, Any], code: str
) -> None:
    """Cognito's error code is an attribute, and no request is sent without a token."""
    with pytest.raises(CognitoAuthenticationError) as caught:
        call(pool.credentials(**changes), door.base)
    assert caught.value.code == code
    assert code in str(caught.value)
    assert door.came == []


def test_each_waiting_caller_gets_an_error_of_its_own(pool: Pool) -> None:
    """A failed fetch fails all who waited for it, once; the next caller tries again."""
    auth = pool.credentials(client_secret="wrong-secret")

    async def run() -> list[Any]:
        return list(await asyncio.gather(*(auth.atoken() for _ in range(5)), return_exceptions=True))

    errors = asyncio.run(run())
    assert len({id(error) for error in errors}) == 5
    assert {error.code for error in errors} == {"invalid_client"}
    assert len(pool.asked) == 1
    with pytest.raises(CognitoAuthenticationError):
        auth.token()
    assert len(pool.asked) == 2


def test_an_endpoint_that_is_not_there() -> None:
    """A closed port is an error with the address and without a code."""
    auth = CognitoClientCredentials("agent", "s3cret", token_url="http://127.0.0.1:9/oauth2/token")
    with pytest.raises(CognitoAuthenticationError, match=r"127\.0\.0\.1:9.* cannot be reached") as caught:
        auth.token()
    assert caught.value.code == ""


def test_a_bug_reaches_who_waits(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is raised where the token was wanted, and blocks nothing after."""
    auth = pool.credentials()
    with monkeypatch.context() as patch:
        patch.delattr(cognito, "client_credentials")
        with pytest.raises(AttributeError):
            auth.token()
    assert auth.token().access_token


def test_secrets_are_in_no_text(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    """Neither secret nor token is in a repr, an error or the log."""
    with caplog.at_level(logging.DEBUG):
        auth = pool.credentials()
        held = auth.token()
        with pytest.raises(CognitoAuthenticationError) as caught:
            pool.credentials(client_secret="wr0ng-secret", scopes=["a/b"]).token()
    texts = [repr(auth), str(auth), repr(held), str(held), repr(caught.value), str(caught.value), caplog.text]
    for secret in (AGENT_SECRET, "wr0ng-secret", held.access_token):
        assert not any(secret in text for text in texts)
    assert "demo-agent" in repr(auth)


@pytest.mark.parametrize("secret", ["s+%2B/&=;:x%s+", "pl+us", "ünïcode é", "a:b%20c d"])
@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_secrets_survive_their_encoding(method: cognito.AuthMethod, secret: str) -> None:
    """In the form and in HTTP Basic (RFC 6749, section 2.3.1), the endpoint decodes what was given."""
    pool = Pool(None)
    pool.open.set()

    def app(base: str) -> Pool:
        directory = demo_directory("http://localhost:8080", secrets={"demo-agent": secret})
        pool.app = create_app(directory, issuer_base=base)
        return pool

    with serving(app) as pool.base:
        assert pool.credentials(client_secret=secret, auth_method=method).token().access_token
    form, headers = pool.asked[0]
    assert ("client_secret" in form) is (method == "client_secret_post")
    assert ("authorization" in headers) is (method == "client_secret_basic")
    if method == "client_secret_basic":
        pair = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
        assert pair.isascii()
        assert pair.count(":") == 1
    else:
        assert form["client_secret"] == secret


def test_scopes_are_asked_for(pool: Pool) -> None:
    """Scopes go along by space; without any, none are named."""
    pool.credentials(scopes=[READ]).token()
    pool.credentials().token()
    assert [form.get("scope") for form, _ in pool.asked] == [READ, None]


def test_the_endpoint_is_discovered_once(pool: Pool) -> None:
    """With the issuer alone, the token endpoint comes from the discovery document."""
    auth = pool.credentials(token_url="", issuers=[pool.issuer])
    assert pool.issuer in repr(auth)
    assert auth.token().access_token
    assert f"{pool.issuer}/oauth2/token" in repr(auth)


def test_credentials_from_the_environment(pool: Pool) -> None:
    """The settings of `auth-server token` are enough; mistakes in others do not matter."""
    environ = {
        "COGNITO_USER_POOL_ID": POOL_ID,
        "COGNITO_ISSUER": pool.issuer,
        "COGNITO_CLIENT_ID": "demo-agent",
        "COGNITO_CLIENT_SECRET": AGENT_SECRET,
        "JWKS_REFRESH": "soon",
    }
    assert CognitoClientCredentials.from_environ(environ, scopes=[READ]).token().access_token
    environ |= {"COGNITO_DOMAIN": pool.issuer.removesuffix(f"/{POOL_ID}")}
    assert "/oauth2/token" in repr(CognitoClientCredentials.from_environ(environ))


@pytest.mark.parametrize(
    ("environ", "places"),
    [
        ({}, ["COGNITO_USER_POOL_ID"]),
        ({"COGNITO_USER_POOL_ID": POOL_ID}, ["COGNITO_CLIENT_ID", "COGNITO_CLIENT_SECRET"]),
        ({"COGNITO_USER_POOL_ID": POOL_ID, "COGNITO_CLIENT_ID": "a"}, ["COGNITO_CLIENT_SECRET"]),
    ],
)
def test_what_is_missing_in_the_environment_is_said(environ: dict[str, str], places: list[str]) -> None:
    """Every missing setting is named."""
    with pytest.raises(ConfigurationError) as caught:
        CognitoClientCredentials.from_environ(environ)
    assert [mistake.place for mistake in caught.value.mistakes] == places


@pytest.mark.parametrize("empty", ["client_id", "client_secret", "token_url"])
def test_nothing_is_left_empty(pool: Pool, empty: str) -> None:
    """Without an id, a secret or an endpoint there is nothing to plug in."""
    with pytest.raises(ValueError, match="needs a client id"):
        pool.credentials(**{empty: ""})


def test_clear_text_to_another_machine_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The secret does not travel in the clear unnoticed."""

    async def answer(*_: object) -> cognito.MachineToken:
        return cognito.MachineToken("the.to.ken", 3600)

    monkeypatch.setattr(cognito, "client_credentials", answer)
    CognitoClientCredentials("agent", "s3cret", token_url="http://cognito.example/oauth2/token").token()
    assert "clear text" in caplog.text
    assert "s3cret" not in caplog.text


def test_httpx2_is_not_needed(pool: Pool, door: Door) -> None:
    """Where only httpx is installed, the plug-ins work with it."""
    script = (
        "import sys; sys.modules['httpx2'] = None\n"
        "import httpx\n"
        "from auth_server.client import CognitoClientCredentials\n"
        f"auth = CognitoClientCredentials('demo-agent', {AGENT_SECRET!r}, issuers=[{pool.issuer!r}])\n"
        f"print(httpx.get({door.base!r}, auth=auth, trust_env=False).status_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("200\n", "")
