"""The whole run in one figure: from candidates to the pairs that are trained, with every loss by cause."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.display.plotting import GREY, PALETTE, figure_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wim.reports.summary_figures import TrainingSummary

# What a cause is about, by its first word. What compares two candidates is a pair.
PAIRS = ("pairs", "comparisons")
HATCHES = ("////", "....", "xxxx", "----", "\\\\\\\\", "++++")
KEPT, HELD_OUT = PALETTE[0], PALETTE[4]
# Of vermilion, orange, pink, green, black: what is lost is never blue.
LOST = (PALETTE[1], PALETTE[5], PALETTE[3], PALETTE[2], PALETTE[6])
NARROW = 0.06


@dataclass(frozen=True)
class Step:
    """A step of an arm's round: what is kept of so many, and what is lost.

    Attributes:
        unit: What is counted: candidates, or pairs.
        kept: Counts by what becomes of them.
        lost: Counts by cause.
    """

    unit: str
    kept: Mapping[str, int]
    lost: Mapping[str, int]

    @property
    def total(self) -> int:
        """All that there were."""
        return sum(self.kept.values()) + sum(self.lost.values())


def steps_of(training: "TrainingSummary") -> list[Step]:
    """The steps of an arm's round, by the counts beside its pairs."""
    lost = dict(training.excluded)
    of_pairs = {cause: n for cause, n in lost.items() if cause.split()[0] in PAIRS}
    # A candidate that was cut has a reward, and is not paired all the same.
    of_candidates = {cause: n for cause, n in lost.items() if cause.split()[0] == "candidates"}
    pairs = training.pairs
    usable = training.candidates - sum(of_candidates.values())
    return [
        Step("candidates", {"usable": usable}, of_candidates),
        Step("pairs", {"to train on": pairs["train"], "held out": pairs["eval"]}, of_pairs),
    ]


def beside(training: "TrainingSummary") -> dict[str, int]:
    """Losses that are neither of candidates nor of pairs, such as contexts without two rewards."""
    known = ("candidates", *PAIRS)
    return {cause: n for cause, n in training.excluded.items() if cause.split()[0] not in known}


def draw_flow(training: Mapping[str, "TrainingSummary"], path: Path) -> None:
    """Draw two bars for each arm's round, each whole what there was of candidates and of pairs."""
    causes = list(
        dict.fromkeys(
            cause for one in training.values() for step in steps_of(one) for cause in step.lost
        )
    )
    looks = {
        cause: (LOST[place % len(LOST)], HATCHES[place % len(HATCHES)])
        for place, cause in enumerate(causes)
    }
    with figure_at(path, 10.0, 1.5 + 1.15 * max(1, len(training)) + 0.2 * len(causes)) as figure:
        axes = figure.subplots()
        ticks: list[tuple[float, str]] = []
        for place, (name, one) in enumerate(training.items()):
            top = 2.5 * place
            axes.text(0, top - 0.62, name, fontsize=11, fontweight="bold")
            for row, step in enumerate(steps_of(one)):
                ticks.append((top + row, f"{step.unit} ({step.total:,})"))
                _draw_step(axes, top + row, step, looks)
            if others := beside(one):
                said = ", ".join(f"{cause}: {n:,}" for cause, n in others.items())
                axes.text(100, top - 0.62, said, ha="right", fontsize=9, color=GREY)
        if not training:
            axes.text(50, 0, "no arm was trained", ha="center", va="center", color=GREY)
        axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
        axes.set_ylim(max(1.6, 2.5 * len(training) - 0.9), -1.1)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of all candidates, and of all pairs that could be made of them (%)")
        _add_legend(axes, training, looks)


def _draw_step(axes: "Axes", row: float, step: Step, looks: Mapping[str, tuple[str, str]]) -> None:
    left = 0.0
    for count, colour, hatch in _segments(step, looks):
        width = 100 * count / max(1, step.total)
        axes.barh(row, width, 0.72, left, color=colour, hatch=hatch, edgecolor="white")
        if width >= 100 * NARROW:
            axes.text(
                left + width / 2,
                row,
                f"{count:,}",
                ha="center",
                va="center",
                fontsize=9.5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.2},
            )
        left += width


def _segments(step: Step, looks: Mapping[str, tuple[str, str]]) -> Iterator[tuple[int, str, str]]:
    for place, count in enumerate(step.kept.values()):
        yield count, (KEPT, HELD_OUT)[place], ""
    for cause, count in step.lost.items():
        yield count, *looks[cause]


def _add_legend(
    axes: "Axes",
    training: Mapping[str, "TrainingSummary"],
    looks: Mapping[str, tuple[str, str]],
) -> None:
    from matplotlib.patches import Patch

    kept = [("usable, or to train on", KEPT, ""), ("held out", HELD_OUT, "")] if training else []
    lost = [(cause, *look) for cause, look in looks.items()]
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label)
        for label, colour, hatch in [*kept, *lost]
    ]
    if handles and axes.figure is not None:
        axes.figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9.5
        )


def flow_text(training: Mapping[str, "TrainingSummary"], figure: str, costs: str) -> str:
    """The figure's part of the summary, in Markdown."""
    lines: Sequence[str] = (
        "",
        "## The whole run",
        "",
        "What becomes of the candidates, arm by arm, and of the pairs that could be made of them; the",
        "numbers are those of the table above. Training itself may leave out pairs that are alike up to",
        "`training.max_length`; its log says so.",
        "",
        f"![From candidates to trained pairs, with every loss by cause]({figure})",
        "",
        f"Hours and GPU-hours of each stage, tokens and money: [{costs}]({costs}).",
        "",
    )
    return "\n".join(lines)
