"""What programs in other languages read in a message: each at its most lenient, and with its own library.

A reader takes bodies and writes a line for each: the members that decide, tagged with their type, and `!` where
it refuses. `called` says what a backend would do that got its message from this reader.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import struct
import subprocess
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from mcp import types
from pydantic import ValidationError

HERE = Path(__file__).parent
BUILT = HERE.parents[2] / ".state" / "json_readers"
JACKSON = "/usr/share/java/*"  # where Debian has its libraries
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # for a program that runs for a second

NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
    "tasks/result": "taskId",
}

Reader = Callable[[list[bytes]], list[str]]


class Call(NamedTuple):
    """What a message makes a backend do: a method, for whom to answer, and everything that it is about."""

    method: str | None
    id: str | float | None
    about: tuple[Any, ...] = ()


@cache
def called(line: str) -> Call | None:
    """Return what follows from a reader's line, None where it refused the body."""
    if line == "!":
        return None
    method, rpc_id, name, uri, task, kind, ref_name, ref_uri, *subscriptions = map(
        _value, line.split("\t")[:-1]
    )
    if not isinstance(method, str):
        return Call(None, rpc_id)
    match method:
        case "completion/complete":
            return Call(method, rpc_id, (kind, ref_uri if kind == "ref/resource" else ref_name))
        case "subscriptions/listen":
            return Call(method, rpc_id, tuple(dict.fromkeys(subscriptions)))
    named = {"name": name, "uri": uri, "taskId": task}
    return Call(method, rpc_id, (named[NAMED_BY[method]],) if method in NAMED_BY else ())


def _value(tagged: str) -> str | float | None:
    match tagged[:1]:
        case "s":
            return bytes.fromhex(tagged[1:]).decode(errors="replace")
        case "n":
            return float(tagged[1:])
    return None


# -------------------------------------------------------------------------------------------------- Python's


def _line(message: Any) -> str:
    params = _member(message, "params")
    ref = _member(params, "ref")
    subscriptions = _member(_member(params, "notifications"), "resourceSubscriptions")
    deciding = [_member(message, "method"), _member(message, "id")]
    deciding += [_member(params, key) for key in ("name", "uri", "taskId")]
    deciding += [_member(ref, key) for key in ("type", "name", "uri")]
    deciding += subscriptions if isinstance(subscriptions, list) else []
    return "".join(f"{_tagged(value)}\t" for value in deciding)


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _tagged(value: Any) -> str:
    if isinstance(value, str):
        return f"s{value.encode('utf-8', 'surrogatepass').hex()}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"n{value}"
    return "" if value is None else "o"


def _last_key(body: bytes) -> Any:
    return json.loads(body, strict=False)


def _first_key(body: bytes) -> Any:
    return json.loads(body, strict=False, object_pairs_hook=lambda pairs: dict(reversed(pairs)))


def _mcp(body: bytes) -> Any:
    """Read as Python's SDK does, field by field where it knows the method."""
    message = types.jsonrpc_message_adapter.validate_json(body)
    read = message.model_dump(by_alias=True)
    try:
        request = types.client_request_adapter.validate_python(
            {key: read.get(key) for key in ("method", "params")}
        )
    except ValidationError:
        return read
    return read | {"params": request.model_dump(by_alias=True, mode="json").get("params")}


def _in_python(read: Callable[[bytes], Any], bodies: Iterable[bytes]) -> list[str]:
    lines = []
    for body in bodies:
        try:
            lines.append(_line(read(body)))
        except (ValueError, RecursionError):
            lines.append("!")
    return lines


PYTHONS: dict[str, Reader] = {
    "Python, last key": partial(_in_python, _last_key),
    "Python, first key": partial(_in_python, _first_key),
    "Python's mcp": partial(_in_python, _mcp),
}

# ---------------------------------------------------------------------------------------- other languages'


def _in_program(command: list[str], bodies: Iterable[bytes]) -> list[str]:
    packed = b"".join(struct.pack("<I", len(body)) + body for body in bodies)
    done = subprocess.run(command, input=packed, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


def readers() -> dict[str, Reader]:
    """Return all of them by name; what has to be compiled is, where that was not done yet."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT.with_suffix(".lock")).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _build("cjson.c", "gcc", "-O2", "-o", str(BUILT / "cjson"), "cjson.c", "-lcjson")
        _build("encoding_json.go", "go", "build", "-o", str(BUILT / "encoding_json"), "encoding_json.go")
        _build("Jackson.java", "javac", "-cp", JACKSON, "-d", str(BUILT), "Jackson.java")
    commands = {
        "cJSON": [str(BUILT / "cjson")],
        "cJSON, exact": [str(BUILT / "cjson"), "exact"],
        "Go": [str(BUILT / "encoding_json")],
        "JavaScript": ["node", str(HERE / "json_parse.js")],
        "Jackson": ["java", *QUICK_START, "-cp", f"{JACKSON}:{BUILT}", "Jackson"],
    }
    return PYTHONS | {name: partial(_in_program, command) for name, command in commands.items()}


def _build(source: str, *command: str) -> None:
    built = BUILT / f"{source}.{hashlib.sha256((HERE / source).read_bytes()).hexdigest()}"
    if not built.exists():
        subprocess.run(command, cwd=HERE, check=True)
        built.touch()
