"""What a client saw → what of MCP works for it."""

from __future__ import annotations

from dataclasses import dataclass

FEATURES = (
    *("list", "call", "denied call", "progress", "sampling", "elicitation", "resumption", "subscription"),
    "DELETE",
)
GRANTED, DENIED = "test_simple_text", "test_image_content"
WORKS, ABSENT = "yes", "-"
VERSIONS = {"legacy": "2025-11-25", "modern": "2026-07-28"}
STATEFUL = frozenset({"resumption", "DELETE"})  # 2026-07-28 has no sessions
_SAID = {
    "call": "This is a simple text response for testing.",
    "sampling": "model",
    "elicitation": "u",
    "resumption": "Reconnection test completed",
    "subscription": "test://watched-resource",
}


# What is lost as the contract has it today, and why.
KNOWN = {
    (
        "Python, mcp 1",
        "denied call",
    ): "a 403 ends its session; DENIED_CALLS will answer such clients otherwise",
}


@dataclass(frozen=True)
class Row:
    """A client in one era, direct and through."""

    client: str
    era: str
    direct: dict[str, str]
    through: dict[str, str]

    @property
    def lost(self) -> list[str]:
        """What works direct and not through."""
        return [f for f in FEATURES if self.direct[f] == WORKS and self.through[f] != WORKS]

    @property
    def unexplained(self) -> list[str]:
        """What of it nothing explains."""
        return [feature for feature in self.lost if (self.client, feature) not in KNOWN]

    def told(self) -> str:
        """Say it in a line, and why."""
        lines = [_line(self)]
        for way, cells in (("direct", self.direct), ("through", self.through)):
            lines += [f"  {way}: {f}: {cells[f]}" for f in FEATURES if cells[f] not in {WORKS, ABSENT}]
        return "\n".join(lines)


def of(seen: dict[str, object], era: str, *, cut: bool) -> dict[str, str]:
    """Say of each feature whether it works; `cut` where a gateway denies one tool."""
    if "error" in seen:
        return dict.fromkeys(FEATURES, f"failed: {seen['error']}")
    if seen.get("version", VERSIONS[era]) != VERSIONS[era]:
        return dict.fromkeys(FEATURES, f"failed: it speaks {seen['version']}")
    return {feature: _works(feature, seen, era, cut=cut) for feature in FEATURES}


def _works(feature: str, seen: dict[str, object], era: str, *, cut: bool) -> str:
    if era == "modern" and feature in STATEFUL:
        return ABSENT
    found = seen.get("denied" if feature == "denied call" else feature)
    if found is None:
        return ABSENT
    match feature:
        case "list":
            good = isinstance(found, list) and GRANTED in found and (DENIED in found) != cut
        case "denied call":
            good = (DENIED in str(found)) if cut else found == "image"
        case "progress":
            good = found == [0, 50, 100]
        case "DELETE":
            good = found is True
        case _:
            good = _SAID[feature] in str(found)
    return WORKS if good else f"no: {found}"


def table(rows: list[Row]) -> str:
    """Return the table: in each cell direct and through, once where they are the same."""
    head = f"| client | era | {' | '.join(FEATURES)} |"
    return "\n".join([head, "| --- " * (len(FEATURES) + 2) + "|", *map(_line, rows)])


def _line(row: Row) -> str:
    cells = []
    for feature in FEATURES:
        direct, through = (cells[feature].partition(":")[0] for cells in (row.direct, row.through))
        cells.append(direct if direct == through else f"{direct} · {through}")
    return f"| {row.client} | {row.era} | {' | '.join(cells)} |"
