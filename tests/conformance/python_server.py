"""What the suite asks of a server, with the official Python SDK: `python -m conformance.python_server PORT`."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Annotated, Any

import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field
from support.kept_events import KeptEvents

from conformance import input_required

Anything = Context[Any, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="

# The vocabulary of JSON Schema 2020-12 that must survive in a list.
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

TEXT = {"type": "string"}
PERSON = {"username": TEXT, "email": TEXT}
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
LABELLED = [{"const": "one", "title": "The first"}, {"const": "two", "title": "The second"}]
ENUMS = {
    "untitledSingle": {"type": "string", "enum": ["one", "two"]},
    "titledSingle": {"type": "string", "oneOf": LABELLED},
    "legacyEnum": {"type": "string", "enum": ["one", "two"], "enumNames": ["The first", "The second"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["one", "two"]}},
    "titledMulti": {"type": "array", "items": {"anyOf": LABELLED}},
}


def full() -> MCPServer[Any]:
    """Make the server."""
    structured = Tool.from_function(json_schema_2020_12_tool).model_copy(update={"parameters": SCHEMA})
    server: MCPServer[Any] = MCPServer("conformance", version="1", log_level="CRITICAL", tools=[structured])
    for tool in (*CONTENT, *LIVE, *CHANGES, *input_required.TOOLS):
        server.tool(structured_output=False)(tool)
    add_resources(server)
    add_prompts(server)
    add_old_methods(server)
    return server


# ---------------------------------------------------------------------------------------------------- content


def json_schema_2020_12_tool() -> str:
    """Show a schema."""
    return "seen"


def test_simple_text() -> str:
    """Answer with text."""
    return "This is a simple text response for testing."


def test_image_content() -> ImageContent:
    """Answer with an image."""
    return ImageContent(type="image", data=PNG, mime_type="image/png")


def test_audio_content() -> AudioContent:
    """Answer with a sound."""
    return AudioContent(type="audio", data=WAV, mime_type="audio/wav")


def embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    """Return a resource inside an answer."""
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    )


def test_embedded_resource() -> EmbeddedResource:
    """Answer with a resource."""
    return embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")


def test_multiple_content_types() -> list[Any]:
    """Answer with several things."""
    return [
        TextContent(type="text", text="Multiple content types test:"),
        test_image_content(),
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ]


def test_error_handling() -> str:
    """Fail."""
    raise ValueError("This tool intentionally returns an error for testing")


def test_x_mcp_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Be called with an argument that a header repeats."""
    return region


def test_missing_capability(ctx: Anything) -> str:
    """Need what the client has not declared."""
    declared = ctx.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "this needs sampling",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "declared"


CONTENT = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_x_mcp_header,
    test_missing_capability,
)

# ----------------------------------------------------------------------------------------- while a call is made


async def test_tool_with_logging(ctx: Anything) -> str:
    """Tell three things on the way."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", said, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)
    return "told"


async def test_logging_tool(ctx: Anything) -> str:
    """Tell something that only those hear who asked for it."""
    await ctx.session.send_log_message("info", "told", related_request_id=ctx.request_id)
    return "told"


async def test_tool_with_progress(ctx: Anything) -> str:
    """Report progress."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return "done"


async def test_sampling(prompt: str, ctx: Anything) -> str:
    """Ask the client's model."""
    messages = [SamplingMessage(role="user", content=TextContent(type="text", text=prompt))]
    answer = await ctx.session.create_message(
        messages, max_tokens=100, related_request_id=ctx.request_context.request_id
    )
    return f"LLM response: {getattr(answer.content, 'text', '')}"


async def asked(ctx: Anything, message: str, properties: dict[str, Any], required: list[str]) -> str:
    """Ask the person, and return what came back."""
    schema = {"type": "object", "properties": properties, "required": required}
    answer = await ctx.session.elicit_form(message, schema, ctx.request_context.request_id)
    return f"action={answer.action}, content={json.dumps(answer.content)}"


async def test_elicitation(message: str, ctx: Anything) -> str:
    """Ask for two things."""
    return f"User response: {await asked(ctx, message, PERSON, list(PERSON))}"


async def test_elicitation_sep1034_defaults(ctx: Anything) -> str:
    """Ask with defaults."""
    return f"Elicitation completed: {await asked(ctx, 'Are these right?', DEFAULTS, [])}"


async def test_elicitation_sep1330_enums(ctx: Anything) -> str:
    """Ask for a choice in each form that there is."""
    return f"Elicitation completed: {await asked(ctx, 'Which?', ENUMS, [])}"


async def test_reconnection(ctx: Anything) -> str:
    """End the stream in the middle of the call."""
    await asyncio.sleep(0.1)  # the stream has begun by then
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return "Reconnection test completed"


LIVE = (
    test_tool_with_logging,
    test_logging_tool,
    test_tool_with_progress,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_reconnection,
)


async def test_trigger_tool_change(ctx: Anything) -> str:
    """Say that the tools are others now."""
    await ctx.notify_tools_changed()
    return "changed"


async def test_trigger_prompt_change(ctx: Anything) -> str:
    """Say that the prompts are others now."""
    await ctx.notify_prompts_changed()
    return "changed"


CHANGES = (test_trigger_tool_change, test_trigger_prompt_change)

# -------------------------------------------------------------------------------------- resources and prompts


def add_resources(server: MCPServer[Any]) -> None:
    """Add text, bytes, a template, and one to subscribe to."""

    @server.resource("test://static-text", mime_type="text/plain")
    def text() -> str:
        """Be text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def binary() -> bytes:
        """Be bytes."""
        return base64.b64decode(PNG)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def templated(id: str) -> str:  # noqa: A002 - the template's own name
        """Be one of many."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """Be watched."""
        return "as before"


def add_prompts(server: MCPServer[Any]) -> None:
    """Add prompts of every content, and completion of an argument."""
    server.prompt()(input_required.test_input_required_result_prompt)

    @server.prompt()
    def test_simple_prompt() -> str:
        """Say a sentence."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Say what was given."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's name
        """Hold a resource."""
        resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[Message]:
        """Hold an image."""
        return [UserMessage(test_image_content()), UserMessage("Please analyze the image above.")]

    async def complete(ctx: object, params: CompleteRequestParams) -> CompleteResult:
        values = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
        return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))

    server._lowlevel_server.add_request_handler("completion/complete", CompleteRequestParams, complete)


def add_old_methods(server: MCPServer[Any]) -> None:
    """Add what the stateful era has and the new one has not."""

    async def heard(ctx: object, params: object) -> EmptyResult:
        return EmptyResult()

    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, heard)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, heard)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, heard)


if __name__ == "__main__":
    application = full().streamable_http_app(event_store=KeptEvents(), retry_interval=100)
    # h11 trims blanks around a header's value, as HTTP has it; httptools leaves those at its end.
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), http="h11", log_level="critical")
