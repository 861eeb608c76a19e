"""The interval of a share of pairs holds as often as it says, for few pairs and few prompts too."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from scipy.stats import beta, binom, binomtest

from wim.evaluation.share_interval import (
    balance_over_prompts,
    bounds,
    effective_size,
    share_over_prompts,
)
from wim.statistics import LEVEL

ACCURACIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PAIRS = (5, 10, 20, 50, 400)
RUNS = 1000
MIXED = (3, 10, 1, 6, 2, 8, 4, 9, 5, 7)


def prompts_of(pairs: int, per_prompt: int | str) -> np.ndarray:
    """The prompt of each pair, as a number: so many pairs each, or from 1 to 10 of them."""
    sizes = np.resize(MIXED, pairs) if per_prompt == "mixed" else np.full(pairs, per_prompt)
    return np.repeat(np.arange(pairs), sizes)[:pairs]


def simulated(
    accuracy: float, prompts: np.ndarray, correlation: float, ties: float, seed: int
) -> np.ndarray:
    """How right a judge is on pairs, with equal correlation between any two of a prompt.

    Each prompt has an accuracy of its own, from a beta distribution with this mean.
    """
    rng = np.random.default_rng(seed)
    own = np.full(prompts.max() + 1, accuracy)
    if correlation:
        spread = 1 / correlation - 1
        own = rng.beta(accuracy * spread, (1 - accuracy) * spread, len(own))
    right = (rng.random(len(prompts)) < own[prompts]).astype(float)
    return np.where(rng.random(len(prompts)) < ties, 0.5, right)


def measured(
    accuracy: float,
    pairs: int,
    per_prompt: int | str,
    correlation: float,
    runs: int,
    ties: float = 0.0,
) -> tuple[float, float]:
    """How often an interval holds the accuracy, and how often it is above one half."""
    prompts = prompts_of(pairs, per_prompt)
    true = accuracy * (1 - ties) + 0.5 * ties
    held = above = 0
    for run in range(runs):
        found = share_over_prompts(simulated(accuracy, prompts, correlation, ties, run), prompts)
        assert found.low is not None
        assert found.high is not None
        held += found.low - 1e-12 <= true <= found.high + 1e-12
        above += found.low > 0.5
    return held / runs, above / runs


def grid() -> Iterator[tuple[float, int, int | str, float]]:
    """Accuracy, pairs, pairs of a prompt, and their correlation."""
    for accuracy, pairs, per_prompt in product(ACCURACIES, PAIRS, (1, 2, 5, 10, "mixed")):
        for correlation in (0.0,) if per_prompt == 1 else (0.0, 0.1, 0.3, 0.6):
            if per_prompt == "mixed" or per_prompt <= pairs:
                yield accuracy, pairs, per_prompt, correlation


@pytest.mark.parametrize("pairs", PAIRS)
def test_of_independent_pairs_the_interval_holds_at_least_93_times_of_100(pairs: int) -> None:
    # Every number of right pairs, weighted by how often it occurs.
    right = np.arange(pairs + 1)
    ends = [bounds(count / pairs, pairs) for count in right]
    for accuracy in np.linspace(0.5, 0.95, 46):
        held = [low <= accuracy <= high for low, high in ends]
        assert binom.pmf(right, pairs, accuracy)[held].sum() > 0.93
    above_a_half = [low > 0.5 for low, _ in ends]
    assert binom.pmf(right, pairs, 0.5)[above_a_half].sum() <= 0.025


@pytest.mark.parametrize(
    ("accuracy", "pairs", "per_prompt", "correlation"),
    [
        (0.5, 20, 5, 0.3),
        (0.5, 50, "mixed", 0.3),
        (0.8, 50, 10, 0.3),
        (0.7, 400, 10, 0.3),
        (0.95, 50, 2, 0.0),
        (0.9, 10, 5, 0.6),
    ],
)
def test_of_pairs_that_share_prompts_it_holds_at_least_92_times_of_100(
    accuracy: float, pairs: int, per_prompt: int | str, correlation: float
) -> None:
    held, above = measured(accuracy, pairs, per_prompt, correlation, runs=400)
    assert held >= 0.92
    assert accuracy > 0.5 or above <= 0.035, "400 runs tell .025 from .035, no more"


@pytest.mark.soak
def test_it_holds_on_the_whole_grid_and_a_coin_passes_in_1_of_40_runs() -> None:
    found = {cell: measured(*cell, runs=RUNS) for cell in grid()}
    held = np.array([share for share, _ in found.values()])
    large = np.array([share for cell, (share, _) in found.items() if cell[1] >= 50])
    print(f"\nmean {held.mean():.3f}, least {held.min():.3f}; of 50 pairs and more", end=" ")
    print(f"mean {large.mean():.3f}, least {large.min():.3f}, most {large.max():.3f}")
    assert held.min() >= 0.92
    coins = [above for cell, (_, above) in found.items() if cell[0] == 0.5]
    assert max(coins) <= 0.025 + 3 * (0.025 * 0.975 / RUNS) ** 0.5
    assert np.mean(coins) <= 0.025
    tied = [measured(0.8, pairs, 1, 0.0, 1000, ties=0.5)[0] for pairs in PAIRS]
    assert min(tied) >= 0.92


def test_one_right_pair_shows_next_to_nothing() -> None:
    found = share_over_prompts([1.0], ["p"])
    assert (found.value, found.high, found.n) == (1.0, 1.0, 1)
    assert found.low == pytest.approx(0.025)


@pytest.mark.parametrize(("right", "pairs"), [(1, 1), (19, 20), (10, 20), (380, 400), (45, 50)])
def test_the_lower_end_is_the_exact_one_and_below_wilsons(right: int, pairs: int) -> None:
    found = share_over_prompts(
        [1.0] * right + [0.0] * (pairs - right), list(map(str, range(pairs)))
    )
    exact = beta.ppf(0.025, right, pairs - right + 1)
    wilson = binomtest(right, pairs).proportion_ci(LEVEL, "wilson")
    assert found.low == pytest.approx(exact)
    assert found.low is not None
    assert found.low < wilson.low
    assert found.high is not None
    assert found.high >= wilson.high


def test_the_upper_end_has_a_mid_p_value_of_one_fortieth() -> None:
    _, high = bounds(13 / 20, 20)
    assert binom.cdf(12, 20, high) + binom.pmf(13, 20, high) / 2 == pytest.approx(0.025)


def test_pairs_of_one_prompt_that_are_all_alike_count_as_one() -> None:
    alike = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0] * 8, 10)
    prompts = np.repeat(np.arange(40), 10)
    assert effective_size(alike, prompts) == pytest.approx(40, rel=0.15)
    assert effective_size(alike, np.arange(400)) == pytest.approx(400)
    assert effective_size(np.ones(10), np.zeros(10, int)) == 1
    # One large prompt and many small ones: Kish's number of equal ones.
    assert effective_size(np.ones(20), [0] * 11 + [*range(1, 10)]) == pytest.approx(400 / 130)


def test_pairs_of_one_prompt_that_differ_as_others_do_count_for_most_of_their_number() -> None:
    rng = np.random.default_rng(0)
    values = (rng.random(400) < 0.7).astype(float)
    assert 250 < effective_size(values, np.arange(400) // 4) <= 400


def test_ties_vary_less_than_right_and_wrong_and_narrow_the_interval() -> None:
    alone = [str(number) for number in range(20)]
    tied = share_over_prompts([0.5] * 20, alone)
    mixed = share_over_prompts([1.0, 0.0] * 10, alone)
    assert tied.value == mixed.value == 0.5
    assert None not in (tied.low, tied.high, mixed.low, mixed.high)
    assert 0.05 < tied.high - tied.low < mixed.high - mixed.low  # type: ignore[operator]


def test_order_and_names_of_prompts_do_not_matter() -> None:
    values = [1.0, 1.0, 0.0, 1.0, 0.5, 0.0, 1.0, 1.0]
    prompts = list("aabbccdd")
    one = share_over_prompts(values, prompts)
    other = share_over_prompts(values[::-1], [name * 3 for name in prompts[::-1]])
    assert (one.low, one.high) == (pytest.approx(other.low), pytest.approx(other.high))


def test_a_balance_is_a_share_on_another_scale() -> None:
    share = share_over_prompts([1.0, 0.5, 0.0, 1.0], list("abcd"))
    found = balance_over_prompts([1.0, 0.0, -1.0, 1.0], list("abcd"))
    assert found.value == 2 * 0.625 - 1
    assert share.low is not None
    assert found.low == pytest.approx(2 * share.low - 1)
    assert share_over_prompts([], []).n == balance_over_prompts([], []).n == 0
