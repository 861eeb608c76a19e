"""Judges compared with people: the published figures are reproduced, and cases made by hand hold."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from wim.errors import UserError
from wim.evaluation.judged_pairs import (
    LabelledPair,
    PairJudgement,
    Winner,
    longer_wins,
    of_comparison,
    of_scores,
)
from wim.evaluation.llmbar import read_labelled_pairs, read_recorded
from wim.evaluation.pair_statistics import (
    credit,
    lean_to_first,
    pair_statistics,
    stability,
)
from wim.statistics import coin, mean_of
from wim.tables.files import as_arrow
from wim.tables.schemas import DIALOGUES, Comparison

DATA = os.environ.get("WIM_TEST_DATA")
OK = ("ok", "ok")


def llmbar(name: str) -> Path:
    if DATA is None:
        pytest.skip("WIM_TEST_DATA does not name the folder of the open data")
    path = Path(DATA) / "llmbar" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def pair(name: str, better: str = "a", a: str = "short", b: str = "much longer") -> LabelledPair:
    context = ({"role": "user", "content": f"Question {name}"},)
    return LabelledPair(name, context, a, b, better)  # type: ignore[arg-type]


def judged(name: str, in_order: Winner | None, swapped: Winner | None) -> PairJudgement:
    statuses = tuple("ok" if won else "error" for won in (in_order, swapped))
    return PairJudgement(name, in_order, swapped, statuses)


# What LLMBar's authors recorded.

SETS = {"Natural": ("Natural.json", 100), "Neighbor": ("Adversarial_Neighbor.json", 134)}
# Accuracy and consistency, over all pairs, as published with the data set.
PUBLISHED = {
    ("Natural", "GPT-4", "Vanilla"): (0.955, 0.95),
    ("Natural", "ChatGPT", "Vanilla"): (0.815, 0.71),
    ("Natural", "LLaMA2", "Vanilla"): (0.805, 0.79),
    ("Natural", "Falcon", "Vanilla"): (0.74, 0.52),
    ("Natural", "GPT-4", "CoT"): (0.945, 0.91),
    ("Natural", "LLaMA2", "CoT"): (0.755, 0.67),
    ("Natural", "Falcon", "CoT"): (0.57, 0.14),
    ("Neighbor", "GPT-4", "Vanilla"): (211 / 268, 125 / 134),
    ("Neighbor", "ChatGPT", "Vanilla"): (52 / 268, 96 / 134),
    ("Neighbor", "LLaMA2", "Vanilla"): (66 / 268, 104 / 134),
    ("Neighbor", "PaLM2", "Vanilla"): (168 / 268, 90 / 134),
    ("Neighbor", "Falcon", "Vanilla"): (135 / 268, 57 / 134),
    ("Neighbor", "GPT-4", "CoT"): (201 / 268, 121 / 134),
}
JUDGES = ["GPT-4", "ChatGPT", "LLaMA2", "PaLM2", "Falcon"]


def recorded(subset: str, judge: str, prompt: str) -> tuple[list[PairJudgement], list[Any]]:
    """A judge's verdicts as parsed here, and the rows as recorded."""
    path = llmbar(f"recorded_judges/{subset}__{judge}__{prompt}.json")
    concludes = prompt == "CoT" and judge != "PaLM2"
    found = read_recorded(path, "conclusion" if concludes else "opening")
    return found, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("subset", "judge", "prompt"), PUBLISHED)
def test_recorded_judges_have_their_published_accuracy_and_consistency(
    subset, judge, prompt
) -> None:
    pairs = read_labelled_pairs(llmbar(SETS[subset][0]))
    found, _ = recorded(subset, judge, prompt)
    statistics = pair_statistics(pairs, found)
    assert (statistics.pairs, statistics.judged) == (SETS[subset][1],) * 2
    accuracy, consistency = PUBLISHED[subset, judge, prompt]
    assert statistics.accuracy.value == statistics.accuracy_failures_wrong.value == accuracy
    assert statistics.consistency.value == consistency


@pytest.mark.parametrize("prompt", ["Vanilla", "CoT"])
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("subset", SETS)
def test_a_recorded_judges_words_are_parsed_to_its_recorded_winners(subset, judge, prompt) -> None:
    found, rows = recorded(subset, judge, prompt)
    names = {"1": "a", "2": "b", None: None}
    results = [row["results"][-1] for row in rows]
    assert [one.in_order for one in found] == [names[r["swap = False"]["winner"]] for r in results]
    assert [one.swapped for one in found] == [names[r["swap = True"]["winner"]] for r in results]
    right = sum(
        row["results"][-1][order]["winner"] == str(row["label"])
        for row in rows
        for order in ("swap = False", "swap = True")
    )
    statistics = pair_statistics(read_labelled_pairs(llmbar(SETS[subset][0])), found)
    assert statistics.accuracy_failures_wrong.value == right / 2 / len(rows)
    failed = sum(one.statuses.count("unparsable") for one in found)
    assert statistics.statuses.get("unparsable", 0) == failed
    assert statistics.statuses["ok"] + failed == 2 * len(rows)


@pytest.mark.parametrize(
    ("subset", "judge", "accuracy", "ties"),
    [
        ("Natural", "GPT-4", 0.92, 10),
        ("Natural", "ChatGPT", 0.685, 47),
        ("Neighbor", "ChatGPT", 110 / 268, 62),
    ],
)
def test_recorded_ratings_have_their_published_accuracy_with_ties_as_half(
    subset, judge, accuracy, ties
) -> None:
    found, _ = recorded(subset, judge, "Rating")
    statistics = pair_statistics(read_labelled_pairs(llmbar(SETS[subset][0])), found)
    assert statistics.accuracy.value == accuracy
    assert statistics.tie_rate.value == ties / statistics.pairs
    assert (statistics.consistency.value, statistics.position_bias.value) == (1, 0)


def test_a_recorded_score_that_is_no_number_is_a_failure_and_no_tie() -> None:
    found, _ = recorded("Neighbor", "GPT-4", "Rating")
    statistics = pair_statistics(read_labelled_pairs(llmbar("Adversarial_Neighbor.json")), found)
    assert (statistics.judged, statistics.statuses["unparsable"]) == (133, 1)
    # Published with the failure as half right.
    assert statistics.accuracy_failures_wrong.value == pytest.approx(0.7798507 - 0.5 / 134)


@pytest.mark.parametrize(
    ("name", "accuracy"),
    [
        ("Natural.json", 0.565),
        ("Adversarial_Neighbor.json", 16 / 134),
        ("Adversarial_GPTInst.json", 12 / 92),
        ("Adversarial_GPTOut.json", 21 / 47),
        ("Processed_MT-Bench.json", 138.5 / 200),
    ],
)
def test_preferring_the_longer_response_has_its_known_accuracy(name, accuracy) -> None:
    pairs = read_labelled_pairs(llmbar(name))
    statistics = pair_statistics(pairs, longer_wins(pairs))
    assert statistics.longer_wins.value == statistics.accuracy.value == accuracy
    assert (statistics.better_is_longer.value, statistics.better_is_shorter.value) == (1, 0)


# By hand.

HAND = [
    # label, in order, swapped; b is the longer response
    ("a", "a", "a"),  # right in both orders; the better is the shorter
    ("b", "a", "a"),  # wrong in both
    ("b", "a", "b"),  # goes with the first place
    ("b", "b", "a"),  # goes with the second place
    ("a", "a", "b"),  # goes with the first place
    ("b", "tie", "tie"),
    ("b", "b", None),  # failed once
    ("a", None, None),  # failed twice
]


def by_hand() -> tuple[list[LabelledPair], list[PairJudgement]]:
    pairs = [pair(str(number), better) for number, (better, *_) in enumerate(HAND)]
    found = [judged(str(number), *orders) for number, (_, *orders) in enumerate(HAND)]
    return pairs, found


def test_the_statistics_are_those_computed_by_hand() -> None:
    statistics = pair_statistics(*by_hand())
    assert (statistics.pairs, statistics.judged) == (8, 6)
    # Credits 1, 0, 1/2, 1/2, 1/2, 1/2 of the judged, and 1/2 and 0 of the others.
    assert statistics.accuracy.value == 3 / 6
    assert statistics.accuracy_failures_wrong.value == 3.5 / 8
    assert (statistics.accuracy_decided.value, statistics.accuracy_decided.n) == (1 / 2, 2)
    assert statistics.consistency.value == 3 / 6
    assert statistics.position_bias.value == pytest.approx((1 - 1 + 1) / 6)
    assert statistics.tie_rate.value == 4 / 6
    assert (statistics.better_is_shorter.value, statistics.better_is_shorter.n) == (1.5 / 2, 2)
    assert (statistics.better_is_longer.value, statistics.better_is_longer.n) == (1.5 / 4, 4)
    assert statistics.longer_wins.value == 5 / 8
    assert statistics.chance == coin(6)
    assert statistics.statuses == {"error": 3, "ok": 13}


def test_judgements_come_in_any_order_and_are_one_for_each_pair() -> None:
    pairs, found = by_hand()
    assert pair_statistics(pairs, reversed(found)) == pair_statistics(pairs, found)
    for wrong in (found[1:], [*found, found[0]], [*found[1:], judged("x", "a", "a")]):
        with pytest.raises(ValueError, match="not one for each of 8 pairs"):
            pair_statistics(pairs, wrong)


def test_without_judged_pairs_nothing_is_claimed() -> None:
    statistics = pair_statistics([pair("p")], [judged("p", None, None)])
    assert (statistics.accuracy.value, statistics.accuracy.n, statistics.judged) == (None, 0, 0)
    assert statistics.accuracy_failures_wrong.value == 0
    assert statistics.chance.low is None
    assert pair_statistics([], []).pairs == 0


winners = st.sampled_from(["a", "b", "tie"])


@given(st.lists(st.tuples(st.sampled_from("ab"), winners, winners), min_size=1, max_size=9))
def test_renaming_the_responses_changes_no_figure(rows) -> None:
    other = {"a": "b", "b": "a", "tie": "tie"}
    one = pair_statistics(
        [pair(str(n), better) for n, (better, _, _) in enumerate(rows)],
        [judged(str(n), x, y) for n, (_, x, y) in enumerate(rows)],
    )
    # What was b, shown second, is now a, so that the two orders change places too.
    same = pair_statistics(
        [pair(str(n), other[r[0]], a="much longer", b="short") for n, r in enumerate(rows)],
        [judged(str(n), other[y], other[x]) for n, (_, x, y) in enumerate(rows)],
    )
    assert one == same


def test_a_judge_of_places_is_inconsistent_biased_and_no_better_than_chance() -> None:
    pairs = [pair(str(number), "ab"[number % 2]) for number in range(10)]
    first = pair_statistics(pairs, [judged(one.pair_id, "a", "b") for one in pairs])
    assert (first.accuracy.value, first.consistency.value, first.tie_rate.value) == (0.5, 0, 1)
    assert first.position_bias.value == 1
    second = pair_statistics(pairs, [judged(one.pair_id, "b", "a") for one in pairs])
    assert second.position_bias.value == -1
    assert {lean_to_first(judged("p", won, won)) for won in ("a", "b", "tie")} == {0}


def test_scores_make_a_judgement_and_a_missing_one_fails() -> None:
    assert of_scores("p", (2.0, 1.0)).winner == "a"
    assert of_scores("p", (1.0, 2.0)).winner == "b"
    assert of_scores("p", (0.0, 0.0)).winner == "tie"
    assert of_scores("p", (0.5, 0.5 + 1e-7)).winner == "tie", "float32 tells them apart, no more"
    failed = of_scores("p", (None, 2.0), ("echo", "ok"))
    assert (failed.winner, failed.statuses) == (None, ("echo", "ok"))


@pytest.mark.parametrize(
    ("logprobs", "orders", "winner"),
    [
        # a and b with a first; b and a with b first
        ((-1.0, -2.0, -2.0, -1.0), ("a", "a"), "a"),
        ((-2.0, -1.0, -1.0, -2.0), ("b", "b"), "b"),
        ((-1.0, -2.0, -1.0, -2.0), ("a", "b"), "tie"),
        ((-1.0, -1.0, -2.0, -1.0), ("tie", "a"), "tie"),
        ((-1.0, -2.0, None, None), ("a", None), None),
        ((float("-inf"), float("-inf"), -1.0, -2.0), (None, "b"), None),
    ],
)
def test_a_comparison_makes_a_judgement_order_by_order(logprobs, orders, winner) -> None:
    row = Comparison("p", "j", "ok" if winner else "error", winner, None, *logprobs, "d")
    found = of_comparison(row)
    assert ((found.in_order, found.swapped), found.winner) == (orders, winner)


def test_a_labelled_pair_is_judged_as_a_pair_or_as_two_candidates_without_its_label() -> None:
    one, other = pair("p", "a"), pair("p", "b")
    assert one.responses == other.responses
    assert one.candidates == other.candidates
    a, b = one.candidates
    assert (a.completion, b.completion) == ("short", "much longer")
    assert (a.prompt_id, a.context) == (b.prompt_id, b.context)
    assert a.candidate_id != b.candidate_id
    assert as_arrow(DIALOGUES, one.candidates).num_rows == 2


# Intervals.


def test_an_interval_is_sampled_by_seed_and_holds_the_mean() -> None:
    values = [1.0] * 70 + [0.5] * 10 + [0.0] * 20
    one = mean_of(values, seed=0)
    assert one == mean_of(list(reversed(values)), seed=0)
    varied = np.linspace(0, 1, 50).tolist()
    assert mean_of(varied, seed=0) == mean_of(varied, seed=0) != mean_of(varied, seed=1)
    assert one.value == 0.75
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.75 < one.high
    assert mean_of([1.0] * 9, seed=0) == mean_of([1.0] * 9, seed=5)
    assert mean_of([], seed=0).n == 0


def test_the_interval_is_that_of_the_usual_bootstrap() -> None:
    values = np.random.default_rng(0).choice([0.0, 0.5, 1.0], 200, p=[0.2, 0.1, 0.7])
    usual = bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = mean_of(values.tolist(), seed=0)
    assert (found.low, found.high) == pytest.approx((usual.low, usual.high), abs=0.006)


def test_the_interval_of_a_million_pairs_is_narrow_and_needs_little_memory() -> None:
    found = mean_of(np.tile([1.0, 0.0, 0.5, 1.0], 250_000).tolist(), seed=0)
    assert found.value == 0.625
    assert found.low == pytest.approx(0.625 - 0.0008, abs=2e-4)


def test_a_coin_stays_in_its_range_95_times_of_100() -> None:
    chance = coin(100)
    assert (chance.low, chance.high) == (0.4, 0.6)
    flips = np.random.default_rng(0).binomial(100, 0.5, 20_000) / 100
    assert np.mean((flips >= chance.low) & (flips <= chance.high)) == pytest.approx(0.965, abs=0.01)


# Test and retest.


def runs(*winners: Sequence[Winner | None]) -> list[list[PairJudgement]]:
    return [[judged(str(n), won, won) for n, won in enumerate(run)] for run in winners]


def test_stability_is_the_share_of_equal_winners() -> None:
    assert stability(runs("ab", "ab")).value == 1
    assert stability(runs(["a", "b", "tie", "tie"], ["a", "a", "tie", "b"])).value == 0.5
    # Of three runs, three couples: all agree on the first pair, one couple on the second.
    assert stability(runs("aa", "ab", "aa")).value == pytest.approx((1 + 1 / 3) / 2)


def test_a_failed_run_tells_nothing_of_stability() -> None:
    found = stability(runs(["a", "a", None], ["a", None, None], ["b", "a", "b"]))
    # The first pair's three couples agree once; the second's only couple agrees; the third has none.
    assert (found.value, found.n) == (pytest.approx((1 / 3 + 1) / 2), 2)
    assert stability(runs(["a"])).n == stability([]).n == 0


# Files.

ROW = {"input": "Hi", "output_1": "Hello", "output_2": "What?", "label": 2}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_pair_is_read_with_its_label_and_named_by_its_content(tmp_path) -> None:
    (one,) = read_labelled_pairs(written(tmp_path, [ROW]))
    assert (one.response_a, one.response_b, one.better) == ("Hello", "What?", "b")
    assert one.context == ({"role": "user", "content": "Hi"},)
    (other,) = read_labelled_pairs(written(tmp_path, [{**ROW, "label": 1}]))
    assert (other.pair_id, other.better) == (one.pair_id, "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": 1}, "found no list"),
        ([ROW, {**ROW, "label": 0}], "row 2 has the label 0"),
        ([{**ROW, "label": None}], "row 1 has the label None"),
        ([{"input": "Hi", "label": 1}], "row 1 has no texts"),
        ([{**ROW, "output_1": 3}], "row 1 has no texts"),
        (["Hi"], "row 1 has no texts"),
        ([ROW, {**ROW, "label": 1}], "row 2 repeats a pair"),
    ],
)
def test_a_file_of_another_form_is_refused_by_row(tmp_path, content, said) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UserError) as refusal:
        read_labelled_pairs(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert said in str(refusal.value)


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"nope\.json: no such file"):
        read_labelled_pairs(tmp_path / "nope.json")
    (tmp_path / "bad.json").write_text("[{")
    with pytest.raises(UserError, match=r"bad\.json: not JSON"):
        read_labelled_pairs(tmp_path / "bad.json")


def results(first: str, swapped: str) -> list[object]:
    return [{"swap = False": {"completion": [first]}, "swap = True": {"completion": [swapped]}}]


@pytest.mark.parametrize(
    ("words", "choice", "orders"),
    [
        (("Output (a)", "Output (b)"), "opening", ("a", "a")),
        (("Output (b)", "Output (b)"), "opening", ("b", "a")),
        (("Well.\n Output (b)", "I say Output (a)"), "opening", ("b", None)),
        (("So Output (b) is better.", "Output (b) is good."), "conclusion", ("b", None)),
        (("", "None of them."), "opening", (None, None)),
    ],
)
def test_recorded_words_name_an_output_of_their_order(tmp_path, words, choice, orders) -> None:
    path = written(tmp_path, [{**ROW, "results": results(*words)}])
    (found,) = read_recorded(path, choice)
    assert (found.in_order, found.swapped) == orders
    assert found.statuses == tuple("ok" if won else "unparsable" for won in orders)


@pytest.mark.parametrize("recording", [{}, {"results": []}, {"results": [{"swap = False": {}}]}])
def test_a_row_without_a_recorded_judgement_is_refused(tmp_path, recording) -> None:
    with pytest.raises(UserError, match="row 1 has no recorded judgement"):
        read_recorded(written(tmp_path, [{**ROW, **recording}]))


def test_a_right_verdict_counts_1_a_tie_half_and_a_failure_nothing() -> None:
    one = pair("p", "a")
    assert credit(one, judged("p", "a", "a")) == 1
    assert credit(one, judged("p", "tie", "tie")) == 0.5
    assert credit(one, judged("p", "a", "tie")) == 0.75
    assert credit(one, judged("p", "a", None)) == 0.5
    assert credit(one, judged("p", None, None)) == credit(one, judged("p", "b", "b")) == 0
