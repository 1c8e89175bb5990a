import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import pytest
from starlette.types import Receive, Scope, Send
from support.asgi_server import read_body, serving
from support.command import Command
from support.demo_pool import AGENT_SECRET, DemoPool

from auth_server.demo.directory import POOL_ID
from auth_server.oauth import cognito

READ = "mcp-servers-restricted/read"


class Endpoint:
    """A server that answers everything with what a test gave it, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"{}"
        self.headers: list[tuple[bytes, bytes]] = []
        self.delay = 0.0
        self.seen: list[tuple[str, dict[str, list[str]]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        body = await read_body(receive)
        self.seen.append((scope["path"], parse_qs(body.decode())))
        await asyncio.sleep(self.delay)
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
def endpoint() -> Iterator[tuple[Endpoint, str]]:
    """Run an endpoint that misbehaves."""
    app = Endpoint()
    with serving(lambda _base: app) as base:
        yield app, f"{base}/oauth2/token"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run commands with an agent's credentials in the environment."""
    agent = {"COGNITO_CLIENT_ID": "demo-agent", "COGNITO_CLIENT_SECRET": AGENT_SECRET}
    return Command(tmp_path, monkeypatch, capsys, agent)


@pytest.fixture
def agent(command: Command, pool: DemoPool) -> Command:
    """Run commands of an agent that knows its pool."""
    known = {"COGNITO_USER_POOL_ID": POOL_ID, "COGNITO_ISSUER": pool.issuer}
    command.settings = {**command.settings, **known}
    return command


def test_a_token_from_the_pool_of_the_environment(agent: Command) -> None:
    """The endpoint comes from the pool's discovery document; the token alone is printed."""
    outcome = agent("token")
    assert (outcome.code, outcome.err) == (0, "")
    claims = jwt.decode(outcome.out.strip(), options={"verify_signature": False})
    assert (claims["client_id"], claims["scope"]) == ("demo-agent", READ)


def test_a_header_ready_for_curl(agent: Command) -> None:
    """--header prints one header line."""
    outcome = agent("token", "--header", "--scope", READ)
    assert outcome.code == 0
    assert outcome.out.startswith("Authorization: Bearer ey")
    assert outcome.out.count("\n") == 1


def test_json_says_how_long_it_lasts(agent: Command) -> None:
    """For programs: token, type and lifetime."""
    answer = json.loads(agent("token", "--json").out)
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert answer["access_token"].count(".") == 2


def test_credentials_from_a_file_and_options(agent: Command) -> None:
    """Options win over the environment; the secret comes from a file, with or without a line break."""
    agent.write("secret", AGENT_SECRET + "\n")
    outcome = agent(
        "token",
        "--client-id",
        "demo-agent",
        "--client-secret-file",
        "secret",
        COGNITO_CLIENT_ID="another",
        COGNITO_CLIENT_SECRET="another",
    )
    assert (outcome.code, outcome.err) == (0, "")
    outcome = agent("token", COGNITO_CLIENT_SECRET=None, COGNITO_CLIENT_SECRET_FILE="secret")
    assert (outcome.code, outcome.err) == (0, "")


def test_credentials_from_dotenv(agent: Command) -> None:
    """.env is honoured."""
    agent.write(".env", f"COGNITO_CLIENT_ID=demo-agent\nCOGNITO_CLIENT_SECRET='{AGENT_SECRET}'\n")
    outcome = agent("token", COGNITO_CLIENT_ID=None, COGNITO_CLIENT_SECRET=None)
    assert (outcome.code, outcome.err) == (0, "")


def test_a_token_endpoint_by_option_needs_no_pool(command: Command, pool: DemoPool) -> None:
    """--token-url is used as it is; nothing else need be known, and mistakes elsewhere do not matter."""
    outcome = command(
        "token", "--token-url", f"{pool.issuer}/oauth2/token", JWKS_REFRESH="x", SECRET_KEY="weak"
    )
    assert (outcome.code, outcome.err) == (0, "")


def test_a_domain_has_its_token_endpoint(command: Command, endpoint: tuple[Endpoint, str]) -> None:
    """The hosted UI's URL is enough, from option or environment; scopes are sent by space."""
    app, url = endpoint
    app.body = b'{"access_token": "the.to.ken", "token_type": "Bearer"}'
    domain = url.removesuffix("/oauth2/token")
    outcome = command("token", "--domain", domain, "--scope", "a/b", "--scope", "c/d e/f")
    assert (outcome.code, outcome.out, outcome.err) == (0, "the.to.ken\n", "")
    assert command("token", COGNITO_DOMAIN=domain).code == 0
    path, form = app.seen[0]
    assert path == "/oauth2/token"
    assert form == {
        "grant_type": ["client_credentials"],
        "client_id": ["demo-agent"],
        "client_secret": [AGENT_SECRET],
        "scope": ["a/b c/d e/f"],
    }
    assert "scope" not in app.seen[1][1]


def test_a_domain_prefix_is_in_the_pools_region(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix becomes Cognito's own domain."""
    asked = []

    async def stop(url: str, *_: object) -> None:
        asked.append(url)
        raise cognito.CognitoError("enough")

    monkeypatch.setattr(cognito, "client_credentials", stop)
    assert command("token", "--domain", "agents", COGNITO_USER_POOL_ID="eu-west-1_AbCdEfGhI").code == 1
    assert command("token", COGNITO_DOMAIN="agents", COGNITO_USER_POOL_ID="eu-west-1_AbCdEfGhI").code == 1
    assert asked == ["https://agents.auth.eu-west-1.amazoncognito.com/oauth2/token"] * 2


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        ((), {"COGNITO_CLIENT_SECRET": "wrong"}, ("invalid_client", "secret is wrong")),
        ((), {"COGNITO_CLIENT_ID": "nobody"}, ("invalid_client", "secret is wrong")),
        (("--scope", "no/such"), {}, ("invalid_scope", "RESOURCE-SERVER/NAME")),
        (("--scope", "mcp-servers-unrestricted/read"), {}, ("invalid_scope", "RESOURCE-SERVER/NAME")),
    ],
)
def test_refusals_have_a_remedy(
    agent: Command, arguments: tuple[str, ...], settings: dict[str, str], said: tuple[str, ...]
) -> None:
    """Cognito's own error and what to do about it, in one line, without the secret."""
    outcome = agent("token", *arguments, **settings)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert all(part in outcome.err for part in said)
    assert AGENT_SECRET not in outcome.err


@pytest.mark.parametrize(
    ("taken_out", "said"),
    [
        ("COGNITO_CLIENT_ID", "COGNITO_CLIENT_ID is not set"),
        ("COGNITO_CLIENT_SECRET", "COGNITO_CLIENT_SECRET is not set"),
        ("COGNITO_USER_POOL_ID", "where is the token endpoint?"),
    ],
)
def test_what_is_missing_is_said(agent: Command, taken_out: str, said: str) -> None:
    """Each missing value is one line with its remedy."""
    agent.settings = {**agent.settings, taken_out: None}
    outcome = agent("token")
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert said in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--client-id", "a b"), 1, "--client-id: "),
        (("--client-id", ""), 2, "--client-id is empty"),
        (("--client-secret-file", "absent"), 1, "--client-secret-file: "),
        (("--domain", "https://x/path"), 1, "--domain: "),
        (("--domain", "UPPER_CASE"), 1, "--domain: "),
        (("--token-url", "ftp://x/"), 2, "--token-url: "),
        (("--token-url", "http://x/?a=b"), 2, "--token-url: "),
        (("--domain", "x", "--token-url", "http://x/"), 2, "not allowed with"),
        (("--header", "--json"), 2, "not allowed with"),
        (("--client-secret", "s3cret"), 2, "unrecognized arguments: --client-secret;"),
        (("--client-secret=s3cret",), 2, "unrecognized arguments: --client-secret;"),
        (("--header", "s3cret"), 2, "unrecognized arguments: too many;"),
    ],
)
def test_bad_options_are_named(agent: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
    """A mistake names the option that was written, in one line."""
    outcome = agent("token", *arguments)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (code, "", 1)
    assert said in outcome.err
    assert "s3cret" not in outcome.err


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"", "has status 500"),
        (404, b"<html>", "has status 404"),
        (302, b"", "has status 302"),
        (200, b"<html>", "is nothing like JSON"),
        (200, b"[]", "is nothing like JSON"),
        (200, b'{"token_type": "Bearer"}', "without an access token"),
        (200, b'{"access_token": 1}', "without an access token"),
        (200, b'{"access_token": "a\\r\\nSet-Cookie: x"}', "without an access token"),
        (200, b'{"access_token": "a", "access_token": "b"}', "is nothing like JSON"),
        (200, b'{"x": "' + b"y" * 300_000 + b'"}', "more than"),
        (400, b'{"error": "unauthorized_client"}', "may not use client credentials"),
        (400, b'{"error": "invalid_grant"}', "allow it one of a resource server"),
        (400, b'{"error": "something_new"}', "refused with something_new"),
        (400, b'{"error": "\\u001b[31m"}', "has status 400"),
        (401, b'{"error": "invalid_client"}', "secret is wrong"),
    ],
)
def test_an_endpoint_that_misbehaves(
    command: Command, endpoint: tuple[Endpoint, str], status: int, body: bytes, said: str
) -> None:
    """Whatever it answers ends in one line with its address, and nothing on standard output."""
    app, url = endpoint
    app.status, app.body = status, body
    app.headers = [(b"location", b"/elsewhere")] if status == 302 else []
    outcome = command("token", "--token-url", url)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert said in outcome.err
    assert url in outcome.err
    assert len(app.seen) == 1


def test_an_endpoint_that_does_not_answer(
    command: Command, endpoint: tuple[Endpoint, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange has a limit."""
    app, url = endpoint
    app.delay = 0.7
    monkeypatch.setattr(cognito, "TIMEOUT", 0.2)
    outcome = command("token", "--token-url", url)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert url in outcome.err


def test_an_endpoint_that_is_not_there(command: Command) -> None:
    """A closed port is one line."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = command("token", "--token-url", f"http://127.0.0.1:{port}/oauth2/token")
    assert (outcome.code, len(outcome.errors)) == (1, 1)
    assert "cannot be reached (ConnectError)" in outcome.err


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"issuer": "http://elsewhere", "token_endpoint": "http://x/"}, "not the document of this pool"),
        ({"issuer": "{issuer}"}, "needs a domain"),
        ({"issuer": "{issuer}", "token_endpoint": 1}, "needs a domain"),
        ({"issuer": "{issuer}", "token_endpoint": "file:///etc/passwd"}, "needs a domain"),
        ({"issuer": "{issuer}", "token_endpoint": "http://[x"}, "needs a domain"),
    ],
)
def test_a_discovery_document_that_is_wrong(
    command: Command, endpoint: tuple[Endpoint, str], document: dict[str, object], said: str
) -> None:
    """A document of another issuer, or without a usable endpoint, gets no secret."""
    app, url = endpoint
    issuer = url.removesuffix("/oauth2/token")
    app.body = json.dumps(document).replace("{issuer}", issuer).encode()
    outcome = command("token", COGNITO_USER_POOL_ID=POOL_ID, COGNITO_ISSUER=issuer)
    assert (outcome.code, outcome.out, len(outcome.errors)) == (1, "", 1)
    assert said in outcome.err
    assert [path for path, _ in app.seen] == ["/.well-known/openid-configuration"]


def test_clear_text_to_another_machine_is_warned_of(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret does not travel in the clear unnoticed."""

    async def answer(*_: object) -> cognito.MachineToken:
        return cognito.MachineToken("the.to.ken", 3600)

    monkeypatch.setattr(cognito, "client_credentials", answer)
    outcome = command("token", "--token-url", "http://cognito.example/oauth2/token")
    assert (outcome.code, outcome.out) == (0, "the.to.ken\n")
    assert outcome.err.startswith("warning: http://cognito.example/oauth2/token is http on another machine")


def test_a_token_is_not_in_its_repr() -> None:
    """What is logged by accident holds no token."""
    assert "secret" not in repr(cognito.MachineToken("secret", 1))


def test_as_a_process(agent: Command, pool: DemoPool) -> None:
    """The whole way as a process: get a token, and let `decode --verify` accept it."""
    done = agent.process("token")
    assert (done.returncode, done.stderr) == (0, "")
    agent.write("token", done.stdout)
    agent.settings = pool.settings
    verified = agent.process("decode", "@token", "--verify")
    assert verified.returncode == 0
    assert verified.stdout.startswith("VERIFIED: ")
