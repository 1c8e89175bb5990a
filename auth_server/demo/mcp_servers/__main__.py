"""Two real MCP servers, made with the official SDK: `python -m auth_server.demo.mcp_servers currenttime`.

They serve both eras of MCP at /mcp over streamable HTTP: the 2025 handshake and stateless 2026-07-28.
"""

import argparse
import logging
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field
from starlette.applications import Starlette

from auth_server.demo.stopping import Server

PATH = "/mcp"


class Quote(BaseModel):
    """A share price that somebody made up."""

    symbol: str
    company: str
    price: float
    currency: str = "USD"
    note: str = "Invented for demonstration. Not market data."


QUOTES = {
    quote.symbol: quote
    for quote in (
        Quote(symbol="ACME", company="Acme Anvils (invented)", price=42.00),
        Quote(symbol="HOOLI", company="Hooli (invented)", price=137.42),
        Quote(symbol="STARK", company="Stark Industries (invented)", price=86.64),
        Quote(symbol="WONKA", company="Wonka Confectionery (invented)", price=9.75),
    )
}


def currenttime() -> MCPServer[Any]:
    """Make the server that knows what time it is."""
    server = MCPServer("currenttime", version="1.0", instructions="Tells and converts the time of day.")

    @server.tool()
    def current_time_by_timezone(tz_name: str = "America/New_York") -> str:
        """Tell the current time in a time zone of the IANA database, such as Europe/Berlin."""
        return _told(datetime.now(_zone(tz_name)))

    @server.tool()
    def convert_time(time: str, from_tz: str, to_tz: str) -> str:
        """Convert a time (ISO 8601 without offset, such as 2026-07-28T09:30) from one zone to another."""
        try:
            naive = datetime.fromisoformat(time)
        except ValueError:
            raise ToolError(f"{time!r} is not an ISO 8601 time") from None
        if naive.tzinfo is not None:
            raise ToolError("give the time without an offset; from_tz says which zone it is in")
        return _told(naive.replace(tzinfo=_zone(from_tz)).astimezone(_zone(to_tz)))

    @server.prompt()
    def plan_meeting(cities: str) -> str:
        """Ask for a time that suits everybody in these cities."""
        return f"Find an hour in the working day of everybody in: {cities}. Check each place's current time."

    @server.resource("time://zones", mime_type="text/plain")
    def zones() -> str:
        """List the names of all time zones."""
        return "\n".join(sorted(available_timezones()))

    return server


def fininfo() -> MCPServer[Any]:
    """Make the server that tells invented share prices."""
    server = MCPServer("fininfo", version="1.0", instructions="Share prices, all of them invented.")

    @server.tool()
    def get_stock_quote(symbol: str) -> Quote:
        """Tell the price of a share. All companies and prices are invented."""
        try:
            return QUOTES[symbol.upper()]
        except KeyError:
            raise ToolError(f"no such symbol; there are {', '.join(QUOTES)}") from None

    @server.tool()
    def list_symbols() -> list[str]:
        """List the symbols that have a price. All companies are invented."""
        return list(QUOTES)

    @server.tool()
    async def countdown(seconds: Annotated[int, Field(ge=1, le=3600)], ctx: Context[Any, Any]) -> str:
        """Count down and report progress every second: something slow to try streams with."""
        for passed in range(1, seconds + 1):
            await anyio.sleep(1)
            await ctx.report_progress(passed, seconds, f"{seconds - passed} s left")
        return f"{seconds} s have passed"

    return server


SERVERS: dict[str, Callable[[], MCPServer[Any]]] = {"currenttime": currenttime, "fininfo": fininfo}


def create_app(name: str, *, host: str = "127.0.0.1") -> Starlette:
    """Return the server of that name as an app with its endpoint at /mcp.

    `host` is what it will listen on. On loopback the SDK serves loopback Host and Origin headers alone
    (DNS rebinding; MCP, Streamable HTTP, "Security Warning"), which suits a gateway that sends the
    upstream's own Host. On any other address it serves every Host: it belongs behind the gateway then.
    """
    return SERVERS[name]().streamable_http_app(streamable_http_path=PATH, host=host)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve one of them until told to stop; the first line printed is its URL."""
    parser = argparse.ArgumentParser(prog="python -m auth_server.demo.mcp_servers", description=__doc__)
    parser.add_argument("name", choices=sorted(SERVERS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--uds", help="listen on this Unix socket instead; Host is a loopback name then")
    given = parser.parse_args(argv)
    app = create_app(given.name, host=given.host)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    if given.uds:
        Server(app, uds=given.uds, log_level="warning", access_log=False, ws="none").run()
        return
    family = socket.AF_INET6 if ":" in given.host else socket.AF_INET
    # Bound here, so that the URL printed is one that already answers.
    with socket.create_server((given.host, given.port), family=family) as listener:
        host = f"[{given.host}]" if ":" in given.host else given.host
        print(f"http://{host}:{listener.getsockname()[1]}{PATH}", flush=True)  # noqa: T201 - its output
        Server(app, log_level="warning", access_log=False, ws="none").run(sockets=[listener])


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(f"no such time zone: {name!r}; resource time://zones lists them") from None


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z (UTC%z)")


if __name__ == "__main__":
    main()
