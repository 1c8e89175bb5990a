"""The directory's own checks, and what exists in the demo."""

import httpx
import pytest
from support.asgi_server import serving

from auth_server.demo.cognito import AppClient, Directory, Flow, Pool, User, create_app
from auth_server.demo.directory import POOL_ID, demo_directory

GATEWAY = "http://localhost:8080"


def demo_pool() -> Pool:
    """Return the demo's pool."""
    pool = demo_directory(GATEWAY).pool(POOL_ID)
    assert pool is not None
    return pool


def test_two_agents() -> None:
    """One agent may read what is restricted, the other may do everything; neither signs people in."""
    agents = {client.id: client for client in demo_pool().clients if Flow.CLIENT_CREDENTIALS in client.flows}
    assert set(agents) == {"demo-agent", "demo-admin-agent"}
    assert agents["demo-agent"].scopes == ("mcp-servers-restricted/read",)
    assert set(agents["demo-admin-agent"].scopes) == {
        "mcp-servers-restricted/read",
        "mcp-servers-restricted/execute",
        "mcp-servers-unrestricted/read",
        "mcp-servers-unrestricted/execute",
    }
    assert all(Flow.CODE not in agent.flows for agent in agents.values())


def test_clients_for_people() -> None:
    """The web app has a secret, the command line is public, and neither may ask for tool scopes."""
    web, cli = demo_pool().client("demo-web"), demo_pool().client("demo-cli")
    assert web is not None
    assert cli is not None
    assert web.secret
    assert web.callback_urls == (f"{GATEWAY}/oauth2/callback/cognito", "http://localhost:9090/callback")
    assert f"{GATEWAY}/" in web.logout_urls
    assert (cli.secret, cli.callback_urls) == (None, ("http://localhost:9090/callback",))
    assert not any("/" in scope for scope in web.scopes + cli.scopes)


def test_people() -> None:
    """There is one person per group and one without any."""
    groups = {user.username: user.groups for user in demo_pool().users}
    assert groups == {
        "ada": ("mcp-registry-admin",),
        "uma": ("mcp-registry-user",),
        "dev": ("mcp-registry-developer",),
        "nobody": (),
    }


def test_secrets_are_made_anew_or_given() -> None:
    """Each start has secrets of its own; given ones are used; a user's sub stays the same."""
    first, second = demo_pool(), demo_pool()
    passwords = [user.password for pool in (first, second) for user in pool.users]
    client_secrets = [client.secret for pool in (first, second) for client in pool.clients if client.secret]
    assert len({*passwords, *client_secrets}) == 8 + 6
    assert [user.sub for user in first.users] == [user.sub for user in second.users]
    given = demo_directory(f"{GATEWAY}/", secrets={"demo-agent": "s", "uma": "p"}, issuer="http://x/p").pools[
        0
    ]
    agent, uma = given.client("demo-agent"), given.user("uma")
    assert agent is not None
    assert uma is not None
    assert (agent.secret, uma.password, given.issuer) == ("s", "p", "http://x/p")


def test_the_demo_answers() -> None:
    """The demo's agent gets a token from the demo's stand-in."""
    directory = demo_directory(GATEWAY, secrets={"demo-agent": "s"})
    with (
        serving(lambda base: create_app(directory, issuer_base=base)) as base,
        httpx.Client(trust_env=False) as http,
    ):
        answer = http.post(
            f"{base}/{POOL_ID}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=("demo-agent", "s"),
        )
    assert answer.status_code == 200


def test_impossible_directories_are_refused() -> None:
    """Unknown scopes, agents without a secret and names that occur twice are errors at once."""
    agent = frozenset({Flow.CLIENT_CREDENTIALS})
    with pytest.raises(ValueError, match="no such scope in pool p: tools/read"):
        Pool(id="p", clients=(AppClient(id="a", flows=frozenset(), scopes=("tools/read",)),))
    with pytest.raises(ValueError, match="needs a client secret"):
        AppClient(id="a", flows=agent, scopes=())
    with pytest.raises(ValueError, match="user defined twice: u"):
        Pool(id="p", users=(User("u", "x", "u@x"), User("u", "y", "u@x")))
    with pytest.raises(ValueError, match="pool defined twice: p"):
        Directory((Pool(id="p"), Pool(id="p")))
    client = AppClient(id="a", flows=frozenset(), scopes=())
    with pytest.raises(ValueError, match="app client defined twice: a"):
        Directory((Pool(id="p", clients=(client,)), Pool(id="q", clients=(client,))))
