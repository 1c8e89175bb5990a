"""Changes one thing at a time, and looks whether a test notices."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One change: in this file, from this byte to that, another text."""

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it also where lines have moved."""
        return self.file, " ".join(self.before.split()), " ".join(self.after.split())

    def __str__(self) -> str:
        file, before, after = self.key
        return f"{file}:{self.line}: {before[:100]}  →  {after[:100] or 'nothing'}"
