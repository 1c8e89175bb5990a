"""The official MCP client through the gateway, in both eras, with a token and with a cookie."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.demo import Demo

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize(
    ("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")]
)
CREDENTIALS = pytest.mark.parametrize("kind", ["token", "cookie"])
BERLIN = {"tz_name": "Europe/Berlin"}
DENIED = ("convert_time", {"time": "2026-07-28T09:30", "from_tz": "UTC", "to_tz": "Asia/Tokyo"})


def credential(demo: Demo, kind: str, who: str = "") -> dict[str, str]:
    """Return the header that a client sends."""
    if kind == "token":
        return {"Authorization": f"Bearer {demo.token(who or 'demo-agent')}"}
    return {"Cookie": f"mcp_gateway_session={demo.cookie(who or 'uma')}"}


@contextlib.asynccontextmanager
async def connected(
    demo: Demo, headers: dict[str, str], *, server: str = "currenttime", mode: Any = "auto"
) -> AsyncIterator[Client]:
    """Connect the official client with these headers."""
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
        transport = streamable_http_client(f"{demo.base_url}/{server}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@ERAS
@CREDENTIALS
async def test_granted_calls(demo: Demo, kind: str, mode: str, version: str) -> None:
    """The client lists the tools and calls the one that is granted."""
    async with connected(demo, credential(demo, kind), mode=mode) as client:
        assert client.protocol_version == version
        assert "current_time_by_timezone" in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("current_time_by_timezone", BERLIN)
    assert not result.is_error
    assert "CE" in getattr(result.content[0], "text", "")


@ERAS
@CREDENTIALS
async def test_denied_calls(demo: Demo, kind: str, mode: str, version: str) -> None:
    """A call that scopes.yml does not grant ends in an error that says so, and the client goes on."""
    async with connected(demo, credential(demo, kind), mode=mode) as client:
        await client.list_tools()
        with pytest.raises(MCPError, match="convert_time"):
            await client.call_tool(*DENIED)
        assert not (await client.call_tool("current_time_by_timezone", BERLIN)).is_error


@pytest.mark.parametrize(("kind", "who"), [("token", "demo-admin-agent"), ("cookie", "ada")])
async def test_who_may_do_more(demo: Demo, kind: str, who: str) -> None:
    """An unrestricted caller calls what the others may not, on every server."""
    headers = credential(demo, kind, who)
    async with connected(demo, headers) as client:
        assert "JST" in getattr((await client.call_tool(*DENIED)).content[0], "text", "")
        assert (await client.get_prompt("plan_meeting", {"cities": "Oslo"})).messages
        assert (await client.read_resource("time://zones")).contents
    async with connected(demo, headers, server="fininfo") as client:
        quote = await client.call_tool("get_stock_quote", {"symbol": "acme"})
        assert quote.structured_content is not None


@pytest.mark.parametrize(("kind", "who"), [("token", ""), ("cookie", "uma"), ("cookie", "nobody")])
async def test_another_server(demo: Demo, kind: str, who: str) -> None:
    """A server without any grant is closed from the first message on."""
    with pytest.raises((MCPError, ExceptionGroup)) as refused:
        async with connected(demo, credential(demo, kind, who), server="fininfo") as client:
            await client.list_tools()
    assert "fininfo" in repr(refused.value)


async def test_progress_streams(demo: Demo) -> None:
    """A slow tool's progress arrives while it runs."""
    reports: list[float] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reports.append(progress)

    async with connected(demo, credential(demo, "token", "demo-admin-agent"), server="fininfo") as client:
        result = await client.call_tool("countdown", {"seconds": 2}, progress_callback=report)
    assert not result.is_error
    assert reports == [1, 2]
