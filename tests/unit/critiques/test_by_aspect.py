"""Rewards of aspects: the mean over enough usable ones, or one by name, in each judgement."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.builders import candidate
from wim.critiques.by_aspect import score_by_aspect
from wim.settings.critique_rewards import NamedReward
from wim.tables.aspects import ASPECT_RATINGS, AspectRating
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import DIALOGUES, PANELS

NAMES = ["clear", "true"]


def aspect(name: str, number: int | None, sample: int = 1, words: str = "A date.") -> AspectRating:
    return AspectRating(
        candidate_id="c",
        judge="j",
        sample=sample,
        aspect=name,
        status="ok" if number else "truncated",
        rating=number,
        rating_expected=number,
        rating_source=None,
        wim=words if number else None,
        raw=words,
        judge_digest="d",
    )


def reward_of(folder: Path, *said: AspectRating, samples: int = 1, **reward: Any) -> dict[str, Any]:
    dialogues, aspects = folder / "dialogues.parquet", folder / "aspects.parquet"
    write_table(dialogues, DIALOGUES, as_arrow(DIALOGUES, [candidate()]))
    rows = [vars(each) for each in said]
    write_table(aspects, ASPECT_RATINGS, pa.Table.from_pylist(rows, schema=ASPECT_RATINGS.schema))
    score_by_aspect(
        dialogues=[dialogues],
        aspects=[aspects],
        settings=NamedReward.model_validate({"judge": "j", "zeta": 0.0, **reward}),
        names=NAMES,
        samples=samples,
        output=folder / "rewards.parquet",
    )
    (row,) = read_table(folder / "rewards.parquet", PANELS).to_pylist()
    return dict(row)


def scaled(number: float) -> float:
    return (2 * number - 11) / 9


def test_a_reward_is_the_mean_over_all_aspects_each_traceable(tmp_path: Path) -> None:
    row = reward_of(tmp_path, aspect("clear", 4), aspect("true", 9))
    assert row["reward"] == pytest.approx((scaled(4) + scaled(9)) / 2)
    assert {each["member"]: each["reward"] for each in row["members"]} == {
        "clear": pytest.approx(scaled(4)),
        "true": pytest.approx(scaled(9)),
    }


def test_without_enough_usable_aspects_there_is_none(tmp_path: Path) -> None:
    said = (aspect("clear", 4), aspect("true", None))
    row = reward_of(tmp_path, *said)
    assert (row["reward"], row["status"], row["with_reward"]) == (None, "truncated", 1)
    row = reward_of(tmp_path, *said, least_aspects=1)
    assert (row["reward"], row["status"]) == (pytest.approx(scaled(4)), "ok")


def test_one_by_name_needs_no_other(tmp_path: Path) -> None:
    said = (aspect("clear", 4), aspect("true", None))
    assert reward_of(tmp_path, *said, aspect="clear")["reward"] == pytest.approx(scaled(4))
    assert reward_of(tmp_path, *said, aspect="true")["reward"] is None


def test_samples_are_combined_after_their_aspects(tmp_path: Path) -> None:
    said = (
        *(aspect("clear", 4), aspect("true", 9)),
        *(aspect("clear", 2, 2), aspect("true", None, 2)),
        *(aspect("clear", 6, 3), aspect("true", 7, 3)),
    )
    row = reward_of(tmp_path, *said, samples=3)
    assert row["reward"] == pytest.approx((scaled(6.5) + scaled(6.5)) / 2)
    assert row["with_reward"] == 5
    assert [each["member"] for each in row["members"]][:3] == ["clear~1", "true~1", "clear~2"]
    assert reward_of(tmp_path, *said, samples=3, at_least=3)["reward"] is None
    row = reward_of(tmp_path, *said, samples=3, least_aspects=1, by="median")
    assert row["reward"] == pytest.approx(scaled(6.5))


def test_ties_are_broken_by_the_words_on_that_aspect(tmp_path: Path) -> None:
    lacking = aspect("clear", 4, words="It lacks a date.")
    praised = aspect("clear", 4, words="It is short.")
    low, high = (
        reward_of(tmp_path, each, aspect("true", 4), aspect="clear", ties="lack_share")["reward"]
        for each in (lacking, praised)
    )
    assert low < high < scaled(5)
