"""Whatever the gateway lets through, its backend reads as what was judged (all readers: tests/validate)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from support import raw
from support.crooked_messages import crooked_messages
from support.json_readers import PYTHONS, Call, called

if TYPE_CHECKING:
    from support.door import Door

# What scopes.yml of these tests grants, beside the handshake.
GRANTED = {
    "tools/call": {"granted"},
    "prompts/get": {"greet"},
    "resources/read": {"doc://open", "doc://other"},
    "resources/subscribe": {"doc://open", "doc://other"},
    "completion/complete": {"ref/prompt", "greet", "ref/resource", "doc://open", "doc://other"},
    "subscriptions/listen": {"doc://open", "doc://other"},
}
BY_METHOD_ALONE = {None, "tools/list", "tasks/get", "initialize", "ping", "notifications/cancelled"}


def granted(call: Call) -> bool:
    """Tell whether that call may pass, evaluated naively."""
    return call.method in BY_METHOD_ALONE or GRANTED.get(call.method or "", set()).issuperset(call.about)


def test_what_reaches_the_backend_is_granted_as_any_reader_reads_it(door: Door) -> None:
    """Of 400 crooked messages, those that pass arrive as sent, are one call to all readers, and a granted one."""
    passed = []
    for body in crooked_messages(400, 400):
        answer = raw.exchange(door.gateway.address, door.message(body))
        assert answer.status in {200, 400, 403}, (answer, body)
        if answer.status == 200:
            passed.append((body, door.backend.only()))
        else:
            assert door.backend.requests == [], body
        door.backend.reset()
    assert len(passed) > 80, "hardly anything passes: the messages are too crooked"
    for name, read in PYTHONS.items():
        for (body, seen), call in zip(passed, map(called, read([body for body, _ in passed])), strict=True):
            assert seen.body == body
            if call is not None:
                assert granted(call), (name, body, call)
                tool = call.about[0] if call.method == "tools/call" else ""
                assert unquote(seen.header("X-Tool-Name") or "") == tool, (name, body)
