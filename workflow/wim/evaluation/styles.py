"""Accuracy by the styles of both responses: whether a judge looks at more than the style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.evaluation.judged_pairs import LabelledPair
from wim.evaluation.share_interval import share_over_prompts
from wim.statistics import Estimate

# From the plainest to the fanciest: RM-Bench's (Liu et al. 2024, arXiv 2410.16184).
STYLES = ("concise", "detailed", "markdown")


@dataclass(frozen=True)
class StyleMatrix:
    """RM-Bench's figures, in which a tie counts 1/2.

    Attributes:
        matrix: Accuracy by the style of the better response, then of the other.
        hard, normal, easy: Accuracy where the better response has the plainer style, the same, or
            the fancier one. With each combination on as many pairs, they are the means of the
            cells above, on and below the diagonal.
    """

    matrix: Mapping[str, Mapping[str, Estimate]]
    hard: Estimate
    normal: Estimate
    easy: Estimate


def style_matrix(pairs: Sequence[LabelledPair], credits: Mapping[str, float]) -> StyleMatrix | None:
    """The figures of pairs whose styles are labelled; None where there are none.

    Args:
        pairs: Judged pairs whose label is no tie.
        credits: How right each is, by pair.
    """
    styled = [(pair, *_styles(pair)) for pair in pairs if all(pair.styles)]
    if not styled:
        return None

    def accuracy(some: Sequence[tuple[LabelledPair, int, int]]) -> Estimate:
        return share_over_prompts(
            [credits[pair.pair_id] for pair, _, _ in some], [pair.prompt for pair, _, _ in some]
        )

    return StyleMatrix(
        matrix={
            name: {
                other: accuracy([one for one in styled if one[1:] == (place, against)])
                for against, other in enumerate(STYLES)
            }
            for place, name in enumerate(STYLES)
        },
        hard=accuracy([one for one in styled if one[1] < one[2]]),
        normal=accuracy([one for one in styled if one[1] == one[2]]),
        easy=accuracy([one for one in styled if one[1] > one[2]]),
    )


def _styles(pair: LabelledPair) -> tuple[int, int]:
    """The places of the styles of the better response and of the other in STYLES."""
    a, b = (STYLES.index(style) for style in pair.styles)
    return (a, b) if pair.better == "a" else (b, a)
