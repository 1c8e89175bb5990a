"""Lists of names as scopes.yml writes them: exact, `prefix*`, or `*` for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Patterns:
    """A compiled list; a look-up costs one hash per distinct prefix length, whatever the list's size.

    `*` is the prefix of length 0, so that it needs no case of its own.
    """

    exact: frozenset[str]
    prefixes: frozenset[str]
    lengths: tuple[int, ...]

    @classmethod
    def compile(cls, items: Iterable[str]) -> Patterns:
        """Compile names and prefixes; raises ValueError where a `*` stands anywhere but at the end."""
        exact: set[str] = set()
        prefixes: set[str] = set()
        for item in items:
            body, star = (item[:-1], True) if item.endswith("*") else (item, False)
            if "*" in body or not item:
                raise ValueError(item)
            (prefixes if star else exact).add(body)
        return cls(frozenset(exact), frozenset(prefixes), tuple(sorted({len(p) for p in prefixes})))

    def __contains__(self, name: str) -> bool:
        if name in self.exact:
            return True
        return any(name[:length] in self.prefixes for length in self.lengths)

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefixes)

    @property
    def covers_all(self) -> bool:
        """True where the list holds `*`."""
        return "" in self.prefixes

    def sources(self) -> list[str]:
        """Return the list as it would be written, sorted."""
        return sorted(self.exact) + sorted(f"{prefix}*" for prefix in self.prefixes)


NOTHING = Patterns(frozenset(), frozenset(), ())
