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

from official_clients import steps

URL, TOKEN, ERA = sys.argv[1:]


async def elicited(context: object, params: object) -> ElicitResult:
    """Answer for a person."""
    return ElicitResult(action="accept", content={"username": "u", "email": "u@example.com", "name": "u"})


async def sampled(context: object, params: object) -> CreateMessageResult:
    """Answer for a model."""
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="model"), model="none")


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
            message_handler=steps.told,
        )
        async with client:
            done["version"] = client.protocol_version
            await fill(client, done)
    return done


async def fill(client: Client, done: dict[str, Any]) -> None:
    """Do what there is to do in a session."""
    done["list"] = [tool.name for tool in (await client.list_tools()).tools]
    done["denied"] = await steps.said(client.call_tool("test_image_content", {}))
    await steps.call(done, client.call_tool, progress="progress_callback")
    await steps.ask(done, client.call_tool, ERA)
    if ERA == "legacy":
        await client.subscribe_resource(steps.WATCHED)
        done["subscription"] = await steps.changed(client.call_tool)
    else:
        async with client.listen(resource_subscriptions=[steps.WATCHED]) as events:
            await client.call_tool("test_trigger_resource_change", {})
            event = await asyncio.wait_for(anext(aiter(events)), 5)
            done["subscription"] = getattr(event, "uri", str(event))


print(json.dumps(asyncio.run(main())))
