"""What asks the client in its own answer (MCP 2026-07-28, SEP-2322), with the official Python SDK."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

Anything = Context[Any, Any]
Asked = InputRequiredResult


def person(message: str, field: str, kind: str = "string") -> ElicitRequest:
    """Return what asks the person for one field."""
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def model(question: str, most: int) -> CreateMessageRequest:
    """Return what asks the client's model."""
    said = SamplingMessage(role="user", content=TextContent(type="text", text=question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[said], max_tokens=most))


def given(ctx: Anything, key: str, kind: type[Any]) -> Any:
    """Return the client's answer to this question, None where it is missing or of another kind."""
    found = (ctx.input_responses or {}).get(key)
    return found if isinstance(found, kind) else None


NAME = person("What is your name?", "name")
CONFIRM = person("Please confirm", "ok", "boolean")


def test_input_required_result_elicitation(ctx: Anything) -> str | Asked:
    """Ask for a name."""
    answer = given(ctx, "user_name", ElicitResult)
    if answer is None:
        return Asked(input_requests={"user_name": NAME})
    return f"Hello, {(answer.content or {}).get('name')}!"


def test_streaming_elicitation(ctx: Anything) -> str | Asked:
    """Ask for a name in a stream."""
    return test_input_required_result_elicitation(ctx)


def test_input_required_result_sampling(ctx: Anything) -> str | Asked:
    """Ask the client's model."""
    answer = given(ctx, "capital_question", CreateMessageResult)
    if answer is None:
        return Asked(input_requests={"capital_question": model("What is the capital of France?", 100)})
    return str(getattr(answer.content, "text", ""))


def test_input_required_result_list_roots(ctx: Anything) -> str | Asked:
    """Ask for the client's folders."""
    answer = given(ctx, "client_roots", ListRootsResult)
    if answer is None:
        return Asked(input_requests={"client_roots": ListRootsRequest()})
    return ", ".join(str(root.uri) for root in answer.roots)


def test_input_required_result_request_state(ctx: Anything) -> str | Asked:
    """Remember between two rounds."""
    if given(ctx, "confirm", ElicitResult) is None or ctx.request_state != "first":
        return Asked(input_requests={"confirm": CONFIRM}, request_state="first")
    return "state-ok"


def test_input_required_result_tampered_state(ctx: Anything) -> str | Asked:
    """Remember between two rounds; the SDK refuses a state that is not its own."""
    return test_input_required_result_request_state(ctx)


def test_input_required_result_multiple_inputs(ctx: Anything) -> str | Asked:
    """Ask for everything at once."""
    answers = (
        given(ctx, "user_name", ElicitResult),
        given(ctx, "greeting", CreateMessageResult),
        given(ctx, "client_roots", ListRootsResult),
    )
    if None in answers:
        asked: dict[str, Any] = {"user_name": NAME, "greeting": model("Generate a greeting", 50)}
        return Asked(input_requests={**asked, "client_roots": ListRootsRequest()}, request_state="all")
    return "all there"


def test_input_required_result_multi_round(ctx: Anything) -> str | Asked:
    """Ask twice."""
    if ctx.request_state == "second" and given(ctx, "step2", ElicitResult):
        return "both there"
    if ctx.request_state == "first" and given(ctx, "step1", ElicitResult):
        colour = person("Step 2: What is your favorite color?", "color")
        return Asked(input_requests={"step2": colour}, request_state="second")
    return Asked(
        input_requests={"step1": person("Step 1: What is your name?", "name")}, request_state="first"
    )


def test_input_required_result_capabilities(ctx: Anything) -> str | Asked:
    """Ask only for what the client can do."""
    declared = ctx.client_capabilities
    asked: dict[str, Any] = {}
    if declared is not None and declared.sampling is not None:
        asked["greeting"] = model("Generate a greeting", 50)
    if declared is not None and declared.elicitation is not None:
        asked["user_name"] = NAME
    return Asked(input_requests=asked) if asked else "nothing to ask for"


def test_input_required_result_prompt(ctx: Anything) -> str | Asked:
    """Ask in a prompt."""
    answer = given(ctx, "user_context", ElicitResult)
    if answer is None:
        question = person("What context should the prompt use?", "context")
        return Asked(input_requests={"user_context": question})
    return f"In this context: {(answer.content or {}).get('context')}"


TOOLS = (
    test_input_required_result_elicitation,
    test_streaming_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
)
