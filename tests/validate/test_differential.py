"""What is let through means the same to whoever reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.crooked_messages import crooked_messages
from support.json_readers import Call, called, readers

from auth_server.errors import InvalidRequest
from auth_server.model import Kind
from auth_server.validate import message

if TYPE_CHECKING:
    from support.json_readers import Reader

pytestmark = pytest.mark.untraced


@pytest.fixture(scope="module")
def every_reader() -> dict[str, Reader]:
    return readers()


def judged(body: bytes) -> Call | None:
    """Return the call that is judged, None where the body is refused."""
    try:
        envelope = message.parse(body)
        asked = message.describe(envelope)
    except InvalidRequest:
        return None
    rpc_id = json.loads(envelope.id, parse_int=float) if envelope.id else None
    about = tuple(name.value for name in asked.names) or ((asked.name,) if asked.name else ())
    if asked.method == "completion/complete":
        about = ("ref/prompt" if asked.names[0].kind is Kind.PROMPTS else "ref/resource", *about)
    return Call(asked.method, rpc_id, about)


@pytest.mark.parametrize("seed", range(1, 6))
def test_no_reader_sees_another_call(every_reader: dict[str, Reader], seed: int) -> None:
    """Of 105,000 crooked messages, those that pass are one call to every reader that takes them at all."""
    calls = {body: call for body in crooked_messages(seed, 21_000) if (call := judged(body))}
    assert len(calls) > 5_000, "hardly anything passes: the messages are too crooked"
    for name, read in every_reader.items():
        lines = read(list(calls))
        taken = [
            (body, call, found)
            for (body, call), found in zip(calls.items(), map(called, lines), strict=True)
            if found is not None
        ]
        assert len(taken) > len(calls) / 2, f"{name} refuses most of them"
        assert [one for one in taken if one[1] != one[2]] == [], name


def test_each_reader_would_be_deceived_by_what_is_refused(every_reader: dict[str, Reader]) -> None:
    """Among the messages that are refused, each reader takes some for another call than others do."""
    refused = [body for body in crooked_messages(0, 10_000) if judged(body) is None]
    seen = {name: list(map(called, read(refused))) for name, read in every_reader.items()}
    for name, calls in seen.items():
        others = [their for other, their in seen.items() if other != name]
        assert any(
            call is not None and any(one not in {call, None} for one in found)
            for call, *found in zip(calls, *others, strict=True)
        ), f"{name} is never deceived"
