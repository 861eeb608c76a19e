"""Kinds of rewards: the published one with its fallbacks, log-probabilities, and the controls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import wim.rewards.score
from support.builders import candidate, rating
from wim.provenance.digest import canonical_json
from wim.rewards.kinds import derangement
from wim.rewards.score import score_candidates
from wim.settings.rewards import RewardSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import DIALOGUES, RATINGS, REWARDS, embeddings_table

DIMENSION = 16
EMBEDDINGS = embeddings_table(DIMENSION)
FAILED = ("echo", "truncated", "unparsable", "refused", "error")


@dataclass(frozen=True)
class Row:
    """A judged candidate. critique: the cosine of its response with its critique.

    unknown, response_unknown: the shares of unknown tokens of the two.
    """

    status: str = "ok"
    rating: int | None = 7
    critique: float | None = 0.5
    prompt: str = "p"
    tokens: int = 2
    logprob: float | None = -1.5
    unknown: float = 0.0
    response_unknown: float = 0.0


def write_shard(folder: Path, rows: Sequence[Row], first: int = 0) -> tuple[Path, Path, Path]:
    """Dialogues, ratings and embeddings, as rewards take them; all responses are one vector."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:05d}" for number in range(first, first + len(rows))]
    candidates = [
        candidate(name, prompt_id=row.prompt, sample=number, completion_tokens=row.tokens)
        for number, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    ratings = [
        rating(
            name,
            status=row.status,
            rating=row.rating,
            rating_expected=row.rating,
            nothing_missing_logprob=row.logprob,
        )
        for name, row in zip(names, rows, strict=True)
    ]
    vectors = [
        {
            "candidate_id": name, "judge": "j", "response_embedding": vector(1.0),
            "wim_embedding": None if row.critique is None else vector(row.critique),
            "response_truncated": False, "wim_truncated": False,
            "response_unknown": row.response_unknown,
            "wim_unknown": None if row.critique is None else row.unknown,
            "encoder_digest": "e",
        }
        for name, row in zip(names, rows, strict=True)
    ]  # fmt: skip
    paths = folder / "dialogues", folder / "ratings", folder / "embeddings"
    write_table(paths[0], DIALOGUES, as_arrow(DIALOGUES, candidates))
    write_table(paths[1], RATINGS, as_arrow(RATINGS, ratings))
    write_table(paths[2], EMBEDDINGS, pa.Table.from_pylist(vectors, schema=EMBEDDINGS.schema))
    return paths


def vector(cosine: float) -> list[float]:
    """A vector of unit length that has this cosine with (1, 0, ...)."""
    return [cosine, math.sqrt(1 - cosine**2), *[0.0] * (DIMENSION - 2)]


def scored(
    folder: Path, rows: Sequence[Row], seed: int | None = 3, first: int = 0, **settings: object
) -> list[dict[str, Any]]:
    dialogues, ratings, embeddings = write_shard(folder, rows, first)
    reward = RewardSettings.model_validate({"judge": "j"} | settings)
    score_candidates([dialogues], [ratings], [embeddings], reward, folder / "rewards", seed)
    return list(read_table(folder / "rewards", REWARDS).to_pylist())


def values(*arguments: Any, **settings: Any) -> list[float | None]:
    return [row["reward"] for row in scored(*arguments, **settings)]


# Published.


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # status, number, critique's cosine; reward at zeta 0, 0.4 and 1
        (Row("ok", 7, 0.25), (0.4, 0.34, 0.25)),
        (Row("ok", 1, -0.25), (-0.8, -0.58, -0.25)),
        (Row("ok", 10, 0.0), (1.0, 0.6, 0.0)),
        (Row("nothing_missing", 7, None), (0.4, 0.64, 1.0)),
        (Row("ok", None, 0.25), (0.0, 0.1, 0.25)),
        (Row("nothing_missing", None, None), (0.0, 0.4, 1.0)),
        (Row("unparsable", 7, None), (0.4, 0.4, 0.4)),
        (Row("truncated", 7, None), (0.4, 0.4, 0.4)),
        (Row("unparsable", None, None), (0.0, 0.0, 0.0)),
        (Row("ok", 70, 0.25), (13.0, 7.9, 0.25)),
        (Row("error", None, None), (None, None, None)),
    ],
)
def test_the_published_reward_is_that_of_the_published_rule(tmp_path, row, expected) -> None:
    for zeta, reward in zip((0, 0.4, 1), expected, strict=True):
        (found,) = values(tmp_path, [row], kind="published", zeta=zeta)
        assert found == pytest.approx(reward)


def test_by_every_other_kind_a_failed_judgement_has_no_reward(tmp_path) -> None:
    rows = [Row(status, 7, 0.5) for status in FAILED] + [Row(prompt="q"), Row(prompt="r")]
    for settings in (
        {"zeta": 1},
        {"kind": "negated", "zeta": 1},
        {"kind": "shuffled_wim", "zeta": 1},
        {"kind": "nothing_missing"},
        {"kind": "length"},
        {"kind": "brevity"},
        {"kind": "random"},
    ):
        found = values(tmp_path, rows, **settings)
        assert found[: len(FAILED)] == [None] * len(FAILED)
        assert None not in found[len(FAILED) :]


# The judge's log-probability, and the controls.


def test_nothing_missing_is_the_judges_log_probability(tmp_path) -> None:
    rows = [Row(logprob=-0.5), Row("nothing_missing", 9, None, logprob=-0.1), Row(logprob=None)]
    assert values(tmp_path, rows, kind="nothing_missing") == [-0.5, -0.1, None]


def test_length_is_in_tokens(tmp_path) -> None:
    rows = [Row(tokens=7), Row("nothing_missing", 9, None, tokens=48)]
    assert values(tmp_path, rows, kind="length") == [7.0, 48.0]


def test_brevity_is_minus_the_tokens(tmp_path) -> None:
    rows = [Row(tokens=7), Row("nothing_missing", 9, None, tokens=48), Row("echo", tokens=3)]
    assert values(tmp_path, rows, kind="brevity") == [-7.0, -48.0, None]


@pytest.mark.parametrize("zeta", [0, 0.4, 1])
def test_negated_is_the_mixture_with_the_other_sign(tmp_path, zeta) -> None:
    rows = [Row("ok", 3, 0.2), Row("nothing_missing", 9, None), Row("ok", 10, -0.6)]
    mixture = values(tmp_path, rows, zeta=zeta)
    assert values(tmp_path, rows, zeta=zeta, kind="negated") == [-reward for reward in mixture]


def test_a_random_reward_is_sampled_by_seed_and_candidate_alone(tmp_path) -> None:
    rows = [Row() for _ in range(200)]
    sampled = values(tmp_path / "a", rows, kind="random")
    assert sampled == values(tmp_path / "b", rows, kind="random")
    assert sampled[100:] == values(tmp_path / "c", rows[100:], kind="random", first=100)
    assert sampled != values(tmp_path / "d", rows, kind="random", seed=4)
    assert all(-1 <= reward < 1 for reward in sampled)
    assert len(set(sampled)) == 200
    assert abs(np.mean(sampled)) < 0.15


ROWS = [
    Row(
        "nothing_missing" if number % 7 == 0 else "unparsable" if number % 5 == 0 else "ok",
        7,
        None if number % 7 == 0 or number % 5 == 0 else (number - 30) / 60,
        prompt=f"p{number // 3}",
    )
    for number in range(60)
]


def test_shuffled_critiques_are_those_of_the_others_and_each_is_used_once(tmp_path) -> None:
    own = [row["cosine"] for row in scored(tmp_path, ROWS, zeta=1)]
    shuffled = [row["cosine"] for row in scored(tmp_path, ROWS, kind="shuffled_wim", zeta=1)]
    usable = [place for place, row in enumerate(ROWS) if row.status != "unparsable"]
    # All responses are one vector, so a cosine tells whose critique it is.
    assert sorted(own[place] for place in usable) == sorted(shuffled[place] for place in usable)
    of_prompt: dict[float, set[str]] = {}
    for place in usable:
        of_prompt.setdefault(own[place], set()).add(ROWS[place].prompt)
    for place in usable:
        if shuffled[place] != 1.0:
            assert ROWS[place].prompt not in of_prompt[shuffled[place]]


def test_shuffling_goes_by_the_seed(tmp_path) -> None:
    settings = {"kind": "shuffled_wim", "zeta": 1}
    one = values(tmp_path / "a", ROWS, **settings)
    assert one == values(tmp_path / "b", ROWS, **settings)
    assert (tmp_path / "a/rewards").read_bytes() == (tmp_path / "b/rewards").read_bytes()
    assert one != values(tmp_path / "c", ROWS, seed=4, **settings)


def test_critiques_are_shuffled_where_the_vectors_come_in_pieces(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(wim.rewards.score, "PIECE", 20)
    own = values(tmp_path, ROWS, zeta=1)
    shuffled = values(tmp_path, ROWS, kind="shuffled_wim", zeta=1)
    for start in (0, 20, 40):
        piece = slice(start, start + 20)
        kept = [reward for reward in shuffled[piece] if reward is not None]
        assert sorted(kept) == sorted(reward for reward in own[piece] if reward is not None)
    assert own != shuffled


def test_zeta_weighs_a_shuffled_critique_against_the_candidates_own_number(tmp_path) -> None:
    rows = [Row(rating=10, critique=0.2, prompt="p"), Row(rating=1, critique=0.6, prompt="q")]
    found = values(tmp_path, rows, kind="shuffled_wim", zeta=0.5)
    assert found == pytest.approx([0.5 + 0.3, -0.5 + 0.1])


def test_without_another_prompt_there_is_no_shuffled_critique(tmp_path) -> None:
    assert values(tmp_path, [Row(), Row()], kind="shuffled_wim", zeta=1) == [None, None]
    assert values(tmp_path, [], kind="shuffled_wim", zeta=1) == []


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(0, 2**60))
def test_each_row_gives_at_most_once_and_never_to_its_own_prompt(prompts, seed) -> None:
    of = np.array(prompts, dtype=np.int64)
    found = derangement(of, seed)
    given_by = found[found >= 0]
    assert len(set(given_by.tolist())) == len(given_by)
    assert not (of[found] == of)[found >= 0].any()
    if len(of) and 2 * np.bincount(of).max() <= len(of):
        assert (found >= 0).all()
    assert derangement(of, seed).tolist() == found.tolist()


@pytest.mark.parametrize("kind", ["nothing_missing", "length", "brevity", "random"])
def test_a_kind_that_is_not_made_of_vectors_reads_none(tmp_path, kind) -> None:
    dialogues, ratings, embeddings = write_shard(tmp_path, ROWS)
    embeddings.unlink()
    reward = RewardSettings.model_validate({"judge": "j", "kind": kind})
    assert reward.reads == ("ratings",)
    score_candidates([dialogues], [ratings], [], reward, tmp_path / "rewards", 3)
    table = read_table(tmp_path / "rewards", REWARDS)
    assert table["cosine"].null_count == len(table) == 60
    assert table["reward"].null_count == sum(row.status == "unparsable" for row in ROWS)


# Without a judge.


def unjudged(folder: Path, rows: Sequence[Row], **settings: object) -> list[dict[str, Any]]:
    """The rewards of candidates whose ratings and embeddings are not there."""
    dialogues, ratings, embeddings = write_shard(folder, rows)
    ratings.unlink()
    embeddings.unlink()
    reward = RewardSettings.model_validate(settings)
    assert reward.reads == ()
    score_candidates([dialogues], [], [], reward, folder / "rewards", 3)
    return list(read_table(folder / "rewards", REWARDS).to_pylist())


@pytest.mark.parametrize("kind", ["length", "brevity", "random"])
def test_without_a_judge_every_candidate_has_a_reward(tmp_path, kind) -> None:
    found = unjudged(tmp_path / "without", ROWS, kind=kind)
    assert {(row["judge"], row["status"]) for row in found} == {("", "ok")}
    assert all(row["cosine"] is None and row["rating_scaled"] is None for row in found)
    judged = values(tmp_path / "with", ROWS, kind=kind)
    assert None in judged
    for row, reward in zip(found, judged, strict=True):
        assert row["reward"] is not None
        assert reward in (None, row["reward"]), "a judge decides who has a reward, not its value"


def test_without_a_judge_what_no_judge_rates_has_no_reward(tmp_path) -> None:
    rows = [candidate("a"), candidate("b", judged=False)]
    write_table(tmp_path / "dialogues", DIALOGUES, as_arrow(DIALOGUES, rows))
    reward = RewardSettings(kind="length")
    score_candidates([tmp_path / "dialogues"], [], [], reward, tmp_path / "rewards")
    assert read_table(tmp_path / "rewards", REWARDS)["candidate_id"].to_pylist() == ["a"]


def test_a_kind_that_reads_a_judge_needs_one() -> None:
    with pytest.raises(ValidationError, match="judge is missing"):
        RewardSettings(kind="nothing_missing")
    with pytest.raises(ValidationError, match="judge is missing"):
        RewardSettings(zeta=1)


# Settings.


def test_the_identity_of_a_mixture_is_as_before_there_were_other_kinds() -> None:
    identity = RewardSettings(judge="j", zeta=1).identity(seed=3)
    assert canonical_json(identity) == '{"reward":{"judge":"j","rating":"rating","zeta":1.0}}'


def test_the_seed_is_part_of_the_identity_only_if_something_is_sampled() -> None:
    for kind, zeta in {
        "published": 1,
        "nothing_missing": None,
        "negated": 1,
        "length": None,
    }.items():
        assert "seed" not in RewardSettings(judge="j", kind=kind, zeta=zeta).identity(3)
    for kind, zeta in {"shuffled_wim": 1, "random": None}.items():
        settings = RewardSettings(judge="j", kind=kind, zeta=zeta)
        assert settings.identity(3)["seed"] == 3
        assert RewardSettings.model_validate(settings.identity(3)["reward"]) == settings


# Texts that the encoder cannot read.


UNREAD = [
    Row(critique=0.5),
    Row(critique=1.0, unknown=1.0),
    Row(critique=1.0, response_unknown=1.0),
    Row(critique=0.25, unknown=0.9),
    Row("nothing_missing", 9, None, response_unknown=1.0),
]


def test_a_text_that_is_wholly_unknown_to_the_encoder_has_no_cosine_and_no_reward(tmp_path) -> None:
    for kind in ("mixture", "negated"):
        rows = scored(tmp_path, UNREAD, zeta=0.5, kind=kind)
        assert [row["cosine"] for row in rows] == [0.5, None, None, 0.25, 1.0]
        assert [row["reward"] is None for row in rows] == [False, True, True, False, False]
        assert [row["status"] for row in rows] == [
            *("ok", "unreadable", "unreadable", "ok", "nothing_missing")
        ]


def test_a_reward_as_published_does_not_fall_back_on_the_number_for_an_unreadable_text(
    tmp_path,
) -> None:
    rows = [*UNREAD[:2], Row("unparsable", 7, None)]
    assert values(tmp_path, rows, kind="published", zeta=1) == [0.5, None, 0.4]


def test_a_reward_that_needs_no_cosine_needs_no_readable_text(tmp_path) -> None:
    rows = scored(tmp_path, UNREAD, zeta=0)
    assert None not in [row["reward"] for row in rows]
    assert {row["status"] for row in rows} == {"ok", "nothing_missing"}


def test_unreadable_texts_are_not_shuffled_among_the_others(tmp_path) -> None:
    readable = [Row(critique=number / 20, prompt=f"p{number}") for number in range(8)]
    unread = [Row(critique=1.0, unknown=1.0, prompt="x"), Row(response_unknown=1.0, prompt="y")]
    found = values(tmp_path, [*readable, *unread], kind="shuffled_wim", zeta=1)
    assert sorted(found[:8]) == pytest.approx([number / 20 for number in range(8)])
    assert found[8:] == [None, None]
