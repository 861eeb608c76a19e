"""Tuning: the best of several tries is chosen on half of the prompts and reported on the others."""

import numpy as np
import pytest

from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair, PairJudgement, Winner
from wim.evaluation.tuning import best_of, tuning_text


def pairs_of(prompts: int, each: int = 2) -> list[LabelledPair]:
    return [
        LabelledPair(f"{p}.{n}", ({"role": "user", "content": f"{p}"},), "x", f"y{n}", "a")
        for p in range(prompts)
        for n in range(each)
    ]


def tries(pairs: list[LabelledPair], *rates: float) -> dict[str, list[PairJudgement]]:
    rng = np.random.default_rng(1)
    found = {}
    for number, rate in enumerate(rates):
        right = rng.random(len(pairs)) < rate
        winners: list[Winner] = ["a" if one else "b" for one in right]
        found[f"try{number}"] = [
            PairJudgement(pair.pair_id, won, won, ("ok",))
            for pair, won in zip(pairs, winners, strict=True)
        ]
    return found


def test_a_better_try_is_found_and_its_gain_is_of_prompts_that_it_was_not_chosen_on() -> None:
    pairs = pairs_of(100)
    found = best_of(pairs, tries(pairs, 0.5, 0.9, 0.6), seed=0)
    assert (found.chosen, found.first, found.tries) == ("try1", "try0", 3)
    assert (found.choosing_prompts, found.reporting_prompts) == (50, 50)
    assert (found.choosing_pairs, found.reporting_pairs) == (100, 100)
    assert found.gain.low is not None
    assert found.gain.low > 0
    assert found.accuracy.n == 100
    assert found.accuracy.value is not None
    assert found.first_accuracy.value is not None
    assert found.gain.value == pytest.approx(found.accuracy.value - found.first_accuracy.value)
    text = tuning_text(found)
    assert "best of 3 tries: try1" in text
    assert "which is shown" in text


def test_of_many_tries_by_chance_the_best_is_high_where_chosen_and_at_chance_where_reported() -> (
    None
):
    pairs = pairs_of(60)
    chosen, reported = [], []
    for seed in range(20):
        found = best_of(pairs, tries(pairs, *[0.5] * 12), seed)
        chosen.append(found.choosing[found.chosen].value)
        reported.append(found.accuracy.value)
    assert np.mean(chosen) > 0.56
    assert abs(np.mean(reported) - 0.5) < 0.05


def test_prompts_are_divided_by_seed_and_none_is_in_both_halves() -> None:
    pairs = pairs_of(9, each=3)
    wrong_on = {}
    for seed in (0, 1):
        # Right on one prompt's pairs alone: which half it is in shows in both accuracies.
        halves = []
        for prompt in range(9):
            judged = [
                PairJudgement(
                    p.pair_id, *["a" if p.pair_id[0] == str(prompt) else "b"] * 2, ("ok",)
                )
                for p in pairs
            ]
            found = best_of(pairs, {"one": judged, "same": judged}, seed)
            assert found.choosing["one"].value is not None
            assert found.accuracy.value is not None
            shares = (found.choosing["one"].value * 12, found.accuracy.value * 15)
            assert sorted(map(round, shares)) == [0, 3]
            halves.append(shares[0] > 0)
        assert sum(halves) == 4
        wrong_on[seed] = halves
    assert wrong_on[0] != wrong_on[1]


def test_without_a_better_try_the_first_stays_and_failures_are_wrong() -> None:
    pairs = pairs_of(8)
    failed = [PairJudgement(pair.pair_id, None, None, ("error",)) for pair in pairs]
    found = best_of(pairs, {**tries(pairs, 1.0), "failing": failed}, seed=0)
    assert (found.chosen, found.choosing["failing"].value) == ("try0", 0)
    assert "No try was better than the first one" in tuning_text(found)


def test_one_prompt_cannot_be_divided() -> None:
    pairs = pairs_of(1)
    with pytest.raises(UserError, match="the labelled pairs have 1 prompts"):
        best_of(pairs, tries(pairs, 0.5, 0.5), seed=0)
