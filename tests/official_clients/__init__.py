"""`make clients`: what official MCP clients can do, direct and through a real gateway."""
