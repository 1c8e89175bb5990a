"""The official SDK, client and server, with the relay between them: each transport and era, as without a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client, ClientSession, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ElicitResult
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount
from support.asgi_server import serving
from support.clean_environment import clean_environment
from support.door import cookie, mint
from support.gateway import environment, running
from support.kept_events import KeptEvents
from support.repository import ROOT
from support.waiting import until

from auth_server.client.cookie import save_cookie

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from support.gateway import Gateway
    from support.jwks_server import JwksServer

pytestmark = pytest.mark.anyio

SCOPES = """\
mcp/read:
  - server: "full*"
    methods: [tools/list, tools/call, prompts/list, resources/list, resources/templates/list, resources/read,
              subscriptions/listen, logging/setLevel]
    tools: [granted, "team-*"]
    resources: ["doc://open", "doc://tree/*"]
group_mappings:
  readers: [mcp/read]
"""


class Answer(BaseModel):
    """What a person is asked for."""

    city: str


def full() -> MCPServer[Any]:
    """Make a server with everything that comes back in a way of its own."""
    server: MCPServer[Any] = MCPServer("full")
    add_tools(server)
    add_resources(server)
    return server


def add_tools(server: MCPServer[Any]) -> None:
    """Add tools."""

    @server.tool()
    def granted(word: str) -> str:
        """Say it again."""
        return word

    @server.tool()
    def evil() -> str:
        """Do what is not granted."""
        return "done"

    @server.tool(name="team-ask")
    async def ask(ctx: Context[Any, Any]) -> str:
        """Ask the person."""
        found = await ctx.elicit("Where?", Answer)
        return getattr(found, "data", Answer(city="nowhere")).city

    @server.tool(name="team-slow")
    async def slow(ctx: Context[Any, Any]) -> str:
        """Report progress."""
        for step in (1, 2, 3):
            await ctx.report_progress(step, 3)
            await asyncio.sleep(0.05)
        return "slow"

    @server.tool(name="team-grow")
    async def grow(ctx: Context[Any, Any]) -> str:
        """Tell the client that there are more tools."""
        await ctx.session.send_tool_list_changed()
        return "grown"


def add_resources(server: MCPServer[Any]) -> None:
    """Add resources, and templates of them."""

    @server.resource("doc://open")
    def opened() -> str:
        """Be read."""
        return "text"

    @server.resource("doc://shut")
    def shut() -> str:
        """Be not read."""
        return "secret"

    @server.resource("doc://tree/{path}")
    def tree(path: str) -> str:
        """Be read by path."""
        return path

    @server.resource("db://{table}")
    def table(table: str) -> str:
        """Be not read either."""
        return table


def app(base: str) -> Starlette:
    """Serve both transports: at /mcp and /sse, and the same below /base."""
    plain, below = full(), full()
    http, http_below = plain.streamable_http_app(), below.streamable_http_app()

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        async with http.router.lifespan_context(application), http_below.router.lifespan_context(application):
            yield

    lower = Starlette(routes=[*http_below.routes, *below.sse_app().routes])
    return Starlette(routes=[Mount("/base", lower), *http.routes, *plain.sse_app().routes], lifespan=lifespan)


@pytest.fixture(scope="module")
def gateway(key_server: JwksServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway in front of it."""
    folder = tmp_path_factory.mktemp("full")
    (folder / "scopes.yml").write_text(SCOPES)
    environ = environment(key_server.url, folder / "scopes.yml")
    with serving(app, lifespan="on") as base:
        servers = {"full": base, "full-below": f"{base}/base"}
        with running(servers, environ, "--nginx-workers", "1", cwd=folder) as started:
            yield started


def credential(kind: str) -> dict[str, str]:
    """Return the header that a client sends."""
    if kind == "cookie":
        return {"Cookie": f"mcp_gateway_session={cookie()}"}
    return {"Authorization": f"Bearer {mint()}"}


async def elicited(context: object, params: object) -> ElicitResult:
    """Answer for a person."""
    return ElicitResult(action="accept", content={"city": "Oslo"})


@contextlib.asynccontextmanager
async def connected(
    gateway: Gateway, server: str, kind: str, mode: Any, **options: Any
) -> AsyncIterator[Client]:
    """Connect over streamable HTTP."""
    async with httpx2.AsyncClient(headers=credential(kind), trust_env=False, timeout=20) as http:
        transport = streamable_http_client(f"{gateway.base_url}/{server}/mcp", http_client=http)
        async with Client(transport, mode=mode, **options) as client:
            yield client


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("kind", ["token", "cookie"])
@pytest.mark.parametrize("server", ["full", "full-below"])
async def test_over_streamable_http(gateway: Gateway, server: str, kind: str, mode: str) -> None:
    """Lists are cut, calls answered, denials told, progress reported, and a person asked in the middle of a call."""
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with connected(gateway, server, kind, mode, elicitation_callback=elicited) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert sorted(tools) == ["granted", "team-ask", "team-grow", "team-slow"]
        assert [str(found.uri) for found in (await client.list_resources()).resources] == ["doc://open"]
        templates = (await client.list_resource_templates()).resource_templates
        assert [found.uri_template for found in templates] == ["doc://tree/{path}"]
        assert text(await client.call_tool("granted", {"word": "ü"})) == "ü"
        with pytest.raises(MCPError, match="evil"):
            await client.call_tool("evil", {})
        assert text(await client.call_tool("team-slow", {}, progress_callback=progress)) == "slow"
        assert seen == [1, 2, 3]
        if mode == "legacy":  # the new era asks in another way, by the answer itself
            assert text(await client.call_tool("team-ask", {})) == "Oslo"
        assert (await client.read_resource("doc://tree/leaf")).contents


async def test_what_is_said_on_the_session_s_own_stream(gateway: Gateway) -> None:
    """A notification that belongs to no call arrives over the GET stream."""
    told: list[str] = []

    async def heard(message: Any) -> None:
        told.append(type(message).__name__)

    async with connected(gateway, "full", "token", "legacy", message_handler=heard) as client:
        await client.call_tool("team-grow", {})
        for _ in range(100):
            if told:
                break
            await asyncio.sleep(0.05)
    assert "ToolListChangedNotification" in str(told)


@pytest.mark.parametrize("kind", ["token", "cookie"])
@pytest.mark.parametrize("server", ["full", "full-below"])
async def test_over_http_with_sse(gateway: Gateway, server: str, kind: str) -> None:
    """The deprecated transport: messages go where the gateway's endpoint event says; lists are cut as well."""
    url = f"{gateway.base_url}/{server}/sse"
    async with sse_client(url, headers=credential(kind), timeout=10) as (read, write):
        async with ClientSession(read, write, elicitation_callback=elicited) as session:
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            assert sorted(tools) == ["granted", "team-ask", "team-grow", "team-slow"]
            assert text(await session.call_tool("granted", {"word": "a"})) == "a"
            assert text(await session.call_tool("team-ask", {})) == "Oslo"


def test_the_example_over_http_with_sse(gateway: Gateway, tmp_path: Path) -> None:
    """examples/agent.py takes a server's /sse as it takes /mcp."""
    save_cookie(tmp_path / ".mcp" / "session_cookie", cookie())
    command = [sys.executable, str(ROOT / "examples" / "agent.py"), "--use-session-cookie"]
    environ = clean_environment() | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for arguments, said in (((), "granted: Say it again."), (("granted", '{"word": "ü"}'), "ü")):
        url = f"{gateway.base_url}/full/sse"
        done = subprocess.run(
            [*command, url, *arguments], env=environ, capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout
        assert "evil" not in done.stdout


async def test_a_client_whose_stream_ends_loses_nothing(key_server: JwksServer, tmp_path: Path) -> None:
    """Streams end every second or two; the SDK's client comes again by itself, with Last-Event-ID."""
    (tmp_path / "scopes.yml").write_text(SCOPES)
    environ = environment(key_server.url, tmp_path / "scopes.yml", STREAM_MAX_AGE="1")
    told: list[str] = []

    async def heard(message: Any) -> None:
        told.append(str(message))

    def keeping(base: str) -> Starlette:
        return full().streamable_http_app(event_store=KeptEvents(), retry_interval=100)

    with serving(keeping, lifespan="on") as base:
        with running({"full": base}, environ, "--nginx-workers", "1", cwd=tmp_path) as gateway:
            async with connected(gateway, "full", "token", "legacy", message_handler=heard) as client:
                for _ in range(20):
                    await client.call_tool("team-grow", {})
                    await asyncio.sleep(0.3)
                for _ in range(100):
                    if len(told) == 20:
                        break
                    await asyncio.sleep(0.05)
            until(lambda: gateway.log.count('"http":"GET","path":"/full/mcp"') >= 3, "several streams")
    assert len(told) == 20


def text(result: Any) -> str:
    """Return the text that a tool said."""
    assert not result.is_error, result
    return str(result.content[0].text)
