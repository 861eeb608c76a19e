"""Preference pairs by reward: of two candidates of one context, the one with more is chosen."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.pairs.candidates import Candidates
from wim.pairs.scores import Scores
from wim.pairs.table import Preferences, count_never_answered, read_splits, write_preferences
from wim.provenance.digest import seed_of
from wim.rewards.ties import lead
from wim.settings.pairs import PairSettings
from wim.tables.schemas import CONTEXT, CUT

if TYPE_CHECKING:
    import pyarrow as pa

LEFT_OUT = "candidates that were cut at max_new_tokens"


@dataclass(frozen=True)
class Scored:
    """A candidate with its reward."""

    candidate_id: str
    sample: int
    reward: float
    completion: str


def pair_candidates(
    prompts: Sequence[Path],
    dialogues: Sequence[Path],
    rewards: Path,
    settings: PairSettings,
    names: Mapping[str, str],
    seed: int,
    output: Path,
    exclusions: Path,
    sft_prompts: float | None = None,
) -> None:
    """Write the pairs of an arm's round, and the counts of everything that was left out, by cause.

    Args:
        prompts: The shards of the round's prompts.
        dialogues: The shards of its dialogues; rows of other prompts are of other rounds.
        rewards: The rewards of the candidates.
        settings: Which pairs are made.
        names: The `policy`, `judge` and `reward` that the pairs come from.
        seed: The run's, by which ties are broken at random.
        output: The pairs table.
        exclusions: The counts, as JSON.
        sft_prompts: See `wim.pairs.table.write_preferences`.

    Raises:
        UserError: With the counts, if no training pair is left.
    """
    splits = read_splits(prompts)
    scores, candidates, preferences = Scores(rewards, splits), Candidates(splits), Preferences()
    excluded = scores.excluded
    columns = [*dict.fromkeys([*CONTEXT, "candidate_id", "sample", "completion", "finish_reason"])]
    for path in dialogues:
        first, shard = candidates.add(path, names["policy"], columns)
        reward_by_id = scores.of(shard["candidate_id"])
        ids = shard["candidate_id"].to_pylist()
        for chosen, rejected in shard_pairs(shard, reward_by_id, settings, seed, excluded):
            preferences.append(
                chosen=first + chosen,
                rejected=first + rejected,
                score_chosen=reward_by_id[ids[chosen]],
                score_rejected=reward_by_id[ids[rejected]],
            )
    write_preferences(
        splits=splits,
        candidates=candidates,
        preferences=preferences,
        excluded=excluded,
        considered=scores.considered,
        names=names,
        source=rewards,
        output=output,
        exclusions=exclusions,
        sft_prompts=sft_prompts,
        never_answered=count_never_answered(dialogues, splits),
    )


def shard_pairs(
    dialogues: "pa.Table",
    rewards: Mapping[str, float],
    settings: PairSettings,
    seed: int,
    excluded: Counter[str],
) -> list[tuple[int, int]]:
    """Pairs of one shard as (chosen, rejected) rows of its dialogues.

    Args:
        dialogues: The shard's candidates.
        rewards: Rewards by candidate_id, of those candidates that have one.
        settings: Which pairs are made.
        seed: The run's.
        excluded: Counts of what was left out, by cause; added to.
    """
    columns = ("candidate_id", "sample", "finish_reason")
    ids, samples, reasons = (dialogues[name].to_pylist() for name in columns)
    contexts: dict[tuple[object, ...], list[int]] = {}
    keys = (dialogues[name].to_pylist() for name in CONTEXT)
    for row, key in enumerate(zip(*keys, strict=True)):
        contexts.setdefault(key, []).append(row)
    completions = dialogues["completion"].combine_chunks()
    pairs = []
    for rows in contexts.values():
        row_by_id = {ids[row]: row for row in rows}
        scored = [
            Scored(name, samples[row], rewards[name], completions[row].as_py())
            for name, row in row_by_id.items()
            if name in rewards and (settings.cut == "keep" or reasons[row] != CUT)
        ]
        if left_out := sum(name in rewards for name in row_by_id) - len(scored):
            excluded[LEFT_OUT] += left_out
        for chosen, rejected in candidate_pairs(scored, settings, seed, excluded):
            pairs.append((row_by_id[chosen.candidate_id], row_by_id[rejected.candidate_id]))
    return pairs


def candidate_pairs(
    context: Sequence[Scored], settings: PairSettings, seed: int, excluded: Counter[str]
) -> Iterator[tuple[Scored, Scored]]:
    """(chosen, rejected) pairs of the candidates of one context.

    Counts in `excluded` why a context or a pair gives nothing.
    """
    if len(context) < 2:
        excluded["contexts with fewer than two rewards"] += 1
        return
    by_sample = sorted(context, key=lambda row: row.sample)
    for one, other in _compared(by_sample, settings):
        if one.completion == other.completion:
            excluded["pairs of identical completions"] += 1
        elif not lead(one.reward, other.reward) and settings.ties == "drop":
            excluded["pairs with equal rewards"] += 1
        elif abs(one.reward - other.reward) < settings.min_margin:
            excluded["pairs below the minimum margin"] += 1
        else:
            yield _chosen_first(one, other, settings, seed)


def _compared(
    by_sample: Sequence[Scored], settings: PairSettings
) -> Iterator[tuple[Scored, Scored]]:
    """The candidates to compare, two at a time, the earlier sample first."""
    if settings.select == "all":
        yield from itertools.combinations(by_sample, 2)
        return
    # Of rewards that tie for the highest or the lowest, the earliest sample's.
    highest = max(row.reward for row in by_sample)
    best = next(row for row in by_sample if not lead(highest, row.reward))
    others = [row for row in by_sample if row is not best]
    lowest = min(row.reward for row in others)
    worst = next(row for row in others if not lead(row.reward, lowest))
    yield (best, worst) if best.sample < worst.sample else (worst, best)


def _chosen_first(
    one: Scored, other: Scored, settings: PairSettings, seed: int
) -> tuple[Scored, Scored]:
    """Chosen before rejected. Of equal rewards `one`, the earlier sample, or a random one."""
    ahead = lead(one.reward, other.reward)
    if not ahead:
        swapped = (
            settings.ties == "random"
            and seed_of(seed, "tie", one.candidate_id, other.candidate_id) % 2
        )
        return (other, one) if swapped else (one, other)
    return (one, other) if ahead > 0 else (other, one)
