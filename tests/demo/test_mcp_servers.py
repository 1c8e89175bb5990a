"""The example MCP servers as real processes, called by the official client in both eras."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from mcp import Client
from mcp_types import TextContent

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize(
    ("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")]
)


def served(name: str) -> Iterator[str]:
    """Start a server as a process and yield the URL that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [sys.executable, "-m", "auth_server.demo.mcp_servers", name],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert process.returncode in {0, -signal.SIGTERM}


@pytest.fixture(scope="module")
def currenttime() -> Iterator[str]:
    """Start `currenttime` on a free port."""
    yield from served("currenttime")


@pytest.fixture(scope="module")
def fininfo() -> Iterator[str]:
    """Start `fininfo` on a free port."""
    yield from served("fininfo")


def text_of(result: object) -> str:
    """Return the text of a tool's result."""
    content = getattr(result, "content", [None])[0]
    assert isinstance(content, TextContent)
    return content.text


@ERAS
async def test_both_eras(currenttime: str, mode: str, version: str) -> None:
    """Handshake and stateless clients list and call the same tools."""
    async with Client(currenttime, mode=mode) as client:
        assert client.protocol_version == version
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"current_time_by_timezone", "convert_time"}
        result = await client.call_tool("current_time_by_timezone", {"tz_name": "UTC"})
        told = datetime.strptime(text_of(result)[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - told).total_seconds()) < 60


async def test_default_time_zone(currenttime: str) -> None:
    """Without an argument the time is New York's."""
    async with Client(currenttime) as client:
        assert text_of(await client.call_tool("current_time_by_timezone", {})).endswith(
            ("EST (UTC-0500)", "EDT (UTC-0400)")
        )


async def test_convert_time(currenttime: str) -> None:
    """A time is converted with the offsets of that day."""
    asked = {"time": "2026-07-28T09:30", "from_tz": "Europe/Berlin", "to_tz": "Asia/Tokyo"}
    async with Client(currenttime) as client:
        assert text_of(await client.call_tool("convert_time", asked)) == "2026-07-28 16:30:00 JST (UTC+0900)"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"time": "half past nine"}, "is not an ISO 8601 time"),
        ({"time": "2026-07-28T09:30Z"}, "without an offset"),
        ({"from_tz": "Europe/Nowhere"}, "no such time zone"),
        ({"to_tz": "../../etc/passwd"}, "no such time zone"),
    ],
)
async def test_convert_time_explains(currenttime: str, changed: dict[str, str], complaint: str) -> None:
    """What can't be converted is a tool error that says why."""
    asked = {"time": "2026-07-28T09:30", "from_tz": "UTC", "to_tz": "UTC"} | changed
    async with Client(currenttime) as client:
        result = await client.call_tool("convert_time", asked)
    assert result.is_error
    assert complaint in text_of(result)


async def test_prompt_and_resource(currenttime: str) -> None:
    """There is one prompt and one resource."""
    async with Client(currenttime) as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["plan_meeting"]
        message = (await client.get_prompt("plan_meeting", {"cities": "Oslo, Lima"})).messages[0]
        assert isinstance(message.content, TextContent)
        assert "Oslo, Lima" in message.content.text
        assert [str(each.uri) for each in (await client.list_resources()).resources] == ["time://zones"]
        zones = (await client.read_resource("time://zones")).contents[0]
        assert "Europe/Berlin" in getattr(zones, "text", "").splitlines()


@ERAS
async def test_quotes_are_labelled_as_invented(fininfo: str, mode: str, version: str) -> None:
    """A quote says that it is invented; symbols can be listed; an unknown one is explained."""
    async with Client(fininfo, mode=mode) as client:
        quote = await client.call_tool("get_stock_quote", {"symbol": "acme"})
        assert quote.structured_content is not None
        assert quote.structured_content["price"] == 42.0
        assert "Invented" in quote.structured_content["note"]
        symbols = await client.call_tool("list_symbols", {})
        assert symbols.structured_content == {"result": ["ACME", "HOOLI", "STARK", "WONKA"]}
        unknown = await client.call_tool("get_stock_quote", {"symbol": "REAL"})
        assert unknown.is_error
        assert "ACME" in text_of(unknown)


@ERAS
async def test_countdown_reports_progress(fininfo: str, mode: str, version: str) -> None:
    """The slow tool reports every second while it runs."""
    reports: list[tuple[float, float | None, str | None]] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total, message))

    async with Client(fininfo, mode=mode) as client:
        result = await client.call_tool("countdown", {"seconds": 1}, progress_callback=report)
    assert text_of(result) == "1 s have passed"
    assert reports == [(1, 1, "0 s left")]


async def test_countdown_has_bounds(fininfo: str) -> None:
    """A countdown of nothing is refused."""
    async with Client(fininfo) as client:
        assert (await client.call_tool("countdown", {"seconds": 0})).is_error


async def test_foreign_hosts_are_refused_on_loopback(currenttime: str) -> None:
    """A server on loopback serves its own Host and no other (DNS rebinding)."""
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(trust_env=False) as http:
        foreign = await http.post(currenttime, json=ping, headers=accept | {"Host": "evil.example"})
        own = await http.post(currenttime, json=ping, headers=accept)
    assert foreign.status_code == 421
    assert own.status_code != 421
