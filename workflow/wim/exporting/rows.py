"""What is exported, as typed rows: pairs, one completion for each context, and ratings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from wim.settings.sampled_judges import number_of_sample
from wim.tables.aspects import ASPECT_RATINGS
from wim.tables.files import read_candidates, read_table
from wim.tables.ratings import Status
from wim.tables.schemas import PAIRS, RATINGS, REWARDS, Message

OF_PAIRS = (
    *("prompt", "chosen", "rejected", "prompt_id", "split", "score_chosen", "score_rejected"),
    *("margin", "chosen_id", "rejected_id", "chosen_model", "rejected_model", "judge", "reward"),
)


@dataclass(frozen=True)
class ExportedPair:
    """A preference: the conversation so far, and two answers to it.

    Attributes:
        prompt: Messages, of which the last is the user's.
        chosen, rejected: The answers' texts.
        split: train or eval.
        row: The pairs table's columns.
    """

    prompt: list[Message]
    chosen: str
    rejected: str
    split: str
    row: dict[str, Any]


@dataclass(frozen=True)
class ExportedCompletion:
    """A conversation so far and one answer to it."""

    prompt: list[Message]
    completion: str
    split: str
    prompt_id: str
    score: float


@dataclass(frozen=True)
class ExportedRating:
    """A candidate with what a judge said of it, and its rewards by name."""

    prompt: list[Message]
    completion: str
    split: str
    row: dict[str, Any]
    rewards: dict[str, float | None]


@dataclass(frozen=True)
class ExportedLabel:
    """A conversation so far, one answer to it, and whether judges find it good enough."""

    prompt: list[Message]
    completion: str
    split: str
    desirable: bool


def read_exported_pairs(path: Path) -> list[ExportedPair]:
    """The pairs of a table, in its order."""
    return [
        ExportedPair(
            prompt=row["prompt"],
            chosen=row["chosen"][-1]["content"],
            rejected=row["rejected"][-1]["content"],
            split=row["split"],
            row=row,
        )
        for row in read_table(path, PAIRS, list(OF_PAIRS)).to_pylist()
    ]


def best_completions(pairs: Iterable[ExportedPair]) -> list[ExportedCompletion]:
    """The chosen answer with the highest score of each context, the first of equal ones."""
    best: dict[str, ExportedPair] = {}
    for pair in pairs:
        key = f"{pair.row['prompt_id']}{pair.prompt}"
        if key not in best or pair.row["score_chosen"] > best[key].row["score_chosen"]:
            best[key] = pair
    return [
        ExportedCompletion(
            pair.prompt, pair.chosen, pair.split, pair.row["prompt_id"], pair.row["score_chosen"]
        )
        for pair in best.values()
    ]


def labels_of(ratings: Iterable[ExportedRating], desirable_from: float) -> list[ExportedLabel]:
    """A label for each candidate with a usable number: is the mean of its judges' numbers so high?

    A judge's number is the mean of its samples; an aspect is part of a judgement, and none of its own.

    Args:
        ratings: The judgements, failed ones too.
        desirable_from: The least mean of a desirable answer.
    """
    numbers: dict[str, dict[str, list[float]]] = {}
    first: dict[str, ExportedRating] = {}
    for each in ratings:
        row = each.row
        usable = row["rating"] is not None and Status(row["status"]).usable
        if usable and row.get("aspect") is None:
            candidate = row["candidate_id"]
            first.setdefault(candidate, each)
            of_judges = numbers.setdefault(candidate, {})
            of_judges.setdefault(row["judge"], []).append(row["rating"])
    return [
        ExportedLabel(
            prompt=each.prompt,
            completion=each.completion,
            split=each.split,
            desirable=fmean(map(fmean, numbers[candidate].values())) >= desirable_from,
        )
        for candidate, each in first.items()
    ]


def read_exported_ratings(
    dialogues: Sequence[Path],
    ratings: Sequence[Path],
    aspects: Sequence[Path],
    rewards: Sequence[Path],
    splits: dict[str, str],
) -> list[ExportedRating]:
    """Every judgement of the candidates, failed ones with their status: a row for each sample.

    A judgement in several aspects has a row as a whole, whose `aspect` is null, and one for each.

    Args:
        dialogues: The shards.
        ratings: <judge>/<shard>.parquet, and <judge>~<sample>/<shard>.parquet.
        aspects: <judge>/<shard>.parquet of judges that rate several aspects.
        rewards: <reward>.parquet.
        splits: The split of each prompt.
    """
    by_reward = {
        path.stem: {
            row["candidate_id"]: row["reward"]
            for row in read_table(path, REWARDS, ["candidate_id", "reward"]).to_pylist()
        }
        for path in rewards
    }
    columns = ["candidate_id", "prompt_id", "context", "completion", "model_digest"]
    candidates = {
        row["candidate_id"]: row
        for path in dialogues
        for row in read_candidates(path, columns).to_pylist()
    }
    said = ["candidate_id", "judge", "status", "rating", "rating_expected", "wim", "raw"]
    rows = [
        {**row, "sample": number_of_sample(path.parent.name), "aspect": None}
        for path in ratings
        for row in read_table(path, RATINGS, said).to_pylist()
    ]
    rows += [
        row
        for path in aspects
        for row in read_table(path, ASPECT_RATINGS, [*said, "sample", "aspect"]).to_pylist()
    ]
    return [
        ExportedRating(
            prompt=candidate["context"],
            completion=candidate["completion"],
            split=splits[candidate["prompt_id"]],
            row={"prompt_id": candidate["prompt_id"], **row},
            rewards={
                name: of[row["candidate_id"]]
                for name, of in by_reward.items()
                if row["candidate_id"] in of
            },
        )
        for row in rows
        if (candidate := candidates.get(row["candidate_id"])) is not None
    ]
