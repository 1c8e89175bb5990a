"""JSON with one meaning: what two readers could understand differently is not JSON here."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that these bytes are in UTF-8 (RFC 8259; I-JSON, RFC 7493, section 2).

    Raises ValueError for anything else: another encoding or a byte order mark, duplicate names at any depth,
    NaN and Infinity, lone surrogates, nesting or digits without end. The message holds none of the text.
    """
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("not JSON in UTF-8 with unique names") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the type of the text's value, not of the argument
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate names")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
