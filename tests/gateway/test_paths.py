"""Only MCP's own paths of a server go on, and those that its entry names."""

from __future__ import annotations

import pytest
from support.door import Door, call, compact, cookie, mint, rpc

CALL = compact(call())
UNKNOWN = (404, "PATH_UNKNOWN")

# What MCP servers have beside: health, metrics, administration, documentation, files.
BESIDE = [
    "",
    "/",
    "?x=/mcp",
    "/admin",
    "/metrics",
    "/docs/index.html",
    "/openapi.json",
    "/api/mcp",
    "/x/mcp",
    "/mcpx",
    "/mcp-admin",
    "/mcp.json",
    "/mcp,",
    "/MCP",
    "/Mcp/",
    "/%6dcp",
    "/sse2",
    "/ssemcp",
    "/message",
    "/messagesx",
    "/.well-known/oauth-authorization-server",
    "/rpcx",
    "/a",
    "/a/",
    "/a/bc",
    "/a%20b/mcp",
]


@pytest.mark.parametrize("rest", BESIDE)
def test_what_is_beside_mcp_stays_closed(door: Door, rest: str) -> None:
    """404 PATH_UNKNOWN, whichever way it is asked for and whoever asks that has a grant on the server."""
    target = f"/time{rest}"
    door.refuses(door.post(CALL, target=target), *UNKNOWN)
    door.refuses(door.get(target), *UNKNOWN)
    door.refuses(door.get(target, method="DELETE"), *UNKNOWN)
    session = {"Authorization": None, "Cookie": f"mcp_gateway_session={cookie()}"}
    door.refuses(door.post(CALL, target=target, replace=session), *UNKNOWN)


@pytest.mark.parametrize(
    "rest", ["/mcp", "/mcp/", "/mcp/a/b", "/sse", "/sse/", "/messages", "/messages/?session_id=x"]
)
def test_mcps_own_paths_go_on(door: Door, rest: str) -> None:
    """The endpoint of streamable HTTP, the two of HTTP+SSE, and what lies below them."""
    assert door.passes(CALL, target=f"/time{rest}").target == rest


@pytest.mark.parametrize("rest", ["/rpc", "/rpc/", "/rpc/x", "/a/b", "/a/b/", "/a/b/c?x"])
def test_paths_that_an_entry_names(door: Door, rest: str) -> None:
    """`--path time=/rpc` opens that path and what lies below it, for that server alone."""
    assert door.passes(CALL, target=f"/time{rest}").target == rest
    door.backend.reset()
    door.refuses(door.post(CALL, target=f"/default{rest}"), *UNKNOWN)


def test_a_client_names_no_paths(door: Door) -> None:
    """X-Mcp-Paths is nginx's word alone, and no backend sees it."""
    for name in ("X-Mcp-Paths", "x-mcp-paths", "X_Mcp_Paths"):
        door.refuses(door.post(CALL, target="/default/admin", headers=((name, "/ /admin"),)), *UNKNOWN)
        door.refuses(door.post(CALL, target="/time/admin", headers=((name, "/ /admin"),)), *UNKNOWN)
        assert "x-mcp-paths" not in door.passes(CALL, headers=((name, "/"),)).names()
        door.backend.reset()


@pytest.mark.parametrize("rest", ["", "/", "/admin"])
def test_a_stranger_learns_nothing_of_paths(door: Door, rest: str) -> None:
    """Without a credential 401, without a grant on the server 403, as at the server's endpoint."""
    target = f"/time{rest}"
    for replace in ({"Authorization": None}, {"Authorization": "Bearer x"}):
        code = "TOKEN_MALFORMED" if replace["Authorization"] else "TOKEN_MISSING"
        door.refuses(door.post(CALL, target=target, replace=replace), 401, code)
    none = {"Authorization": f"Bearer {mint(scope='openid')}"}
    door.refuses(door.post(CALL, target=target, replace=none), 403, "ACCESS_DENIED")
    door.refuses(door.post(CALL, target=f"/secret{rest}"), 403, "ACCESS_DENIED")
    door.refuses(door.post(CALL, target=f"/nosuch{rest}"), 403, "SERVER_UNKNOWN")


def test_the_policy_is_not_told_at_a_path_that_is_closed(door: Door) -> None:
    """Which tools are granted is no matter there, nor what the message is."""
    for body in (call("evil"), call("granted"), rpc("unknown/method"), "{", "[]"):
        door.refuses(door.post(body, target="/time/admin"), *UNKNOWN)
    door.refuses(door.post(call("evil"), target="/time/mcp"), 403, "ACCESS_DENIED")


def test_a_large_message_to_a_path_that_is_closed(door: Door) -> None:
    """Refused before it is read."""
    big = compact(call(arguments={"x": "a" * 100_000}))
    door.refuses(door.post(big, target="/time/admin"), *UNKNOWN)
    assert door.passes(big).target == "/mcp"
