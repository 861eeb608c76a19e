"""Agreement of annotators and of judges with labels, against other libraries and by hand."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from wim.evaluation.agreement import LABELS, alpha, annotators_of, kappa, majority
from wim.evaluation.judged_pairs import LabelledPair, Winner

RATERS = ("annotator1", "annotator2", "annotator3")


def voted(name: str, *votes: Winner) -> LabelledPair:
    context = ({"role": "user", "content": name},)
    return LabelledPair(
        name, context, "a", "b", majority(votes), votes=tuple(zip(RATERS, votes, strict=False))
    )  # type: ignore[arg-type]


def random_votes(pairs: int, raters: int = 2) -> list[tuple[Winner, ...]]:
    rng = np.random.default_rng(3)
    first = rng.choice(3, pairs, p=[0.5, 0.4, 0.1])
    others = [np.where(rng.random(pairs) < 0.8, first, rng.choice(3, pairs)) for _ in range(raters)]
    return [tuple(LABELS[place] for place in row) for row in np.stack(others, axis=1)]


def test_kappa_is_that_of_scikit_learn() -> None:
    votes = random_votes(300)
    found = kappa(votes, [str(place) for place in range(300)])  # type: ignore[arg-type]
    assert found.value == pytest.approx(cohen_kappa_score(*zip(*votes, strict=True)))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high  # type: ignore[operator]


def test_kappa_by_hand() -> None:
    # 20 of 25 equal; both say a 15 of 25 times: chance is .6 * .6 + .4 * .4.
    pairs = [("a", "a")] * 12 + [("b", "b")] * 7 + [("a", "b")] * 3 + [("b", "a")] * 3
    found = kappa(pairs, [str(place) for place in range(25)])  # type: ignore[arg-type]
    assert found.value == pytest.approx((19 / 25 - 0.52) / (1 - 0.52))
    assert kappa([("a", "a")] * 9, list("abcdefghi")).value is None, "there is no other label"
    assert kappa([], []).n == 0


def test_the_kappa_of_few_equal_labels_has_a_wide_interval() -> None:
    found = kappa([("a", "a"), ("b", "b"), ("a", "a")], list("xyz"))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low is not None
    assert found.low < 0


def test_alpha_is_krippendorffs_by_hand() -> None:
    # Coincidences: a with a 2, b with b 2 * 3 / 2 = 3 from three votes, a with b 1 twice.
    votes = [("a", "a"), ("b", "b", "b"), ("a", "b"), ("tie",)]
    found = alpha(votes, list("wxyz"))  # type: ignore[arg-type]
    # Observed: 2 of 7 votes disagree; expected: 2 * 3 * 4 / (7 * 6).
    assert found.value == pytest.approx(1 - (2 / 7) / (24 / 42))
    assert found.n == 3
    assert alpha([("a", "a")], ["x"]).value is None
    assert alpha([], []).n == 0


def test_alpha_of_many_votes_is_fleiss_kappa() -> None:
    votes = random_votes(4000, raters=3)
    counts = [[row.count(label) for label in LABELS] for row in votes]
    found = alpha(votes, [str(place) for place in range(4000)])
    assert found.value == pytest.approx(fleiss_kappa(np.array(counts)), abs=1e-3)


def test_the_majority_is_the_most_frequent_label_and_a_tie_without_one() -> None:
    assert majority(("a", "b", "a")) == "a"
    assert majority(("a", "b", "tie")) == majority(("a", "b")) == "tie"
    assert majority(("tie", "tie", "b")) == "tie"
    assert majority(("a", "a", "b", "b", "tie")) == "tie"


def test_what_votes_say_of_the_annotators() -> None:
    pairs = [
        voted("1", "a", "a", "a"),
        voted("2", "b", "b", "a"),
        voted("3", "tie", "a", "b"),
        voted("4", "tie", "tie", "b"),
        LabelledPair("5", ({"role": "user", "content": "5"},), "a", "b", "a"),
    ]
    found = annotators_of(pairs)
    assert found is not None
    assert (found.names, found.pairs) == (RATERS, 4)
    assert found.labels == {"a": 1, "b": 1, "tie": 2}
    assert found.agreement.value == pytest.approx((1 + 1 / 3 + 0 + 1 / 3) / 4)
    # Of the second pair only the third annotator's others agree, on b; the others' are split. The
    # third pair's others never agree; the fourth's agree once, on a tie.
    assert (found.ceiling.value, found.ceiling.n) == ((1 + 0) / 2, 2)
    assert set(found.kappas) == {
        "annotator1, annotator2", "annotator1, annotator3", "annotator2, annotator3"
    }  # fmt: skip
    assert annotators_of(pairs[-1:]) is None


def test_an_annotators_tie_counts_half_towards_the_ceiling() -> None:
    found = annotators_of([voted("1", "a", "a", "tie")])
    assert found is not None
    # The tie against the others' a; the others' majorities are split.
    assert (found.ceiling.value, found.ceiling.n) == (0.5, 1)
