"""The arms of grids compared: figures on held-out pairs against what differs between the arms."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wim.display.json_files import rounded, write_json
from wim.display.markdown import UNDEFINED, markdown_table
from wim.display.plotting import DASHES, GREY, PALETTE, figure_at
from wim.statistics import MeanAndError
from wim.tables.metrics import last_value, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)
REPEATS = "seed"
# By a figure's name: the metric that the trainer logs, and the column of the table.
FIGURES = {
    "accuracy": ("eval_rewards/accuracies", "reward accuracy"),
    "margin": ("eval_rewards/margins", "margin (nats)"),
    "kl": ("eval_kl", "KL to the reference (nats a token)"),
    "loss": ("eval_loss", "held-out loss"),
}
PLOTTED = ("accuracy", "margin", "kl")
TEXT = """# Sweep

Figures are of each arm's last round, on its held-out pairs: mean ± standard error over seeds, and
their number. A single run has no standard error; "{undefined}" is a figure that was not measured.

{grids}
- **Reward accuracy**: share of the pairs whose chosen completion has the higher implicit reward β
  log(π/π_ref). **Margin**: mean difference of that reward, chosen minus rejected; it grows with β
  by itself.
- **KL to the reference**: mean over the positions of the held-out completions of KL(π ‖ π_ref)
  between the distributions of the next token, exact over the vocabulary. Each term is that of the
  Rao-Blackwellised estimator of [arXiv 2504.10637](https://arxiv.org/abs/2504.10637); the
  completions are candidates of the round, sampled from the model that it started from, not from
  the trained policy. The reference is that of the last round's training.
- **Held-out loss**: comparable only between arms with the same loss and the same β.

![Reward accuracy, margin and KL to the reference against the settings]({figure})
"""


class SweepFiles(Protocol):
    """Where the sweep goes: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


@dataclass(frozen=True)
class Setting:
    """The arms that differ only in their seed: their values on the axes, and their figures."""

    axes: Mapping[str, Any]
    arms: Sequence[str]
    figures: Mapping[str, MeanAndError]


def sweep(
    metrics: Sequence[str | Path],
    arms: Sequence[str],
    grids: Mapping[str, Mapping[str, Mapping[str, Any]]],
    output: SweepFiles,
) -> None:
    """Write sweep.json, sweep.md and sweep.svg; the same metrics give the same bytes.

    Args:
        metrics: metrics.jsonl of each arm.
        arms: The names of the arms, in the order of `metrics`.
        grids: The values on its axes of each arm of each grid. Arms of no grid are put in one
            group, by name.
        output: The files to write.
    """
    measured = {arm: measure(path) for arm, path in zip(arms, metrics, strict=True)}
    in_grids = {arm for grid in grids.values() for arm in grid}
    others = {arm: {"arm": arm} for arm in arms if arm not in in_grids}
    every = {**grids, **({"arms of no grid": others} if others else {})}
    found = {name: list(settings_of(grid, measured)) for name, grid in every.items()}
    grids_found = {name: [asdict(one) for one in settings] for name, settings in found.items()}
    write_json(output.table, rounded({"grids": grids_found, "arms": measured}))
    draw_sweep(found, Path(output.figure))
    text = sweep_text(found, Path(output.figure).name)
    Path(output.text).write_text(text, encoding="utf-8")
    logger.info("sweep: %d arms in %d grids: %s", len(in_grids), len(grids), output.text)


def measure(path: str | Path) -> dict[str, float | None]:
    """An arm's figures: the last values that its training logged."""
    rows = read_metrics(path)
    return {name: last_value(rows, metric) for name, (metric, _) in FIGURES.items()}


def settings_of(
    grid: Mapping[str, Mapping[str, Any]], measured: Mapping[str, Mapping[str, float | None]]
) -> Iterator[Setting]:
    """The settings of a grid in its order, each with the figures of its repeats."""
    groups: dict[str, list[str]] = {}
    for arm, axes in grid.items():
        key = repr([item for item in axes.items() if item[0] != REPEATS])
        groups.setdefault(key, []).append(arm)
    for repeats in groups.values():
        axes = {key: value for key, value in grid[repeats[0]].items() if key != REPEATS}
        figures = {
            name: _over_repeats([measured[arm][name] for arm in repeats]) for name in FIGURES
        }
        yield Setting(axes, repeats, figures)


def _over_repeats(values: Iterable[float | None]) -> MeanAndError:
    """The mean of the values that were measured, with its standard error."""
    return MeanAndError.of([value for value in values if value is not None])


def in_words(value: Any) -> str:
    """A value on an axis as text: a mixture of losses as "0.8 sigmoid + 0.2 lrml"."""
    if isinstance(value, Mapping):
        return " + ".join(f"{in_words(each)} {key}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def sweep_text(grids: Mapping[str, Sequence[Setting]], figure: str) -> str:
    """The sweep in Markdown."""
    parts = []
    for name, settings in grids.items():
        rows = [
            {key.split(".")[-1]: in_words(value) for key, value in one.axes.items()}
            | {FIGURES[figure][1]: _shown(one.figures[figure]) for figure in FIGURES}
            for one in settings
        ]
        parts.append(f"## {name}\n\n{markdown_table(rows)}\n")
    return TEXT.format(grids="\n".join(parts), figure=figure, undefined=UNDEFINED)


def _shown(one: MeanAndError) -> str:
    if one.mean is None:
        return UNDEFINED
    if one.standard_error is None:
        return f"{one.mean:.4g}" + (f" (n = {one.n})" if one.n > 1 else "")
    return f"{one.mean:.4g} ± {one.standard_error:.2g} (n = {one.n})"


def draw_sweep(grids: Mapping[str, Sequence[Setting]], path: Path) -> None:
    """Draw a row for each grid: its figures against one axis, a line for each other difference."""
    rows = max(1, len(grids))
    with figure_at(path, 11.0, 0.5 + 3.4 * rows) as figure:
        places = figure.subplots(rows, len(PLOTTED), squeeze=False)
        for row, (name, settings) in zip(places, grids.items(), strict=False):
            axis = axis_across(settings)
            for axes, shown in zip(row, PLOTTED, strict=True):
                _draw(axes, settings, axis, shown)
                axes.set_ylabel(FIGURES[shown][1], fontsize=9.5)
                axes.set_xlabel(axis.split(".")[-1])
            row[0].set_title(name, loc="left", fontsize=11, fontweight="bold")
            row[0].axhline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            if any(row[-1].get_legend_handles_labels()[1]):
                row[-1].legend(frameon=False, fontsize=8.5)


def axis_across(settings: Sequence[Setting]) -> str:
    """The x axis: the numeric axis with the most values, or else the axis with the most values."""
    keys = list(settings[0].axes) if settings else []

    def weight(key: str) -> tuple[bool, int]:
        values = [one.axes[key] for one in settings]
        return all(map(_is_number, values)), len({repr(value) for value in values})

    return max(keys, key=weight, default="")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _draw(axes: "Axes", settings: Sequence[Setting], axis: str, shown: str) -> None:
    along = list(dict.fromkeys(in_words(one.axes.get(axis, "")) for one in settings))
    numeric = bool(axis) and all(_is_number(one.axes[axis]) for one in settings)
    lines: dict[str, list[tuple[float, MeanAndError]]] = {}
    for one in settings:
        rest = ", ".join(in_words(value) for key, value in one.axes.items() if key != axis)
        value = one.axes.get(axis, "")
        place = float(value) if numeric else float(along.index(in_words(value)))
        lines.setdefault(rest, []).append((place, one.figures[shown]))
    for number, (label, points) in enumerate(lines.items()):
        known = [
            (place, one.mean, one.standard_error or 0.0)
            for place, one in sorted(points, key=lambda point: point[0])
            if one.mean is not None
        ]
        axes.errorbar(
            [place for place, _, _ in known],
            [mean for _, mean, _ in known],
            yerr=[error for _, _, error in known],
            color=PALETTE[number % len(PALETTE)],
            linestyle=DASHES[number // len(PALETTE) % len(DASHES)] if numeric else "",
            marker="o",
            markersize=4,
            capsize=3,
            label=label,
        )
    if not numeric:
        axes.set_xticks(range(len(along)), along, rotation=30, ha="right", fontsize=9)
        axes.margins(x=0.2)
        return
    values = [place for points in lines.values() for place, _ in points]
    if min(values) > 0 and math.log10(max(values) / min(values)) >= 1:
        axes.set_xscale("log")
