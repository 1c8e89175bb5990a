"""The chart of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

    from bench.results import Share

_OURS, _OTHERS = "#1f6f5c", "#9aa5ab"


def draw(shares: list[Share], file: Path) -> None:
    """Draw the throughputs as shares, with the least and the most of the rounds, as SVG."""
    mpl.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "svg.fonttype": "none"})
    panels = list(dict.fromkeys(share.panel for share in shares))
    heights = [sum(share.panel == panel for share in shares) for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 0.9 + 0.38 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        own = [share for share in shares if share.panel == panel][::-1]
        medians = [share.figure.median for share in own]
        low = [share.figure.median - min(share.figure.values) for share in own]
        high = [max(share.figure.values) - share.figure.median for share in own]
        axis.barh(
            [share.name for share in own],
            medians,
            xerr=[low, high],
            color=[_OURS if share.ours else _OTHERS for share in own],
            error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
        )
        for place, median in enumerate(medians):
            axis.annotate(
                f"{median:.2f}",
                (median + high[place], place),
                (4, 0),
                textcoords="offset points",
                va="center",
            )
        axis.margins(x=0.08)  # room for the numbers
        axis.set_title(f"throughput {panel}", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
