"""A server that knows what time it is."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def create() -> MCPServer[Any]:
    """Make the server."""
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


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(f"no such time zone: {name!r}; resource time://zones lists them") from None


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z (UTC%z)")
