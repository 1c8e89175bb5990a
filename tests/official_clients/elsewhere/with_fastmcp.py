"""What fastmcp's client can do with a server: `with_fastmcp.py URL TOKEN ERA`, told as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

URL, TOKEN, ERA = sys.argv[1:]
WATCHED = "test://watched-resource"
heard: list[str] = []


async def elicited(message: str, kind: Any, params: Any, context: object) -> dict[str, str]:
    """Answer for a person."""
    fields = params.requested_schema["properties"]
    return {name: "u@example.com" if name == "email" else "u" for name in fields}


async def sampled(messages: object, params: object, context: object) -> str:
    """Answer for a model."""
    return "model"


async def told(message: Any) -> None:
    """Keep what the server says by itself."""
    heard.append(str(getattr(getattr(message, "params", None), "uri", "")))


async def main() -> dict[str, Any]:
    """Do everything once."""
    done: dict[str, Any] = {}
    client = Client(
        StreamableHttpTransport(URL, headers={"Authorization": f"Bearer {TOKEN}"}),
        mode="legacy" if ERA == "legacy" else "auto",
        sampling_handler=sampled,
        elicitation_handler=elicited,
        message_handler=told,
    )
    async with client:
        done["version"] = client.protocol_version
        done["list"] = [tool.name for tool in await client.list_tools()]
        done["call"] = await said(client, "test_simple_text")
        done["denied"] = await said(client, "test_image_content")
        steps: list[float] = []

        async def progress(step: float, total: float | None, message: str | None) -> None:
            steps.append(step)

        await client.call_tool("test_tool_with_progress", {}, progress_handler=progress)
        done["progress"] = steps
        if ERA == "legacy":
            done["sampling"] = await said(client, "test_sampling", prompt="?")
            done["elicitation"] = await said(client, "test_elicitation", message="?")
            done["resumption"] = await said(client, "test_reconnection")
            await client.session.subscribe_resource(WATCHED)
            await client.call_tool("test_trigger_resource_change", {})
            for _ in range(50):
                if WATCHED in heard:
                    break
                await asyncio.sleep(0.1)
            done["subscription"] = WATCHED if WATCHED in heard else str(heard)
        else:
            done["sampling"] = await said(client, "test_input_required_result_sampling")
            done["elicitation"] = await said(client, "test_input_required_result_elicitation")
    return done


async def said(client: Client[Any], tool: str, **arguments: Any) -> str:
    """Return what a tool says, or why it does not."""
    try:
        result = await asyncio.wait_for(client.call_tool(tool, arguments), 10)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return str(getattr(result.content[0], "text", result.content[0].type))


print(json.dumps(asyncio.run(main())))
