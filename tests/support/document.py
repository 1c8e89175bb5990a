"""A page of docs/: its tables and its programs, for tests that hold it to what happens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from support.repository import ROOT


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a page."""

    text: str

    @classmethod
    def of(cls, path: str) -> Document:
        """Read the page at this path of the checkout."""
        return cls((ROOT / path).read_text())

    def table(self, *columns: str) -> list[list[str]]:
        """Return the cells of the one table whose first columns have these titles."""
        begin = "| " + " | ".join(columns) + " |"
        (found,) = [table for table in self._tables() if table[0].startswith(begin)]
        return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in found[2:]]

    def tables(self, *columns: str) -> list[list[list[str]]]:
        """Return the cells of each table that has these columns and no others."""
        begin = "| " + " | ".join(columns) + " |"
        found = [table[2:] for table in self._tables() if table[0] == begin]
        return [[line.strip("| ").split(" | ") for line in table] for table in found]

    def programs(self, language: str) -> list[str]:
        """Return the programs in this language."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    def _tables(self) -> list[list[str]]:
        return [found.splitlines() for found in re.findall(r"(?:^\|.*\n)+", self.text, re.MULTILINE)]


def names(cell: str) -> list[str]:
    """Return what stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


def literal(cell: str) -> str:
    """Return the one such thing in a cell."""
    (found,) = names(cell)
    return found


BACKEND = Document.of("docs/what-a-backend-sees.md")
