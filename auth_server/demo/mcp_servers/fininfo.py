"""A server that tells invented share prices."""

from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field


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


def create() -> MCPServer[Any]:
    """Make the server."""
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
