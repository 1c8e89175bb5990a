"""What fastmcp's client can do with a server: `with_fastmcp.py URL TOKEN ERA`, told as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from official_clients import steps

URL, TOKEN, ERA = sys.argv[1:]


async def elicited(message: str, kind: Any, params: Any, context: object) -> dict[str, str]:
    """Answer for a person."""
    fields = params.requested_schema["properties"]
    return {name: "u@example.com" if name == "email" else "u" for name in fields}


async def sampled(messages: object, params: object, context: object) -> str:
    """Answer for a model."""
    return "model"


async def main() -> dict[str, Any]:
    """Do everything once."""
    done: dict[str, Any] = {}
    client = Client(
        StreamableHttpTransport(URL, headers={"Authorization": f"Bearer {TOKEN}"}),
        mode="legacy" if ERA == "legacy" else "auto",
        sampling_handler=sampled,
        elicitation_handler=elicited,
        message_handler=steps.told,
    )
    async with client:
        done["version"] = client.protocol_version
        done["list"] = [tool.name for tool in await client.list_tools()]
        done["denied"] = await steps.said(client.call_tool("test_image_content", {}))
        await steps.call(done, client.call_tool, progress="progress_handler")
        await steps.ask(done, client.call_tool, ERA)
        if ERA == "legacy":
            await client.session.subscribe_resource(steps.WATCHED)
            done["subscription"] = await steps.changed(client.call_tool)
    return done


print(json.dumps(asyncio.run(main())))
