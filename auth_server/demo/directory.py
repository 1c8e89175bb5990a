"""Who and what exists in the demo: two agents, a web app, a command line and four people."""

import secrets
import string
from collections.abc import Mapping

from auth_server.demo.cognito.directory import AppClient, Directory, Flow, Pool, ResourceServer, User

POOL_ID = "us-east-1_Demo00000"

RESTRICTED = ResourceServer("mcp-servers-restricted", ("read", "execute"))
UNRESTRICTED = ResourceServer("mcp-servers-unrestricted", ("read", "execute"))

SIGN_IN_FLOWS = frozenset({Flow.CODE, Flow.REFRESH_TOKEN, Flow.USER_PASSWORD})
SIGN_IN_SCOPES = ("openid", "email", "profile")
"""What people's clients may ask for: people get their rights from groups, not from scopes."""

CLI_CALLBACK = "http://localhost:9090/callback"


def demo_directory(
    gateway_url: str, *, secrets: Mapping[str, str] | None = None, issuer: str | None = None
) -> Directory:
    """Describe the demo behind the gateway at `gateway_url`.

    `secrets` gives client secrets by client id and passwords by user name; what it lacks is made anew.
    `issuer` overrides the `iss` of the tokens.
    """
    gateway = gateway_url.rstrip("/")
    given = secrets or {}
    pool = Pool(
        id=POOL_ID,
        resource_servers=(RESTRICTED, UNRESTRICTED),
        clients=(
            _agent("demo-agent", ("mcp-servers-restricted/read",), given),
            _agent("demo-admin-agent", RESTRICTED.full_scopes + UNRESTRICTED.full_scopes, given),
            AppClient(
                id="demo-web",
                secret=given.get("demo-web") or generate_client_secret(),
                flows=SIGN_IN_FLOWS,
                scopes=SIGN_IN_SCOPES,
                callback_urls=(f"{gateway}/oauth2/callback/cognito", CLI_CALLBACK),
                logout_urls=(gateway, f"{gateway}/"),
            ),
            AppClient(
                id="demo-cli",
                flows=SIGN_IN_FLOWS,
                scopes=SIGN_IN_SCOPES,
                callback_urls=(CLI_CALLBACK,),
                logout_urls=("http://localhost:9090/",),
            ),
        ),
        users=(
            _user("ada", ("mcp-registry-admin",), given),
            _user("uma", ("mcp-registry-user",), given),
            _user("dev", ("mcp-registry-developer",), given),
            _user("nobody", (), given),
        ),
        issuer=issuer,
    )
    return Directory((pool,))


def generate_client_secret() -> str:
    """Make a secret like Cognito's: 52 lower-case letters and digits."""
    return _random(string.ascii_lowercase + string.digits, 52)


def generate_password() -> str:
    """Make a password that can be read out and typed: three groups of five letters, 66 bits."""
    letters = "abcdefghijkmnpqrstuvwxyz"
    return "-".join(_random(letters, 5) for _ in range(3))


def _agent(client_id: str, scopes: tuple[str, ...], given: Mapping[str, str]) -> AppClient:
    return AppClient(
        id=client_id,
        secret=given.get(client_id) or generate_client_secret(),
        flows=frozenset({Flow.CLIENT_CREDENTIALS}),
        scopes=scopes,
    )


def _user(username: str, groups: tuple[str, ...], given: Mapping[str, str]) -> User:
    return User(
        username=username,
        password=given.get(username) or generate_password(),
        email=f"{username}@example.com",
        groups=groups,
    )


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
