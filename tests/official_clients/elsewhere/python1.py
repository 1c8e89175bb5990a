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

from official_clients import steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL, TOKEN, ERA = sys.argv[1:]


async def elicited(context: object, params: object) -> ElicitResult:
    """Answer for a person."""
    return ElicitResult(action="accept", content={"username": "u", "email": "u@example.com"})


async def sampled(context: object, params: object) -> CreateMessageResult:
    """Answer for a model."""
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="model"), model="none")


@contextlib.asynccontextmanager
async def connected(done: dict[str, Any]) -> AsyncIterator[ClientSession]:
    """Begin a session."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as http:
        async with streamable_http_client(URL, http_client=http) as (read, write, _):
            async with ClientSession(
                read,
                write,
                sampling_callback=sampled,
                elicitation_callback=elicited,
                message_handler=steps.told,
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
            done["denied"] = await steps.said(session.call_tool("test_image_content", {}))
    except BaseException as error:  # noqa: BLE001 - the whole session ends
        done["denied"] = f"the session ends: {type(error).__name__}"
    return done


async def fill(session: ClientSession, done: dict[str, Any]) -> None:
    """Do what there is to do in a session; what is denied ends it, and is done in another."""
    done["list"] = [tool.name for tool in (await session.list_tools()).tools]
    await steps.call(done, session.call_tool, progress="progress_callback")
    await steps.ask(done, session.call_tool, ERA)
    await session.subscribe_resource(steps.WATCHED)
    done["subscription"] = await steps.changed(session.call_tool)


print(json.dumps(asyncio.run(main())))
