"""Heads: linear models of what a critique says, fitted to the vectors of other critiques.

A head is fitted once for each fold of prompts, without the prompts of that fold, and a candidate is
scored by the head of its own prompt's fold. So no prompt is scored by a head that has seen it, and
as rewards are compared within prompts alone, it matters to none that other prompts have others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wim.errors import UserError
from wim.tables.ratings import Status
from wim.tables.schemas import Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

Fit = Literal["ridge", "logistic"]
FOLDS = 5
# Of so many pairs of one group a logistic head is fitted to at most, evenly chosen: a prompt with
# thousands of responses has millions.
MOST_PAIRS = 2000
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Head:
    """The head of a fold.

    Attributes:
        fold: Of whose prompts it has seen none.
        weights: (components,) of the vectors that it reads.
        intercept: Added to the weighted sum.
        nothing_missing: The value where nothing is missing, which has no vector: the highest one
            of those that it was fitted to.
        penalty: On the squared weights, chosen by cross-validation over prompts.
        examples, prompts: How many it was fitted to.
        sources: Of which names they are.
    """

    fold: int
    weights: list[float]
    intercept: float
    nothing_missing: float
    penalty: float
    examples: int
    prompts: int
    sources: list[str]

    def values(self, vectors: "Array", statuses: Sequence[str]) -> "Array":
        """The values (rows,) of critiques; NaN where there is no vector, and something is missing.

        Args:
            vectors: (rows, components), NaN in rows without one.
            statuses: (rows,) of the judgements.
        """
        import numpy as np

        found = vectors @ np.asarray(self.weights) + self.intercept
        nothing = np.asarray([each == Status.NOTHING_MISSING for each in statuses], dtype=bool)
        return np.where(nothing, self.nothing_missing, found)


HEADS = Table("critique_heads", Head, key=("fold",))


def fold_of(prompt: str) -> int:
    """The fold of a prompt, by its id of hex digits, which is a digest of its text."""
    return int(prompt[:8], 16) % FOLDS


def fitted_heads(examples: "pd.DataFrame", fit: Fit, place: str) -> list[Head]:
    """The head of each fold.

    Args:
        examples: As in `fitted`.
        fit: As in `fitted`.
        place: The key of the setting that names the examples, for errors.
    """
    folds = examples["prompt"].map(fold_of)
    return [fitted(examples[folds != fold], fit, place, fold) for fold in range(FOLDS)]


def can_be_fitted(examples: "pd.DataFrame", fit: Fit) -> bool:
    """Whether there are two prompts and two numbers; for a logistic head two numbers of a prompt."""
    if examples["prompt"].nunique() < 2 or examples["number"].nunique() < 2:
        return False
    of_group = examples.groupby(["source", "prompt", "group"])["number"].nunique()
    return fit == "ridge" or bool((of_group > 1).any())


def fitted(examples: "pd.DataFrame", fit: Fit, place: str, fold: int = -1) -> Head:
    """A head that is fitted to examples.

    ridge: the numbers, in standard deviations of their source, are regressed on the vectors (Hoerl
    and Kennard 1970). logistic: of every two responses of one prompt and source with different
    numbers, the difference of the vectors tells which has the higher one (Bradley and Terry 1952).
    The penalty is the one with the highest share of pairs in order, by cross-validation.

    Args:
        examples: vector (an array), number, prompt, source, and `group` within which numbers
            compare, of each critique.
        fit: Which of the two.
        place: The key of the setting that names the examples, for errors.
        fold: Of which prompts none are among the examples; -1 where this is not said.

    Raises:
        UserError: There are fewer than two prompts, or no two numbers differ, for a logistic head
            of one prompt.
    """
    import numpy as np

    if examples["prompt"].nunique() < 2 or examples["number"].nunique() < 2:
        raise UserError(
            f"{place}: found {len(examples)} usable critiques of {examples['prompt'].nunique()} "
            f"prompts with {examples['number'].nunique()} different numbers to fit a head to; it "
            "needs two of each at least. Name more critiques, or those of another judge."
        )
    ordered = examples.sort_values(["source", "prompt", "group", "number"], kind="stable")
    vectors = np.stack(ordered["vector"].to_list()).astype(np.float64)
    by_source = ordered.groupby("source")["number"]
    spread = by_source.transform("std").fillna(0.0)
    numbers = (ordered["number"] - by_source.transform("mean")) / spread.where(spread > 0, 1.0)
    prompts = ordered["prompt"].to_numpy(str)
    pairs = _pairs(ordered)
    if fit == "logistic" and not len(pairs):
        raise UserError(
            f"{place}: found {len(examples)} usable critiques, and no two of one prompt with "
            "different numbers, which a logistic head learns from. Write fit: ridge, or name "
            "critiques of several responses to a prompt."
        )
    solve = _ridge if fit == "ridge" else _logistic
    target = numbers.to_numpy(np.float64)
    penalty = _chosen_penalty(solve, vectors, target, prompts, pairs)
    weights, intercept = solve(vectors, target, pairs, penalty)
    return Head(
        fold=fold,
        weights=weights.tolist(),
        intercept=intercept,
        nothing_missing=float((vectors @ weights).max() + intercept),
        penalty=penalty,
        examples=len(ordered),
        prompts=len(set(prompts)),
        sources=sorted(set(ordered["source"])),
    )


def _pairs(examples: "pd.DataFrame") -> "Array":
    """Places (pairs, 2) of examples of one group, that with the higher number first.

    A group with more than MOST_PAIRS has that many, evenly chosen.

    Args:
        examples: In the order of `fitted`, by number within a group.
    """
    import numpy as np

    groups = examples.groupby(["source", "prompt", "group"], sort=False).indices.values()
    numbers = examples["number"].to_numpy(np.float64)
    found = [np.empty((0, 2), dtype=np.int64)]
    for rows in groups:
        # They are in order, so those with a higher number are the last ones.
        first_higher = np.searchsorted(numbers[rows], numbers[rows], side="right")
        higher = len(rows) - first_higher
        ends = np.cumsum(higher)
        chosen = np.linspace(0, ends[-1] - 1, min(ends[-1], MOST_PAIRS)).round().astype(np.int64)
        low = np.searchsorted(ends, chosen, side="right")
        high = first_higher[low] + chosen - (ends - higher)[low]
        found.append(np.column_stack([rows[high], rows[low]]))
    return np.concatenate(found)


def _ridge(
    vectors: "Array", numbers: "Array", pairs: "Array", penalty: float
) -> "tuple[Array, float]":
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty).fit(vectors, numbers)
    return model.coef_, float(model.intercept_)


def _logistic(
    vectors: "Array", numbers: "Array", pairs: "Array", penalty: float
) -> "tuple[Array, float]":
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    if not len(pairs):
        return np.zeros(vectors.shape[1]), 0.0
    differences = vectors[pairs[:, 0]] - vectors[pairs[:, 1]]
    both = np.concatenate([differences, -differences])
    first_is_higher = np.repeat([1, 0], len(differences))
    model = LogisticRegression(C=2 / penalty, fit_intercept=False, max_iter=1000, tol=1e-6)
    return model.fit(both, first_is_higher).coef_[0], 0.0


def _chosen_penalty(
    solve: Any, vectors: "Array", numbers: "Array", prompts: "Array", pairs: "Array"
) -> float:
    """The penalty by which most pairs of prompts that were left out are in order.

    Where no two examples of a prompt compare, the one with the smallest squared error.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold

    scores = np.zeros(len(PENALTIES))
    folds = GroupKFold(min(FOLDS, len(set(prompts))))
    for inner, outer in folds.split(vectors, numbers, prompts):
        inside, outside = (np.isin(pairs, rows).all(axis=1) for rows in (inner, outer))
        place = {row: number for number, row in enumerate(inner)}
        of_inner = np.asarray(
            [[place[row] for row in pair] for pair in pairs[inside]], dtype=np.int64
        ).reshape(-1, 2)
        for number, penalty in enumerate(PENALTIES):
            weights, intercept = solve(vectors[inner], numbers[inner], of_inner, penalty)
            values = vectors @ weights + intercept
            if len(pairs):
                high, low = pairs[outside].T
                scores[number] += np.sum(values[high] > values[low])
            else:
                scores[number] -= np.sum((values[outer] - numbers[outer]) ** 2)
    return PENALTIES[int(np.argmax(scores))]
