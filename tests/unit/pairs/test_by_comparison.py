"""Comparisons: which candidates meet, what a judge of pairs says, and the pairs made of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.builders import candidate, prompt, user
from wim.errors import UserError
from wim.judging.compare import compared_pairs
from wim.pairs.by_comparison import pair_compared
from wim.settings.load import load_config
from wim.settings.pairs import PairSettings
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import COMPARISONS, DIALOGUES, PROMPTS, Candidate, Comparison

JUDGES = {"j": {"model": "smollm2", "method": "pairwise"}, "s": {"model": "smollm2"}}


def ids(policies: Sequence[Sequence[Candidate]], per_context: int | None = None, seed: int = 0):
    return [(pair.a_id, pair.b_id) for pair in compared_pairs(policies, per_context, seed)]


# Who meets whom.


def test_candidates_of_one_policy_meet_each_other_and_of_two_those_of_the_other() -> None:
    one, two = [candidate("a"), candidate("b")], [candidate("c"), candidate("d")]
    assert ids([[*one, candidate("e")]]) == [("a", "b"), ("a", "e"), ("b", "e")]
    assert ids([one, two]) == [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")]


def test_candidates_of_different_contexts_never_meet() -> None:
    here = [candidate("a"), candidate("b", prompt_id="q")]
    there = [candidate("c", context=user("Bye"))]
    assert ids([here]) == []
    assert ids([here, there]) == []


def test_a_limit_draws_by_seed_and_leaves_other_contexts_as_they_are() -> None:
    many = [candidate(f"a{number}") for number in range(5)]
    other = [candidate("b", prompt_id="q"), candidate("c", prompt_id="q")]
    drawn = ids([many], 3)
    assert len(drawn) == 3
    assert drawn == ids([many], 3)
    assert ids([many + other], 3) == [*drawn, ("b", "c")]
    assert len({tuple(ids([many], 3, seed)) for seed in range(5)}) > 1


def test_a_candidate_that_both_policies_drew_does_not_meet_itself() -> None:
    assert ids([[candidate("a")], [candidate("a"), candidate("b")]]) == [("a", "b")]


# What becomes of the verdicts.


CUT_ONES = {"a1", "b2"}


def compared(
    folder: Path, rows: Sequence[tuple[str | None, float | None]], **settings: object
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The pairs of verdicts (winner, preference_a) of base against a teacher, and the counts."""
    prompts = [prompt(f"p{n}") for n in range(9)]
    write_table(folder / "prompts", PROMPTS, as_arrow(PROMPTS, prompts))
    for side in "ab":
        found = [
            candidate(
                f"{side}{n}",
                prompt_id=f"p{n}",
                completion=f"text of {side}{n}",
                finish_reason="length" if f"{side}{n}" in CUT_ONES else "stop",
            )
            for n in range(len(rows))
        ]
        write_table(folder / side, DIALOGUES, as_arrow(DIALOGUES, found))
    verdicts = [
        Comparison(
            f"x{n}", "j", "ok" if winner else "error", winner, preference, None, None, None, None,
            "d", prompt_id=f"p{n}", a_id=f"a{n}", b_id=f"b{n}",
        )
        for n, (winner, preference) in enumerate(rows)
    ]  # fmt: skip
    write_table(folder / "comparisons", COMPARISONS, as_arrow(COMPARISONS, verdicts))
    pair_compared(
        prompts=[folder / "prompts"],
        dialogues=[folder / "a", folder / "b"],
        policies=["base", "teacher"],
        comparisons=[folder / "comparisons"],
        settings=PairSettings.model_validate(settings),
        names={"judge": "j", "reward": "versus"},
        output=folder / "pairs.parquet",
        exclusions=folder / "exclusions.json",
    )
    pairs = pd.read_parquet(folder / "pairs.parquet").to_dict("records")
    return pairs, json.loads((folder / "exclusions.json").read_text())


def test_the_winner_is_chosen_and_scores_are_the_probabilities_of_both(tmp_path: Path) -> None:
    pairs, _ = compared(tmp_path, [("a", 0.75), ("b", 0.25)])
    assert [(row["chosen_id"], row["rejected_id"]) for row in pairs] == [("a0", "b0"), ("b1", "a1")]
    assert [(row["chosen_model"], row["rejected_model"]) for row in pairs] == [
        ("base", "teacher"),
        ("teacher", "base"),
    ]
    for row in pairs:
        assert (row["score_chosen"], row["score_rejected"], row["margin"]) == (0.75, 0.25, 0.5)
        assert (row["judge"], row["reward"]) == ("j", "versus")
        assert row["chosen"][0]["content"] == f"text of {row['chosen_id']}"


def test_comparisons_of_cut_completions_are_kept_or_dropped_and_counted(tmp_path: Path) -> None:
    verdicts: list[tuple[str | None, float | None]] = [("a", 0.9)] * 3
    pairs, counts = compared(tmp_path, verdicts)
    assert [row["chosen_id"] for row in pairs] == ["a0", "a1", "a2"]
    assert [row["chosen_finish_reason"] for row in pairs] == ["stop", "length", "stop"]
    assert counts["cut"] == {"candidates": 2, "chosen": 1, "rejected": 1, "never_answered": 0}
    pairs, counts = compared(tmp_path, verdicts, cut="drop")
    assert [row["chosen_id"] for row in pairs] == ["a0"]
    assert counts["excluded"] == {"comparisons of completions that were cut at max_new_tokens": 2}
    assert counts["cut"] == {"candidates": 2, "chosen": 0, "rejected": 0, "never_answered": 0}


def test_ties_and_failures_label_nothing_and_are_counted(tmp_path: Path) -> None:
    pairs, counts = compared(
        tmp_path, [("a", 0.9), ("tie", 0.6), (None, None), ("b", 0.45)], min_margin=0.2
    )
    assert [row["chosen_id"] for row in pairs] == ["a0"]
    assert counts["excluded"] == {
        "comparisons below the minimum margin": 1,
        "comparisons that tie": 1,
        "comparisons with status error": 1,
    }
    with pytest.raises(UserError, match="no training pair is left"):
        compared(tmp_path, [("tie", 0.5), (None, None)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"comparisons": {"c": {"judge": "s"}}}, "write a judge of the method pairwise"),
        ({"rewards": {"r": {"judge": "j", "zeta": 1.0}}}, "rewards.r.judge: found 'j', which compares"),
        ({"comparisons": {"labelled": {"judge": "j"}}}, "comparisons.labelled: the workflow itself"),
        ({"comparisons": {"c": {"judge": "j", "between": ["bse"]}}}, "did you mean 'base'"),
        ({"comparisons": {"c": {"judge": "j", "between": ["base", "base"]}}}, "names one policy twice"),
        ({"arms": {"x": {}}}, "found neither of reward and comparison"),
        ({"arms": {"x": {"comparison": "c", "pairs": {"ties": "first"}}}}, "arms.x.pairs.ties"),
        ({"arms": {"x": {"comparison": "c", "pairs": {"select": "all"}}}}, "arms.x.pairs.select"),
    ],
)  # fmt: skip
def test_a_comparison_that_cannot_be_made_is_refused_with_what_to_write(
    values: dict[str, Any], message: str
) -> None:
    base = {"judges": JUDGES, "rewards": {}, "arms": {}, "comparisons": {"c": {"judge": "j"}}}
    with pytest.raises(UserError, match=message):
        load_config(base | values)
