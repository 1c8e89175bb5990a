"""What a policy says of a call, and the rule that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_server.policy.patterns import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_server.model import Kind
    from auth_server.policy.patterns import Patterns


@dataclass(frozen=True, slots=True)
class Grant:
    """One entry under a scope in scopes.yml: its lists, and the line where it starts."""

    scope: str
    server: Patterns
    methods: Patterns
    lists: Mapping[Kind, Patterns]
    line: int

    def names(self, kind: Kind) -> Patterns:
        """Return the list that holds this grant's targets of that kind."""
        return self.lists.get(kind, NOTHING)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The call may go on; `grant` is the rule that says so."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Denied:
    """The call may not go on; `reason` says what is missing."""

    reason: str
    server_known: bool = True


Decision = Allowed | Denied
