"""Length-controlled win rates: scikit-learn's own regression, and a judge whose bias is known."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from support.simulated_judge import SimulatedJudge
from wim.evaluation.compared import length_controlled as module
from wim.evaluation.compared.length_controlled import (
    NO_SPREAD,
    TOO_ALIKE,
    TOO_FEW,
    ZEROED,
    Gamed,
    between,
    length_controlled,
)
from wim.evaluation.compared.outcomes import Outcome, swapped, tie

Array = np.ndarray


@pytest.fixture
def few_resamples(monkeypatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 5)


def outcomes(n: int = 400, seed: int = 0, *, soft: bool = True) -> list[Outcome]:
    """A judge's scores in one order, with ties and some failures."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(n):
        length, reference = generator.gamma(4, [300, 250]).astype(int) + 1
        share = 1 / (1 + np.exp(0.8 - 1.2 * np.tanh((length - reference) / 800)))
        score: float | None = generator.beta(2 * share, 2 - 2 * share) if soft else 1.0
        if not soft:
            score = float(generator.random() < share)
        score = {0: None, 1: 0.5}.get(number % 20, score)
        found.append(
            Outcome(
                prompt_id=f"{number}",
                scores=(score,),
                length=int(length),
                reference_length=int(reference),
            )
        )
    return found


def difficulties(of: list[Outcome]) -> dict[str, float]:
    generator = np.random.default_rng(9)
    return {one.prompt_id: float(generator.normal()) for one in of}


def by_scikit_learn(features: Array, scores: Array, weights: Array) -> Array:
    """The regression from its description: the folds, penalties and scores one by one."""
    strengths = np.logspace(-4, 4, 10)

    def fitted(rows: Array, strength: float) -> Array:
        model = LogisticRegression(
            C=strength, l1_ratio=1, solver="liblinear", fit_intercept=False, random_state=123
        )
        both = np.concatenate([features[rows], features[rows]])
        labels = np.repeat([1, 0], len(rows))
        shares = np.concatenate([scores[rows], 1 - scores[rows]])
        model.fit(both, labels, sample_weight=shares * np.tile(weights[rows], 2))
        return model.coef_[0]

    n = len(scores)
    losses = np.zeros((5, len(strengths)))
    groups = np.tile(np.arange(n), 2)
    for fold, (kept, left) in enumerate(GroupKFold(5).split(groups, groups=groups)):
        # The published order: rows with y = 1, then rows with y = 0.
        kept, left = kept[kept < n], left[left < n]
        for place, strength in enumerate(strengths):
            predicted = 1 / (1 + np.exp(-features[left] @ fitted(kept, strength)))
            loss = scores[left] * np.log(predicted) + (1 - scores[left]) * np.log(1 - predicted)
            losses[fold, place] = -(loss * weights[left]).mean()
    return fitted(np.arange(n), strengths[losses.mean(axis=0).argmin()])


def described(of: list[Outcome], hard: dict[str, float] | None) -> tuple[Array, Array, Array]:
    """Features at the true lengths, those at equal length, and scores (NaN where failed)."""
    lead = np.array([one.reference_length - one.length for one in of], dtype=float)
    columns = [np.tanh(lead / np.std(lead, ddof=1))]
    if hard is not None:
        columns.append(np.array([hard[one.prompt_id] for one in of]))
    columns.append(np.ones(len(of)))
    features = np.stack(columns, axis=1)
    at_equal = features.copy()
    at_equal[:, 0] = 0
    scores = np.array([np.nan if one.score is None else one.score for one in of])
    return features, at_equal, scores


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("variant", ["minimal", "noreg", "v1"])
@pytest.mark.parametrize("soft", [True, False], ids=["probabilities", "wins"])
def test_each_variant_is_scikit_learns_regression(variant, soft) -> None:
    of = outcomes(200, soft=soft)
    hard = difficulties(of)
    generator = np.random.default_rng(4)
    gamed = Gamed(generator.random(300), generator.normal(size=300), generator.normal(size=300))
    features, at_equal, scores = described(of, None if variant == "minimal" else hard)
    judged = ~np.isnan(scores)
    rows, labels, weights = features[judged], scores[judged], np.ones(judged.sum())
    if variant == "v1":
        own = np.stack([np.tanh(gamed.leads), gamed.difficulties, np.zeros(300)], axis=1)
        rows, labels = np.concatenate([own, rows]), np.concatenate([gamed.scores, labels])
        weights = np.concatenate([np.full(300, 0.1), weights])
    expected = by_scikit_learn(rows, labels, weights)
    predicted = 1 / (1 + np.exp(-at_equal @ expected))

    found = length_controlled(variant, of, 0, difficulties=hard, gamed=gamed)
    assert list(found.weights.values()) == pytest.approx(expected, abs=1e-12)
    assert found.win_rate.value == pytest.approx(predicted.mean(), abs=1e-12)
    assert found.win_rate.n == judged.sum()
    error = predicted.std(ddof=1) / np.sqrt(len(predicted))
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert found.variant == variant


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("variant", ["minimal", "noreg"])
def test_swapping_speaker_and_reference_gives_one_minus_the_figure(variant) -> None:
    of = outcomes()
    hard = difficulties(of)
    one, other = (
        length_controlled(variant, some, 0, difficulties=hard) for some in (of, swapped(of))
    )
    assert one.win_rate.value + other.win_rate.value == pytest.approx(1, abs=1e-9)
    assert one.weights["length"] == pytest.approx(other.weights["length"], abs=1e-9)


def test_a_speaker_against_itself_has_exactly_one_half() -> None:
    same = [tie(f"{number}", 10 * number) for number in range(40)]
    assert length_controlled("minimal", same, 0).win_rate.value == 0.5
    found = length_controlled("minimal", outcomes(), 0, same_speaker=True)
    assert (found.win_rate.value, found.win_rate.low, found.win_rate.high) == (0.5, 0.5, 0.5)


def test_weights_of_two_speakers_give_the_rate_between_them() -> None:
    a = {"length": 1.0, "difficulty": 0.4, "constant": -0.5}
    b = {"length": 0.2, "difficulty": -0.1, "constant": 0.3}
    hard = [-1.0, 0.0, 2.0]
    assert between(b, b, hard) == 0.5
    assert between(a, b, hard) == pytest.approx(1 - between(b, a, hard), abs=1e-15)
    expected = np.mean([1 / (1 + np.exp(-(-0.8 + 0.5 * each))) for each in hard])
    assert between(a, b, hard) == pytest.approx(expected, abs=1e-15)


def test_a_constant_that_the_penalty_has_zeroed_is_told_and_has_no_interval() -> None:
    generator = np.random.default_rng(2)
    of = [
        Outcome(prompt_id=f"{n}", scores=(float(n % 2),), length=int(a), reference_length=int(b))
        for n, (a, b) in enumerate(generator.integers(1, 900, (60, 2)))
    ]
    found = length_controlled("minimal", of, 0)
    assert found.win_rate.value == 0.5
    assert ZEROED in found.notes
    assert found.win_rate.low is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("won", [0.0, 1.0])
def test_where_all_is_won_or_lost_there_is_no_figure(won, capfd) -> None:
    of = [
        Outcome(prompt_id=f"{n}", scores=(won,), length=n + 1, reference_length=(7 * n) % 30)
        for n in range(30)
    ]
    found = length_controlled("minimal", of, 0)
    assert (found.win_rate.value, found.notes) == (None, (TOO_ALIKE,))
    # The library warns on standard error itself where a fold has one outcome alone.
    assert capfd.readouterr().err == ""


def test_equal_lengths_say_nothing_of_their_effect() -> None:
    of = [
        Outcome(prompt_id=f"{n}", scores=(float(n % 4 > 0),), length=8, reference_length=5)
        for n in range(100)
    ]
    found = length_controlled("minimal", of, 0)
    assert NO_SPREAD in found.notes
    assert found.win_rate.value == pytest.approx(0.75, abs=0.02)


def test_of_fewer_rows_than_folds_and_of_rows_without_lengths_there_is_no_figure() -> None:
    assert length_controlled("minimal", outcomes(4), 0).notes == (TOO_FEW,)
    unknown = [Outcome(prompt_id=f"{n}", scores=(float(n % 2),)) for n in range(50)]
    assert length_controlled("minimal", unknown, 0).win_rate.n == 0


def test_a_variant_needs_what_it_is_made_of() -> None:
    with pytest.raises(ValueError, match="noreg needs difficulties"):
        length_controlled("noreg", outcomes(), 0)
    with pytest.raises(ValueError, match="gamed rows"):
        length_controlled("v1", outcomes(), 0, difficulties={})


def test_the_regression_leaves_the_librarys_settings_as_they_were() -> None:
    from sklearn import get_config

    before = get_config()
    with warnings.catch_warnings(action="error"):
        length_controlled("minimal", outcomes(100), 0)
    assert get_config() == before


def covered(judge: SimulatedJudge, runs: int, prompts: int) -> tuple[float, float]:
    """How often the interval holds the length-free rate, and the mean of the figures."""
    truth, held, values = judge.length_free_rate(), 0, []
    for seed in range(runs):
        found = length_controlled("minimal", judge.outcomes(seed, prompts, orders=1), seed).win_rate
        values.append(found.value)
        held += found.low <= truth <= found.high
    return held / runs, float(np.mean(values))


def test_the_length_free_rate_of_a_judge_of_length_is_recovered(monkeypatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 100)
    judge = SimulatedJudge(0.4, by_length=1.5)
    held, mean = covered(judge, 6, 600)
    assert held >= 4 / 6
    assert mean == pytest.approx(judge.length_free_rate(), abs=0.03)
    assert judge.true_rate() > judge.length_free_rate() + 0.04


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(
    "judge", [SimulatedJudge(0.4, by_length=1.2), SimulatedJudge(-1.0, by_length=2.0)], ids=str
)
def test_the_interval_holds_the_length_free_rate_in_most_runs(judge, monkeypatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 150)
    held, mean = covered(judge, 120, 1000)
    assert held >= 0.9
    assert mean == pytest.approx(judge.length_free_rate(), abs=0.005)
