"""Paired differences and verdicts, against statsmodels and against simulated arms."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp, ttest_rel
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from wim.evaluation.compared.paired import (
    difference,
    difference_from,
    exact_mcnemar,
    holm,
    smallest_difference,
)
from wim.evaluation.compared.verdicts import Verdict, verdicts


def by_prompt(values) -> dict[str, float]:
    return {f"{number}": float(value) for number, value in enumerate(values)}


def simulated(seed: int, prompts: int, lead: float = 0.0) -> tuple[dict, dict]:
    """Wins of two arms against a reference, which the same prompts make easy or hard."""
    generator = np.random.default_rng(seed)
    easy = generator.normal(0, 1.5, prompts)
    arms = [generator.random(prompts) < 1 / (1 + np.exp(-easy - more)) for more in (lead, 0.0)]
    return by_prompt(arms[0]), by_prompt(arms[1])


@pytest.mark.parametrize("seed", range(5))
def test_mcnemars_p_is_statsmodels_of_the_whole_table(seed) -> None:
    one, other = simulated(seed, 60, 0.6)
    table = np.zeros((2, 2))
    for prompt, value in one.items():
        table[int(value), int(other[prompt])] += 1
    expected = mcnemar(table, exact=True).pvalue
    found = difference(one, other, 0)
    assert found.p_mcnemar == pytest.approx(expected, abs=1e-12)
    assert (found.higher, found.lower) == (table[1, 0], table[0, 1])
    assert found.difference.value == pytest.approx((table[1, 0] - table[0, 1]) / 60, abs=1e-12)


def test_the_exact_test_is_the_binomial_one() -> None:
    assert exact_mcnemar(9, 2) == pytest.approx(binomtest(9, 11, 0.5).pvalue, abs=1e-12)
    assert exact_mcnemar(4, 4) == 1
    assert exact_mcnemar(0, 0) == 1


def test_holms_p_values_are_statsmodels_by_name() -> None:
    p_values = {"c": 0.03, "a": 0.001, "b": 0.04, "d": 0.6}
    expected = multipletests(list(p_values.values()), method="holm")[1]
    assert list(holm(p_values).items()) == list(zip(p_values, expected, strict=True))
    assert holm(p_values)["a"] == pytest.approx(0.004)
    assert holm({}) == {}


def test_only_common_prompts_are_compared_and_the_others_are_counted() -> None:
    found = difference({"1": 1.0, "2": 0.0, "3": 1.0}, {"2": 0.0, "3": 0.0, "4": 1.0}, 0)
    assert (found.common, found.left_out, found.difference.value) == (2, 2, 0.5)
    nothing = difference({"1": 1.0}, {"2": 1.0}, 0)
    assert (nothing.common, nothing.difference.value, nothing.p_mcnemar) == (0, None, 1.0)


def test_a_difference_turned_round_is_its_negative() -> None:
    one, other = simulated(1, 80, 0.5)
    here, there = difference(one, other, 0), difference(other, one, 0)
    assert here.difference.value == -there.difference.value
    assert (here.higher, here.lower) == (there.lower, there.higher)
    assert here.p_mcnemar == there.p_mcnemar


def test_a_speaker_does_not_differ_from_itself() -> None:
    one, _ = simulated(1, 80)
    found = difference(one, one, 0)
    assert (found.difference.value, found.difference.low, found.difference.high) == (0, 0, 0)
    assert (found.p_mcnemar, found.p_bootstrap) == (1, 1)


def test_the_bootstraps_p_is_near_the_paired_t_tests() -> None:
    generator = np.random.default_rng(5)
    one, other = generator.normal(0.2, 1, 200), generator.normal(0, 1, 200)
    found = difference(by_prompt(one), by_prompt(other), 0)
    assert found.p_bootstrap == pytest.approx(ttest_rel(one, other).pvalue, abs=0.02)


def test_clusters_are_tested_as_one() -> None:
    one, other = by_prompt([1.0] * 40), by_prompt([0.5] * 40)
    clusters = {prompt: f"{int(prompt) // 10}" for prompt in one}
    found = difference(one, other, 0, clusters)
    assert (found.common, found.prompts, found.higher) == (40, 4, 4)
    assert found.p_mcnemar == exact_mcnemar(4, 0) == 0.125


def test_a_difference_from_one_half_is_that_of_a_win_rate() -> None:
    found = difference_from(by_prompt([1, 1, 0.5, 0]), 0.5, 0)
    assert (found.difference.value, found.higher, found.lower) == (0.125, 2, 1)


def test_the_smallest_difference_is_found_as_often_as_its_power_says() -> None:
    generator = np.random.default_rng(0)
    smallest = smallest_difference(1 / 50**0.5, 50, 0.05, 0.8)
    p_values = ttest_rel(generator.normal(smallest, 1, (4000, 50)), np.zeros((4000, 50)), axis=1)
    assert (p_values.pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.02)
    assert smallest_difference(0.0, 50) is smallest_difference(0.1, 2) is None


@pytest.mark.parametrize(("prompts", "alpha"), [(3, 0.05), (4, 0.005), (5, 0.005), (9, 0.0005)])
def test_the_smallest_difference_holds_for_few_prompts_and_strict_levels(
    prompts: int, alpha: float
) -> None:
    smallest = smallest_difference(1 / prompts**0.5, prompts, alpha, 0.8)
    assert smallest is not None
    generator = np.random.default_rng(0)
    drawn = generator.normal(smallest, size=(20_000, prompts))
    found = ttest_1samp(drawn, 0, axis=1).pvalue < alpha
    # Three standard errors of 20,000 draws.
    assert abs(found.mean() - 0.8) < 0.0085


def test_the_interval_of_paired_differences_holds_the_truth() -> None:
    generator = np.random.default_rng(0)
    easy = generator.normal(0, 1.5, 400_000)
    truth = float(np.mean(1 / (1 + np.exp(-easy - 0.5)) - 1 / (1 + np.exp(-easy))))
    held = 0
    for seed in range(100):
        found = difference(*simulated(seed, 200, 0.5), seed).difference
        held += found.low <= truth <= found.high
    assert held >= 88


# Verdicts.


def test_verdicts_are_better_worse_and_not_shown_after_holm() -> None:
    base = by_prompt([0.5] * 40)
    arms = {
        "good": difference(by_prompt([1] * 30 + [0] * 10), base, 0),
        "bad": difference(by_prompt([0] * 35 + [1] * 5), base, 0),
        "equal": difference(by_prompt([1] * 21 + [0] * 19), base, 0),
    }
    found = verdicts(arms, "base")
    assert [one.verdict for one in found.values()] == ["better", "worse", "not shown"]
    assert found["good"].p_holm == 2 * arms["good"].p_mcnemar
    assert found["good"].words.startswith("good is better than base: +25.0 points [")
    assert "after Holm over 3 arms" in found["good"].words
    assert found["equal"].words.startswith("equal against base: not shown; +2.5 points")
    assert "would have been found 80% of the time" in found["equal"].words


def test_what_one_arm_alone_would_show_is_not_shown_among_many() -> None:
    base = by_prompt([0.5] * 40)
    one = difference(by_prompt([1] * 27 + [0] * 13), base, 0)
    nothing = difference(by_prompt([1] * 20 + [0] * 20), base, 0)
    assert verdicts({"arm": one}, "base")["arm"].verdict is Verdict.BETTER
    many = {"arm": one} | {f"{number}": nothing for number in range(4)}
    assert verdicts(many, "base")["arm"].verdict is Verdict.NOT_SHOWN


def test_signs_and_a_mean_that_disagree_show_nothing() -> None:
    scores = by_prompt([0.1] * 30 + [-1.0] * 10)
    found = difference_from(scores, 0.0, 0)
    assert found.p_mcnemar < 0.01
    assert verdicts({"arm": found}, "base")["arm"].verdict is Verdict.NOT_SHOWN


def test_verdicts_of_rewards_have_no_points() -> None:
    found = verdicts(
        {"arm": difference_from(by_prompt([1.5, 1.4, 1.6] * 9), 0.0, 0)},
        "base",
        "bootstrap",
        percent=False,
    )
    assert found["arm"].verdict is Verdict.BETTER
    assert "+1.5 [" in found["arm"].words


def test_without_a_common_prompt_nothing_is_shown() -> None:
    found = verdicts({"arm": difference({"1": 1.0}, {"2": 0.0}, 0)}, "base")
    assert found["arm"].verdict is Verdict.NOT_SHOWN
    assert "no common prompt" in found["arm"].words


def test_of_equal_arms_one_in_twenty_tests_or_fewer_finds_any() -> None:
    wrong = 0
    for seed in range(100):
        one, base = simulated(seed, 100)
        other, _ = simulated(1000 + seed, 100)
        arms = {name: difference(some, base, seed) for name, some in (("a", one), ("b", other))}
        # The smallest p times the number of arms is Holm's adjusted one.
        wrong += 2 * min(each.p_mcnemar for each in arms.values()) <= 0.05
    assert wrong <= 11
