"""URI templates (RFC 6570), and whether one could stand for a resource that a list holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_server.policy.dot_segments import has_dot_segments

if TYPE_CHECKING:
    from auth_server.policy.patterns import Patterns

# What a brace opens may become any text, or none. One that is never closed may as well.
_EXPRESSION = re.compile(r"\{[^}]*(?:\}|\Z)")


def could_match(template: str, patterns: Patterns) -> bool:
    """Tell whether some URI that the template stands for is in the list."""
    literals = _EXPRESSION.split(template)
    if any(_stands_for(literals, name) for name in patterns.exact):
        return True
    if not patterns.covers_all and has_dot_segments("x".join(literals)):
        return False  # a server resolves them; only the exact name stands for such a one
    if len(literals) == 1:
        return any(template.startswith(prefix) for prefix in patterns.prefixes)
    begin = literals[0]
    return any(begin.startswith(prefix) or prefix.startswith(begin) for prefix in patterns.prefixes)


def _stands_for(literals: list[str], name: str) -> bool:
    """Tell whether the name is these texts in their order, with anything between; in linear time."""
    first, *middle, last = [*literals, ""] if len(literals) == 1 else literals
    if len(literals) == 1:
        return name == first
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for literal in middle:
        found = name.find(literal, at, end)
        if found < 0:
            return False
        at = found + len(literal)
    return True
