"""What the official Python client, version 2, can do with a server: `python2.py URL TOKEN ERA`, told as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, TextContent

URL, TOKEN, ERA = sys.argv[1:]
WATCHED = "test://watched-resource"
heard: list[str] = []


async def elicited(context: object, params: object) -> ElicitResult:
    """Answer for a person."""
    return ElicitResult(action="accept", content={"username": "u", "email": "u@example.com", "name": "u"})


async def sampled(context: object, params: object) -> CreateMessageResult:
    """Answer for a model."""
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="model"), model="none")


async def told(message: Any) -> None:
    """Keep what the server says by itself."""
    heard.append(str(getattr(getattr(message, "params", None), "uri", "")))


async def main() -> dict[str, Any]:
    """Do everything once."""
    done: dict[str, Any] = {}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20) as http:
        client = Client(
            streamable_http_client(URL, http_client=http),
            mode="legacy" if ERA == "legacy" else "auto",
            elicitation_callback=elicited,
            sampling_callback=sampled,
            message_handler=told,
        )
        async with client:
            done["version"] = client.protocol_version
            await fill(client, done)
    return done


async def fill(client: Client, done: dict[str, Any]) -> None:
    """Do what there is to do in a session."""
    done["list"] = [tool.name for tool in (await client.list_tools()).tools]
    done["call"] = await said(client, "test_simple_text")
    done["denied"] = await said(client, "test_image_content")
    steps: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)
    done["progress"] = steps
    if ERA == "legacy":
        done["sampling"] = await said(client, "test_sampling", prompt="?")
        done["elicitation"] = await said(client, "test_elicitation", message="?")
        done["resumption"] = await said(client, "test_reconnection")
        await client.subscribe_resource(WATCHED)
        done["subscription"] = await changed(client)
    else:
        done["sampling"] = await said(client, "test_input_required_result_sampling")
        done["elicitation"] = await said(client, "test_input_required_result_elicitation")
        async with client.listen(resource_subscriptions=[WATCHED]) as events:
            await client.call_tool("test_trigger_resource_change", {})
            event = await asyncio.wait_for(anext(aiter(events)), 5)
            done["subscription"] = getattr(event, "uri", str(event))


async def changed(client: Client) -> str:
    """Return what is heard of a change."""
    await client.call_tool("test_trigger_resource_change", {})
    for _ in range(50):
        if WATCHED in heard:
            break
        await asyncio.sleep(0.1)
    return WATCHED if WATCHED in heard else str(heard)


async def said(client: Client, tool: str, **arguments: Any) -> str:
    """Return what a tool says, or why it does not."""
    try:
        result = await asyncio.wait_for(client.call_tool(tool, arguments), 10)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return str(getattr(result.content[0], "text", result.content[0].type))


print(json.dumps(asyncio.run(main())))
