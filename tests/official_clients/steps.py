"""What each Python client does with a server, told as a dictionary. It knows none of them: each has its own packages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WATCHED = "test://watched-resource"
_heard: list[str] = []


async def told(message: Any) -> None:
    """Keep what the server says by itself; an older SDK wraps it."""
    params = getattr(getattr(message, "root", message), "params", None)
    _heard.append(str(getattr(params, "uri", "")))


async def call(done: dict[str, Any], tool: Callable[..., Awaitable[Any]], *, progress: str) -> None:
    """Call what any server has; `progress` is what this client's argument for a callback is named."""
    steps: list[float] = []

    async def step(at: float, total: float | None, message: str | None) -> None:
        steps.append(at)

    done["call"] = await said(tool("test_simple_text", {}))
    await tool("test_tool_with_progress", {}, **{progress: step})
    done["progress"] = steps


async def ask(done: dict[str, Any], tool: Callable[..., Awaitable[Any]], era: str) -> None:
    """Let the server ask: in the middle of a call, or, in the new era, by its answer."""
    if era == "legacy":
        done["sampling"] = await said(tool("test_sampling", {"prompt": "?"}))
        done["elicitation"] = await said(tool("test_elicitation", {"message": "?"}))
        done["resumption"] = await said(tool("test_reconnection", {}))
    else:
        done["sampling"] = await said(tool("test_input_required_result_sampling", {}))
        done["elicitation"] = await said(tool("test_input_required_result_elicitation", {}))


async def changed(tool: Callable[..., Awaitable[Any]]) -> str:
    """Return what is heard of a change to what was subscribed to."""
    await tool("test_trigger_resource_change", {})
    for _ in range(50):
        if WATCHED in _heard:
            return WATCHED
        await asyncio.sleep(0.1)  # between two looks at what was heard
    return str(_heard)


async def said(call: Awaitable[Any]) -> str:
    """Return what a tool says, or why it does not."""
    try:
        result = await asyncio.wait_for(call, 10)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return str(getattr(result.content[0], "text", result.content[0].type))
