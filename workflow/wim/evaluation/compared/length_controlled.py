"""Length-controlled win rates: the win rate that answers of equal length would have.

The regression of AlpacaEval 2 (Dubois et al. 2024, arXiv 2404.04475), in its three variants. The
speaker's score y in 0..1 is fitted as

    y ~ logistic(w1 tanh(D) + w2 difficulty + w3)

where D is how many characters longer the reference's answer is, in standard deviations (n - 1) of
that difference over the comparisons. The length-controlled win rate is the mean prediction at
D = 0. A soft score is two rows, y = 1 weighted by the score and y = 0 by its complement; the
penalty is L1, by cross-validation over prompts in five folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from wim.evaluation.compared.bootstrap import interval, numbered, resampled_counts
from wim.evaluation.compared.length_regression import (
    FOLDS,
    Rows,
    every_fold_has_both,
    fit,
    logistic,
    refitted,
)
from wim.evaluation.compared.outcomes import Outcome
from wim.statistics import Estimate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Variant = Literal["minimal", "noreg", "v1"]
# Of the difference between the reference and its concise and verbose selves, halved for each.
GAMED_WEIGHT = 0.2 / 2
# Each is a fit, and takes about two milliseconds.
RESAMPLES = 500
ZEROED = "the L1 penalty has set every weight but length's to 0, so that the figure is 50 whatever was judged"
NO_SPREAD = "all answers differ equally in length, which says nothing of its effect"
TOO_FEW = f"fewer than {FOLDS} judged comparisons with lengths"
TOO_ALIKE = "nearly all judgements are alike, and a fold without the others cannot be fitted"
SAME = "the speaker is the reference"


@dataclass(frozen=True)
class Gamed:
    """The judged rows of a reference against its concise and verbose self, for the variant v1.

    Attributes:
        scores: (rows,) 0 to 1.
        leads: (rows,) D, in standard deviations.
        difficulties: (rows,) of their instructions.
    """

    scores: "Array"
    leads: "Array"
    difficulties: "Array"


@dataclass(frozen=True)
class LengthControlled:
    """A length-controlled win rate, as a share; null with a note where it is not defined.

    Attributes:
        variant: `minimal`: length and a constant; `noreg`: with the instructions' difficulties;
            `v1`: also with the gamed rows. Figures of different variants are not comparable.
        win_rate: With its interval, by refitting resamples of prompts at the penalty chosen.
        standard_error: Of the mean of the predictions, as published; it is 0 for `minimal`, and
            not the error of the win rate, which the interval tells.
        weights: Of the features length, difficulty (if there is one) and constant.
        penalty: C, the inverse strength of the penalty that cross-validation chose.
        notes: What to know before believing the figure.
    """

    variant: Variant
    win_rate: Estimate
    standard_error: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    penalty: float | None = None
    notes: tuple[str, ...] = ()


def length_controlled(
    variant: Variant,
    outcomes: Sequence[Outcome],
    seed: int,
    *,
    difficulties: Mapping[str, float] | None = None,
    gamed: Gamed | None = None,
    same_speaker: bool = False,
) -> LengthControlled:
    """A speaker's length-controlled win rate against a reference, as a share.

    Args:
        variant: Which regression.
        outcomes: The speaker's, in the order that decides the folds; those without lengths are left
            out. As published, failed ones count for the spread of the lengths and among the
            predictions, and are not fitted.
        seed: Of the interval's bootstrap; the fit itself has the published seed.
        difficulties: By prompt_id, for `noreg` and `v1`; outcomes of other prompts are left out.
        gamed: Rows of the reference against itself, for `v1`.
        same_speaker: The speaker is the reference: a half by construction.

    Raises:
        ValueError: The variant needs difficulties or gamed rows that are not given.
    """
    import numpy as np

    if (variant != "minimal" and difficulties is None) or (variant == "v1" and gamed is None):
        raise ValueError(f"{variant} needs difficulties, and v1 gamed rows too")
    hard = difficulties if variant != "minimal" else None
    known = [one for one in outcomes if _has_features(one, hard)]
    y = np.array([np.nan if one.score is None else one.score for one in known], dtype=np.float64)
    judged = ~np.isnan(y)
    n = int(judged.sum())
    if same_speaker:
        return LengthControlled(variant, Estimate(0.5, 0.5, 0.5, n), 0.0, notes=(SAME,))
    if n < FOLDS:
        return LengthControlled(variant, Estimate(None, None, None, n), notes=(TOO_FEW,))
    lead = np.array([(one.reference_length or 0) - (one.length or 0) for one in known], np.float64)
    spread = lead.std(ddof=1)
    columns = {"length": np.tanh(lead / spread) if spread else np.zeros(len(y))}
    if hard is not None:
        columns["difficulty"] = np.array([hard[one.prompt_id] for one in known], np.float64)
    columns["constant"] = np.ones(len(y))
    features = np.stack(list(columns.values()), axis=1)
    before = _gamed_rows(gamed) if variant == "v1" and gamed is not None else None
    rows = Rows(features[judged], y[judged], np.ones(n)).after(before)
    if not every_fold_has_both(rows):
        return LengthControlled(variant, Estimate(None, None, None, n), notes=(TOO_ALIKE,))
    weights, penalty, notes = fit(rows)
    at_no_lead = features.copy()
    at_no_lead[:, 0] = 0
    predicted = logistic(at_no_lead @ weights)
    clusters = numbered([one.group for one in known])
    resampled = _resampled(features, y, before, clusters, penalty, seed, at_no_lead=at_no_lead)
    low: float | None
    high: float | None
    low, high = interval(resampled)
    error = 0.0 if variant == "minimal" else float(predicted.std(ddof=1) / np.sqrt(len(y)))
    if not spread:
        notes = (*notes, NO_SPREAD)
    if not weights[1:].any() and not (y[judged] == 0.5).all():
        notes, low, high = (*notes, ZEROED), None, None
    return LengthControlled(
        variant=variant,
        win_rate=Estimate(float(predicted.mean()), low, high, n),
        standard_error=error,
        weights=dict(zip(columns, map(float, weights), strict=True)),
        penalty=penalty,
        notes=notes,
    )


def between(
    speaker: Mapping[str, float], other: Mapping[str, float], difficulties: Sequence[float]
) -> float:
    """The length-controlled win rate of one speaker over another, from their weights.

    Both are weights of a fit against the same reference, on prompts of these difficulties. Of a
    speaker with itself it is 1/2, and of two, 1 minus that in the other direction.
    """
    import numpy as np

    constant = speaker["constant"] - other["constant"]
    slope = speaker.get("difficulty", 0.0) - other.get("difficulty", 0.0)
    return float(logistic(constant + slope * np.asarray(difficulties, np.float64)).mean())


def _has_features(one: Outcome, difficulties: Mapping[str, float] | None) -> bool:
    lengths = one.length is not None and one.reference_length is not None
    return lengths and (difficulties is None or one.prompt_id in difficulties)


def _gamed_rows(gamed: Gamed) -> Rows:
    import numpy as np

    nothing = np.zeros(len(gamed.scores))
    features = np.stack([np.tanh(gamed.leads), gamed.difficulties, nothing], axis=1)
    return Rows(features, gamed.scores, np.full(len(gamed.scores), GAMED_WEIGHT))


def _resampled(
    features: "Array",
    scores: "Array",
    before: Rows | None,
    clusters: "Array",
    penalty: float,
    seed: int,
    *,
    at_no_lead: "Array",
) -> "Array":
    """The length-controlled win rate in resamples of the clusters.

    A resample with one outcome alone has that win rate.
    """
    import numpy as np

    judged = ~np.isnan(scores)
    found = []
    for counts in chain.from_iterable(resampled_counts(int(clusters.max()) + 1, RESAMPLES, seed)):
        drawn = counts[clusters].astype(np.float64)
        rows = Rows(features[judged], scores[judged], drawn[judged]).after(before)
        if rows.has_both:
            weights = refitted(rows, penalty)
            found.append(np.average(logistic(at_no_lead @ weights), weights=drawn))
        elif rows.weights.any():
            found.append(np.average(rows.scores, weights=rows.weights))
    return np.array(found)
