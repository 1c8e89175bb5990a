"""The demo's MCP servers, made with the official SDK: each is a module of its name with `create()`.

`python -m auth_server.demo.mcp_servers currenttime` serves one.
"""

SERVERS = ("currenttime", "fininfo")
