"""The figure of the critique audit: cosines with the own response and with another one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wim.display.plotting import GREY, PALETTE, figure_at

if TYPE_CHECKING:
    from wim.evaluation.audit import Audit


def draw_critiques(audits: "Mapping[str, Audit]", path: Path) -> None:
    """Draw a row for each judge: its critiques' cosines with their own and a shuffled response."""
    import numpy as np

    rows = max(1, len(audits))
    with figure_at(path, 7.5, 0.9 + 1.6 * rows) as figure:
        grid = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        if not audits:
            grid[0].text(0.5, 0.5, "no judge writes critiques", ha="center", color=GREY)
        for axes, (judge, audit) in zip(grid, audits.items(), strict=False):
            axes.set_title(judge, loc="left", fontsize=11, fontweight="bold")
            axes.set_ylabel("critiques (%)", fontsize=9.5)
            sides = {"own response": audit.own_counts, "another prompt's": audit.shuffled_counts}
            for place, (label, counts) in enumerate(sides.items()):
                number = sum(counts)
                if not number:
                    continue
                edges = np.linspace(-1, 1, len(counts) + 1)
                shares = 100 * np.asarray(counts) / number
                axes.stairs(shares, edges, fill=True, color=PALETTE[place], alpha=0.3)
                axes.stairs(shares, edges, color=PALETTE[place], linewidth=1.2, label=label)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="upper left", frameon=False, fontsize=9.5)
            else:
                axes.text(0, 0.5, "no cosine: no reward uses it", ha="center", color=GREY)
                axes.set_ylim(0, 1)
        grid[-1].set_xlim(-1, 1)
        grid[-1].set_xlabel("cosine of critique and response")
