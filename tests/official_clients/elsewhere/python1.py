"""What the official Python client, version 1, can do with a server: `python1.py URL TOKEN ERA`, told as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, TextContent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL, TOKEN, _ = sys.argv[1:]
WATCHED = "test://watched-resource"
heard: list[str] = []


async def elicited(context: object, params: object) -> ElicitResult:
    """Answer for a person."""
    return ElicitResult(action="accept", content={"username": "u", "email": "u@example.com"})


async def sampled(context: object, params: object) -> CreateMessageResult:
    """Answer for a model."""
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="model"), model="none")


async def told(message: Any) -> None:
    """Keep what the server says by itself."""
    heard.append(str(getattr(getattr(getattr(message, "root", None), "params", None), "uri", "")))


@contextlib.asynccontextmanager
async def connected(done: dict[str, Any]) -> AsyncIterator[ClientSession]:
    """Begin a session."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as http:
        async with streamable_http_client(URL, http_client=http) as (read, write, _):
            async with ClientSession(
                read, write, sampling_callback=sampled, elicitation_callback=elicited, message_handler=told
            ) as session:
                done["version"] = (await session.initialize()).protocolVersion
                yield session


async def main() -> dict[str, Any]:
    """Do everything once."""
    done: dict[str, Any] = {}
    async with connected(done) as session:
        await fill(session, done)
    try:
        async with connected({}) as session:
            done["denied"] = await said(session, "test_image_content")
    except BaseException as error:  # noqa: BLE001 - the whole session ends
        done["denied"] = f"the session ends: {type(error).__name__}"
    return done


async def fill(session: ClientSession, done: dict[str, Any]) -> None:
    """Do what there is to do in a session; what is denied ends it, and is done in another."""
    done["list"] = [tool.name for tool in (await session.list_tools()).tools]
    done["call"] = await said(session, "test_simple_text")
    steps: list[float] = []

    async def progress(step: float, total: float | None, message: str | None) -> None:
        steps.append(step)

    await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
    done["progress"] = steps
    done["sampling"] = await said(session, "test_sampling", prompt="?")
    done["elicitation"] = await said(session, "test_elicitation", message="?")
    done["resumption"] = await said(session, "test_reconnection")
    await session.subscribe_resource(WATCHED)
    await session.call_tool("test_trigger_resource_change", {})
    for _ in range(50):
        if WATCHED in heard:
            break
        await asyncio.sleep(0.1)
    done["subscription"] = WATCHED if WATCHED in heard else str(heard)


async def said(session: ClientSession, tool: str, **arguments: Any) -> str:
    """Return what a tool says, or why it does not."""
    try:
        result = await asyncio.wait_for(session.call_tool(tool, arguments), 10)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return str(getattr(result.content[0], "text", result.content[0].type))


print(json.dumps(asyncio.run(main())))
