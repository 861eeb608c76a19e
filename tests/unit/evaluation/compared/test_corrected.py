"""Win rates corrected for a judge's errors: the formulas, and judges whose errors are known."""

import numpy as np
import pytest

from wim.evaluation.compared.corrected import by_accuracy, prediction_powered


def ids(n: int) -> list[str]:
    return [f"{number}" for number in range(n)]


def biased(seed: int, n: int, m: int) -> tuple[list[float], list[tuple[float, float]]]:
    """People prefer the speaker in 40 of 100; the judge errs in its favour in a third of the rest."""
    generator = np.random.default_rng(seed)
    people = (generator.random(n + m) < 0.4) * 1.0
    judge = np.where(generator.random(n + m) < 0.33, 1.0, people)
    return judge[:n].tolist(), list(zip(people[n:].tolist(), judge[n:].tolist(), strict=True))


def test_the_corrected_figure_is_the_judges_plus_the_labelled_gap() -> None:
    scores, labelled = biased(0, 500, 100)
    found = prediction_powered(scores, ids(500), labelled, ids(100), 0)
    gaps = np.array([people - judge for people, judge in labelled])
    expected = np.mean(scores) + gaps.mean()
    error = np.sqrt(np.var(scores, ddof=1) / 500 + gaps.var(ddof=1) / 100)
    assert found.judged.value == pytest.approx(np.mean(scores))
    assert found.error.value == pytest.approx(gaps.mean())
    assert found.corrected.value == pytest.approx(expected, abs=1e-12)
    assert found.corrected.low == pytest.approx(expected - 1.959963984540054 * error, abs=1e-12)


def test_the_corrected_interval_holds_what_people_say_and_the_judges_does_not() -> None:
    held, judges = 0, 0
    for seed in range(200):
        scores, labelled = biased(seed, 400, 100)
        found = prediction_powered(scores, ids(400), labelled, ids(100), seed)
        held += found.corrected.low <= 0.4 <= found.corrected.high
        judges += found.judged.low <= 0.4 <= found.judged.high
    assert 180 <= held <= 199
    assert judges == 0


def test_without_labels_there_is_no_corrected_figure() -> None:
    found = prediction_powered([1.0, 0.0], ids(2), [], [], 0)
    assert found.corrected.value is None
    assert found.judged.value == 0.5


def errs(seed: int, n: int, m: int) -> tuple[list[float], list[float]]:
    """A judge that is right in 80 of 100, of a speaker that people prefer in 70 of 100."""
    generator = np.random.default_rng(seed)
    people = generator.random(n) < 0.7
    judge = np.where(generator.random(n) < 0.8, people, ~people)
    return (judge * 1.0).tolist(), ((generator.random(m) < 0.8) * 1.0).tolist()


def test_by_its_accuracy_a_judge_that_errs_either_way_is_corrected() -> None:
    held = 0
    for seed in range(100):
        scores, credits = errs(seed, 400, 200)
        found = by_accuracy(scores, ids(400), credits, ids(200), seed)
        held += found.corrected.low <= 0.7 <= found.corrected.high
        assert found.judged.value < found.corrected.value
    assert held >= 88
    right = found.error.value
    assert found.corrected.value == pytest.approx(
        (found.judged.value - (1 - right)) / (2 * right - 1), abs=1e-12
    )


def test_a_judge_no_better_than_a_coin_corrects_nothing() -> None:
    scores, _ = errs(0, 100, 50)
    found = by_accuracy(scores, ids(100), [1.0, 0.0] * 25, ids(50), 0)
    assert found.corrected.value is None
    assert found.error.value == 0.5


def test_one_half_stays_one_half() -> None:
    found = by_accuracy([0.5] * 20, ids(20), [1.0] * 40 + [0.0] * 5, ids(45), 0)
    assert found.corrected.value == found.corrected.low == pytest.approx(0.5)
