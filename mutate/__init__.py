"""Changes one thing at a time, and looks whether a test notices."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One change: in this file, from this byte to that, another text. `said` is the line as it stands."""

    file: str
    line: int
    said: str
    start: int
    end: int
    before: str
    after: str

    @property
    def change(self) -> str:
        """What was and what is, in one line."""
        return f"{' '.join(self.before.split())} → {' '.join(self.after.split()) or 'nothing'}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}"
