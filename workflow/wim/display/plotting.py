"""Figures: one palette and one style, and the same bytes on every machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito (2008), told apart by colour-blind readers; without yellow, too faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
GREY = "#595959"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "wim",
    "savefig.dpi": 110.0,
}


@contextmanager
def figure_at(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """A figure that is saved at the end of the block, whatever matplotlibrc says.

    Args:
        path: Where it is saved; an SVG carries no date, so the same figure has the same bytes.
        width, height: Its size in inches.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        dated = path.suffix == ".svg"
        figure.savefig(path, metadata={"Date": None} if dated else None)
