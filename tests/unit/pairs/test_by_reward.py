"""Rewards from ratings and embeddings, and the pairs that are made of them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.builders import candidate, prompt, rating, user
from wim.errors import UserError
from wim.pairs.by_reward import Scored, candidate_pairs, pair_candidates
from wim.rewards.kinds import mixed_reward, scaled_rating
from wim.rewards.score import score_candidates
from wim.settings.pairs import PairSettings
from wim.settings.rewards import RewardSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import (
    DIALOGUES,
    PAIRS,
    PROMPTS,
    RATINGS,
    REWARDS,
    embeddings_table,
)
from wim.tables.seal import seal

EMBEDDINGS = embeddings_table(2)
NAMES = {"policy": "base", "judge": "tiny", "reward": "wim"}


def test_a_rating_of_1_to_10_is_scaled_to_minus_1_to_1() -> None:
    assert scaled_rating(pd.Series([1.0, 5.5, 10.0])).tolist() == [-1, 0, 1]


@pytest.mark.parametrize(("zeta", "expected"), [(0, 0.5), (0.4, 0.22), (1, -0.2)])
def test_zeta_weighs_the_cosine_against_the_rating(zeta, expected) -> None:
    reward = mixed_reward(pd.Series([0.5]), pd.Series([-0.2]), zeta)
    assert reward.tolist() == pytest.approx([expected])


# Vectors of unit length, whose cosine with (1, 0) is their first number.
SHARD = [
    # status, rating, rating_expected, critique's vector
    ("ok", 10, 9.1, [0.6, 0.8]),
    ("ok", 1, 1.9, [-0.8, 0.6]),
    ("nothing_missing", 4, 5.5, None),
    ("echo", None, None, None),
    ("truncated", None, None, None),
    ("unparsable", None, None, None),
    ("refused", None, None, None),
    ("error", None, None, None),
]


def write_shard(folder: Path, rows: Sequence[tuple[object, ...]], first: int = 0) -> list[Path]:
    """Dialogues, ratings and embeddings of some rows, as rewards take them."""
    folder.mkdir(parents=True, exist_ok=True)
    candidates, ratings, vectors = [], [], []
    for number, (status, score, mean, vector) in enumerate(rows, start=first):
        key = f"{number:04d}"
        candidates.append(candidate(key, sample=number, completion=f"answer {number}"))
        ratings.append(
            rating(
                key,
                judge="tiny",
                status=status,
                rating=score,
                rating_expected=mean,
                wim="words" if score else None,
                nothing_missing_logprob=-1.0,
            )
        )
        vectors.append(
            {
                "candidate_id": key, "judge": "tiny", "response_embedding": [1.0, 0.0],
                "wim_embedding": vector, "response_truncated": False, "wim_truncated": False,
                "response_unknown": 0.0, "wim_unknown": None if vector is None else 0.0,
                "encoder_digest": "e",
            }
        )  # fmt: skip
    paths = [folder / name for name in ("dialogues", "ratings", "embeddings")]
    write_table(paths[0], DIALOGUES, as_arrow(DIALOGUES, candidates))
    write_table(paths[1], RATINGS, as_arrow(RATINGS, ratings))
    write_table(paths[2], EMBEDDINGS, pa.Table.from_pylist(vectors, schema=EMBEDDINGS.schema))
    return paths


def rewards_of(
    tmp_path: Path, rows: Sequence[tuple[object, ...]], **settings: object
) -> list[dict]:
    dialogues, ratings, embeddings = write_shard(tmp_path, rows)
    options = RewardSettings.model_validate({"judge": "tiny", "zeta": 0.4} | settings)
    score_candidates([dialogues], [ratings], [embeddings], options, tmp_path / "rewards")
    return list(read_table(tmp_path / "rewards", REWARDS).to_pylist())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"zeta": 0}, [1, -1, -1 / 3]),
        ({"zeta": 1}, [0.6, -0.8, 1]),
        ({"zeta": 0.4}, [0.6 + 0.4 * 0.6, -0.6 - 0.4 * 0.8, 0.6 * -1 / 3 + 0.4]),
        ({"zeta": 0, "rating": "rating_expected"}, [0.8, -0.8, 0]),
    ],
)
def test_rewards_are_those_worked_out_by_hand(tmp_path, settings, expected) -> None:
    rows = rewards_of(tmp_path, SHARD, **settings)
    assert [row["reward"] for row in rows[:3]] == pytest.approx(expected, abs=1e-7)


def test_where_nothing_is_missing_the_cosine_is_1(tmp_path) -> None:
    rows = rewards_of(tmp_path, SHARD)
    assert [row["cosine"] for row in rows[:3]] == pytest.approx([0.6, -0.8, 1.0])


@pytest.mark.parametrize("zeta", [0, 0.4, 1])
def test_a_failed_judgement_has_no_reward(tmp_path, zeta) -> None:
    rows = rewards_of(tmp_path, SHARD, zeta=zeta)
    assert [row["status"] for row in rows] == [status for status, *_ in SHARD]
    assert {row["reward"] for row in rows[3:]} == {None}


@pytest.mark.parametrize("zeta", [0, 0.4, 1])
def test_a_failed_judgement_that_kept_a_number_still_has_no_reward(tmp_path, zeta) -> None:
    rows = rewards_of(
        tmp_path, [("echo", 9, 9.0, [1.0, 0.0]), ("error", 9, 9.0, [1.0, 0.0])], zeta=zeta
    )
    assert [row["reward"] for row in rows] == [None, None]


@pytest.mark.parametrize("zeta", [0, 0.4, 1])
@pytest.mark.parametrize(
    "rows", [SHARD[3:], SHARD[2:3], []], ids=["failures", "nothing missing", "empty"]
)
def test_a_shard_without_a_single_critique_is_scored(tmp_path, rows, zeta) -> None:
    found = rewards_of(tmp_path, rows, zeta=zeta)
    assert [row["status"] for row in found] == [status for status, *_ in rows]
    assert all((row["reward"] is None) == (row["status"] != "nothing_missing") for row in found)


def test_the_order_of_shards_changes_no_byte_of_the_rewards(tmp_path) -> None:
    one, other = write_shard(tmp_path / "a", SHARD), write_shard(tmp_path / "b", SHARD, first=50)
    for name, order in {"x": [one, other], "y": [other, one]}.items():
        dialogues, ratings, embeddings = map(list, zip(*order, strict=True))
        settings = RewardSettings(judge="tiny", zeta=0.4)
        score_candidates(dialogues, ratings, embeddings, settings, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


# Pairs of one context.


def scored(*rewards: float, completions: Sequence[str] | None = None) -> list[Scored]:
    texts = completions or [f"answer {number}" for number in range(len(rewards))]
    return [
        Scored(f"id{number}", number, reward, text)
        for number, (reward, text) in enumerate(zip(rewards, texts, strict=True))
    ]


def ids(
    context: Sequence[Scored], seed: int = 0, **settings: object
) -> tuple[list[tuple[str, str]], Counter[str]]:
    excluded: Counter[str] = Counter()
    options = PairSettings.model_validate(settings)
    found = [
        (chosen.candidate_id, rejected.candidate_id)
        for chosen, rejected in candidate_pairs(context, options, seed, excluded)
    ]
    return found, excluded


contexts = st.lists(
    st.tuples(st.sampled_from([-1.0, -0.2, 0.0, 0.3, 0.30001, 1.0]), st.sampled_from("abcd")),
    max_size=7,
).map(lambda rows: scored(*[r for r, _ in rows], completions=[c for _, c in rows]))
options = st.fixed_dictionaries(
    {
        "select": st.sampled_from(["best_worst", "all"]),
        "ties": st.sampled_from(["drop", "random", "first"]),
        "min_margin": st.sampled_from([0.0, 0.1, 5.0]),
    }
)


@given(contexts, options, st.integers(0, 99), st.randoms())
def test_pairs_hold_their_promises(context, settings, seed, random) -> None:
    found, excluded = ids(context, seed, **settings)
    rows = {row.candidate_id: row for row in context}
    for chosen, rejected in found:
        margin = rows[chosen].reward - rows[rejected].reward
        assert margin >= settings["min_margin"]
        assert margin > 0 or settings["ties"] != "drop"
        assert rows[chosen].completion != rows[rejected].completion
    assert len({frozenset(pair) for pair in found}) == len(found)
    possible = len(list(combinations(context, 2)))
    if settings["select"] == "best_worst":
        possible = min(possible, 1)
    lonely = excluded.pop("contexts with fewer than two rewards", 0)
    assert lonely == (len(context) < 2)
    assert len(found) + excluded.total() == possible
    shuffled = list(context)
    random.shuffle(shuffled)
    assert ids(shuffled, seed, **settings)[0] == found


def test_the_best_is_set_against_the_worst() -> None:
    assert ids(scored(0.2, 0.9, -0.5, 0.1))[0] == [("id1", "id2")]


def test_all_pairs_are_every_two_candidates() -> None:
    found, _ = ids(scored(0.2, 0.9, -0.5), select="all")
    assert sorted(found) == [("id0", "id2"), ("id1", "id0"), ("id1", "id2")]


def test_rewards_that_differ_by_rounding_alone_are_ties() -> None:
    assert ids(scored(0.5, 0.5 + 1e-7)) == ([], Counter({"pairs with equal rewards": 1}))
    assert ids(scored(0.5, 0.5 + 1e-7), ties="first")[0] == [("id0", "id1")]
    assert ids(scored(0.5, 0.50001))[0] == [("id1", "id0")]


@pytest.mark.parametrize("noise", [0.0, 1e-7, -1e-7])
def test_of_the_best_and_of_the_worst_that_tie_the_earlier_sample_is_taken(noise) -> None:
    assert ids(scored(0.9, 0.9 + noise, -0.5, -0.5 - noise))[0] == [("id0", "id2")]


def test_tied_candidates_give_no_pair_or_the_earlier_sample_first() -> None:
    assert ids(scored(0.5, 0.5)) == ([], Counter({"pairs with equal rewards": 1}))
    assert ids(scored(0.5, 0.5), ties="first")[0] == [("id0", "id1")]
    assert ids(scored(0.5, 0.5)[::-1], ties="first")[0] == [("id0", "id1")]
    assert ids(scored(0.2, 0.5), ties="first")[0] == [("id1", "id0")]


def test_random_ties_are_decided_by_seed_and_evenly() -> None:
    first = []
    for number in range(2000):
        context = [Scored(f"{number}-{sample}", sample, 0.5, str(sample)) for sample in range(2)]
        (pair,), _ = ids(context, ties="random")
        assert ids(context[::-1], ties="random")[0] == [pair]
        first.append(pair[0].endswith("-0"))
    assert 900 < sum(first) < 1100
    orders = {ids(scored(0.5, 0.5), seed, ties="random")[0][0] for seed in range(20)}
    assert orders == {("id0", "id1"), ("id1", "id0")}


def test_a_margin_below_the_least_is_left_out_and_counted() -> None:
    settings = {"select": "all", "min_margin": 0.5}
    found, excluded = ids(scored(1.0, 0.5, 0.25), **settings)
    assert sorted(found) == [("id0", "id1"), ("id0", "id2")]
    assert excluded == {"pairs below the minimum margin": 1}
    assert ids(scored(0.5, 0.5), ties="first", min_margin=0.1)[0] == []


def test_identical_completions_are_no_pair() -> None:
    context = scored(1.0, -1.0, completions=["same", "same"])
    assert ids(context) == ([], Counter({"pairs of identical completions": 1}))


# The pairs table.

SCORES = {
    "p0": [0.9, -0.1, None],
    "p1": [0.4, 0.4, 0.1],
    "p2": [0.3, None, None],
    "p3": [0.0, 0.2, 0.1],
}


def write_inputs(
    folder: Path,
    scores: dict[str, list[float | None]] = SCORES,
    changed: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Path]:
    """Prompts (the last held out), rewards, and one shard of dialogues a prompt.

    changed: columns of candidates, by candidate_id.
    """
    prompts, candidates, rewards = [], [], []
    for name, row in scores.items():
        messages = user(f"Question {name}")
        prompts.append(prompt(name, messages=messages, split="eval" if name == "p3" else "train"))
        for sample, reward in enumerate(row):
            key = f"{name}-{sample}"
            candidates.append(
                candidate(
                    key,
                    prompt_id=name,
                    sample=sample,
                    context=messages,
                    **{"completion": f"Answer {sample}", **(changed or {}).get(key, {})},
                )
            )
            rewards.append(
                {
                    "candidate_id": key, "prompt_id": name, "turn": 1, "judge": "tiny",
                    "status": "refused" if reward is None else "ok", "cosine": reward,
                    "rating_scaled": None, "reward": reward,
                }
            )  # fmt: skip
    write_table(folder / "prompts", PROMPTS, as_arrow(PROMPTS, prompts))
    write_table(folder / "rewards", REWARDS, pa.Table.from_pylist(rewards, schema=REWARDS.schema))
    shards = []
    for name in scores:
        rows = [row for row in candidates if row.prompt_id == name]
        write_table(folder / f"shard-{name}", DIALOGUES, as_arrow(DIALOGUES, rows))
        shards.append(folder / f"shard-{name}")
    return shards


def make_pairs(
    folder: Path, shards: Sequence[Path], name: str = "pairs", **settings: object
) -> Path:
    output = folder / f"{name}.parquet"
    options = PairSettings.model_validate(settings)
    pair_candidates(
        [folder / "prompts"],
        shards,
        folder / "rewards",
        options,
        NAMES,
        0,
        output,
        folder / f"{name}.json",
    )
    return output


def test_pairs_carry_scores_splits_and_where_they_come_from(tmp_path) -> None:
    output = make_pairs(tmp_path, write_inputs(tmp_path))
    rows = read_table(output, PAIRS).to_pylist()
    assert [(row["chosen_id"], row["rejected_id"], row["split"]) for row in rows] == [
        ("p0-0", "p0-1", "train"),
        ("p1-0", "p1-2", "train"),
        ("p3-1", "p3-0", "eval"),
    ]
    first = rows[0]
    assert first["prompt"] == user("Question p0")
    assert first["chosen"] == [{"role": "assistant", "content": "Answer 0"}]
    assert first["rejected"] == [{"role": "assistant", "content": "Answer 1"}]
    assert (first["score_chosen"], first["score_rejected"]) == (0.9, -0.1)
    assert first["margin"] == pytest.approx(1.0)
    assert (first["chosen_model"], first["judge"], first["reward"]) == ("base", "tiny", "wim")


def test_a_candidate_without_a_reward_is_in_no_pair(tmp_path) -> None:
    output = make_pairs(tmp_path, write_inputs(tmp_path), select="all", ties="first")
    rows = read_table(output, PAIRS).to_pylist()
    members = {row[side] for row in rows for side in ("chosen_id", "rejected_id")}
    failed = {
        f"{p}-{n}" for p, row in SCORES.items() for n, reward in enumerate(row) if reward is None
    }
    assert failed == {"p0-2", "p2-1", "p2-2"}
    assert not members & failed


def test_everything_left_out_is_counted_by_cause(tmp_path) -> None:
    make_pairs(tmp_path, write_inputs(tmp_path), select="all", min_margin=0.15)
    assert json.loads((tmp_path / "pairs.json").read_text()) == {
        "candidates": 12,
        "cut": {"candidates": 0, "chosen": 0, "rejected": 0, "never_answered": 0},
        "pairs": {"train": 3, "eval": 1},
        "excluded": {
            "candidates with status refused": 3,
            "contexts with fewer than two rewards": 1,
            "pairs below the minimum margin": 2,
            "pairs with equal rewards": 1,
        },
    }


def test_no_pair_to_train_on_is_refused_with_the_counts(tmp_path) -> None:
    scores: dict[str, list[float | None]] = {"p0": [0.5, 0.5, None], "p1": [0.1], "p3": [0.0, 1.0]}
    shards = write_inputs(tmp_path, scores)
    with pytest.raises(UserError) as refusal:
        make_pairs(tmp_path, shards)
    for part in (
        str(tmp_path / "rewards"),
        "no training pair is left of 6 candidates",
        "1 candidates with status refused",
        "1 contexts with fewer than two rewards",
        "1 pairs with equal rewards",
        "held out for evaluation: 1 pairs",
        "pairs.ties",
    ):
        assert part in str(refusal.value)
    assert not (tmp_path / "pairs.parquet").exists()


@pytest.mark.parametrize("select", ["best_worst", "all"])
def test_the_order_of_shards_and_rows_changes_no_byte_of_the_pairs(tmp_path, select) -> None:
    shards = write_inputs(tmp_path)
    options = {"select": select, "ties": "random"}
    expected = make_pairs(tmp_path, shards, "one", **options).read_bytes()
    for shard in shards:
        content = read_table(shard, DIALOGUES)
        pq.write_table(content.take(list(reversed(range(len(content))))), shard)
        seal(shard)
    assert make_pairs(tmp_path, shards[::-1], "two", **options).read_bytes() == expected
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_trl_reads_the_pairs_as_conversations_of_its_dpo_trainer(tmp_path, smollm2) -> None:
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl.data_utils import apply_chat_template, is_conversational

    output = make_pairs(tmp_path, write_inputs(tmp_path))
    dataset = load_dataset("parquet", data_files=str(output), cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    row = {name: dataset[0][name] for name in ("prompt", "chosen", "rejected")}
    assert is_conversational(row)
    text = apply_chat_template(row, AutoTokenizer.from_pretrained(smollm2))
    assert "Question p0" in text["prompt"]
    assert text["chosen"].startswith("Answer 0")
    assert text["rejected"].startswith("Answer 1")


CUT_ONES: dict[str, dict[str, Any]] = {
    "p0-0": {"finish_reason": "length", "tokens": [5, 6, 7]},
    "p1-1": {"finish_reason": "length"},
    "p1-2": {"tokens": [8, 2], "reasoning": "So it is."},
    "p2-1": {"finish_reason": "length", "completion": "", "reasoning": "Hm, ", "judged": False},
}


def test_pairs_have_what_is_trained_of_both_candidates(tmp_path) -> None:
    output = make_pairs(tmp_path, write_inputs(tmp_path, changed=CUT_ONES))
    first, second, _ = read_table(output, PAIRS).to_pylist()
    assert (first["chosen_id"], first["chosen_finish_reason"]) == ("p0-0", "length")
    assert (first["chosen_tokens"], first["rejected_tokens"]) == ([5, 6, 7], None)
    assert first["rejected_finish_reason"] == "stop"
    assert second["rejected_id"] == "p1-2"
    assert (second["rejected_tokens"], second["rejected_reasoning"]) == ([8, 2], "So it is.")


@pytest.mark.parametrize(
    ("cut", "ids", "counted"),
    [
        ("keep", ["p0-0", "p1-0", "p3-1"], {"chosen": 1, "rejected": 0}),
        ("drop", ["p1-0", "p3-1"], {"chosen": 0, "rejected": 0}),
    ],
)
def test_what_becomes_of_cut_completions_is_chosen_and_counted_either_way(
    tmp_path, cut: str, ids: list[str], counted: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    shards = write_inputs(tmp_path, changed=CUT_ONES)
    rows = read_table(make_pairs(tmp_path, shards, cut=cut), PAIRS).to_pylist()
    assert [row["chosen_id"] for row in rows] == ids
    counts = json.loads((tmp_path / "pairs.json").read_text())
    assert counts["cut"] == {"candidates": 2, "never_answered": 1, **counted}
    left_out = counts["excluded"].get("candidates that were cut at max_new_tokens", 0)
    assert left_out == (2 if cut == "drop" else 0)
    assert "2 completions were cut at max_new_tokens" in caplog.text
    assert "1 more never came to an answer" in caplog.text


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_texts_that_wait_in_pieces_come_to_the_pairs_that_they_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    from wim.pairs import table

    scores = {f"p{number}": [0.9, -0.1, 0.2, None] for number in range(7)}
    texts = {
        f"{name}-{sample}": {"completion": f"{name} {sample}", "tokens": [sample, len(name)]}
        for name in scores
        for sample in range(4)
    }
    # The order of the shards is not that of the table.
    shards = write_inputs(tmp_path, scores, texts)[::-1]
    whole = read_table(make_pairs(tmp_path, shards, "whole", select="all"), PAIRS).to_pylist()
    assert len(whole) == 7 * 3
    assert all(row["chosen"][0]["content"] == row["chosen_id"].replace("-", " ") for row in whole)
    monkeypatch.setattr(table, "ROW_GROUP", rows)
    found = read_table(make_pairs(tmp_path, shards, "pieces", select="all"), PAIRS).to_pylist()
    assert found == whole
    assert not list(tmp_path.glob(".pieces*"))


def test_keeping_what_was_cut_changes_no_identity() -> None:
    assert "cut" not in PairSettings().identity()
    assert PairSettings(cut="drop").identity()["cut"] == "drop"
