"""scopes.yml of two sizes. Both grant the bench's tokens exactly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.credentials import GROUP, SCOPE

if TYPE_CHECKING:
    from pathlib import Path

SERVER = "bench"
STREAMS = "streams"
TOOLS = [f"tool_{number:02}" for number in range(50)]
METHODS = ["tools/list", "tools/call"]
FORBIDDEN_TOOL = "tool_of_others"

_OWN_SERVERS = [SERVER, STREAMS, "server-0002", "server-0003", "server-0004"]
_SERVERS = 1000
_SCOPES = 200
_SERVERS_PER_SCOPE = 25


def write_small(file: Path) -> None:
    """Write a policy of 5 servers with 50 tools each, and one scope."""
    file.write_text(_head() + _scope(SCOPE, _OWN_SERVERS))


def write_large(file: Path) -> None:
    """Write a policy of 1,000 servers with 50 tools each and 200 scopes; five scopes name each server."""
    others = [f"server-{number:04}" for number in range(_SERVERS)]
    parts = [_head(), _scope(SCOPE, _OWN_SERVERS)]
    for number in range(_SCOPES - 1):
        first = number * _SERVERS_PER_SCOPE
        parts.append(
            _scope(
                f"bench/scope-{number}",
                [others[i % _SERVERS] for i in range(first, first + _SERVERS_PER_SCOPE)],
            )
        )
    file.write_text("".join(parts))


def _head() -> str:
    return f"group_mappings:\n  {GROUP}: [{SCOPE}]\n"


def _scope(name: str, servers: list[str]) -> str:
    methods, tools = ", ".join(METHODS), ", ".join(TOOLS)
    grants = "".join(
        f"  - server: {server}\n    methods: [{methods}]\n    tools: [{tools}]\n" for server in servers
    )
    return f"{name}:\n{grants}"
