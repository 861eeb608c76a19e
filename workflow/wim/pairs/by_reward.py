"""Preference pairs: two candidates of one context, the one with the higher reward chosen."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.judging.parse import Status
from wim.pairs.table import Preference, Texts, write_preferences
from wim.provenance.digest import seed_of
from wim.settings.pairs import PairSettings
from wim.tables.files import read_candidates, read_table, read_tables
from wim.tables.schemas import PROMPTS, REWARDS

if TYPE_CHECKING:
    import pyarrow as pa

CONTEXT = ["prompt_id", "dialogue_id", "turn", "speaker"]


@dataclass(frozen=True)
class Scored:
    """A candidate with its reward."""

    candidate_id: str
    sample: int
    reward: float
    completion: str


def candidate_pairs(
    context: Sequence[Scored], settings: PairSettings, seed: int, excluded: Counter[str]
) -> Iterator[tuple[Scored, Scored]]:
    """(chosen, rejected) pairs of the candidates of one context.

    Counts in `excluded` why a context or a pair gives nothing.
    """
    if len(context) < 2:
        excluded["contexts with fewer than two rewards"] += 1
        return
    ordered = sorted(context, key=lambda row: row.sample)
    for one, other in _compared(ordered, settings):
        if one.completion == other.completion:
            excluded["pairs of identical completions"] += 1
        elif one.reward == other.reward and settings.ties == "drop":
            excluded["pairs with equal rewards"] += 1
        elif abs(one.reward - other.reward) < settings.min_margin:
            excluded["pairs below the minimum margin"] += 1
        else:
            yield _in_order(one, other, settings, seed)


def _compared(ordered: Sequence[Scored], settings: PairSettings) -> Iterator[tuple[Scored, Scored]]:
    if settings.select == "all":
        yield from itertools.combinations(ordered, 2)
        return
    best = max(ordered, key=lambda row: row.reward)
    others = [row for row in ordered if row is not best]
    worst = min(others, key=lambda row: row.reward)
    yield (best, worst) if best.sample < worst.sample else (worst, best)


def _in_order(
    one: Scored, other: Scored, settings: PairSettings, seed: int
) -> tuple[Scored, Scored]:
    """Chosen before rejected. `one` is the earlier sample, which decides ties: first."""
    if one.reward == other.reward:
        swapped = (
            settings.ties == "random"
            and seed_of(seed, "tie", one.candidate_id, other.candidate_id) % 2
        )
        return (other, one) if swapped else (one, other)
    return (one, other) if one.reward > other.reward else (other, one)


def shard_pairs(
    dialogues: "pa.Table",
    rewards: Mapping[str, float],
    settings: PairSettings,
    seed: int,
    excluded: Counter[str],
) -> list[tuple[int, int]]:
    """Pairs of one shard as (chosen, rejected) rows of its dialogues."""
    ids, samples = (dialogues[name].to_pylist() for name in ("candidate_id", "sample"))
    contexts: dict[tuple[object, ...], list[int]] = {}
    keys = (dialogues[name].to_pylist() for name in CONTEXT)
    for row, key in enumerate(zip(*keys, strict=True)):
        contexts.setdefault(key, []).append(row)
    completions = dialogues["completion"].combine_chunks()
    found = []
    for rows in contexts.values():
        rows_by_id = {ids[row]: row for row in rows}
        scored = [
            Scored(name, samples[row], rewards[name], completions[row].as_py())
            for name, row in rows_by_id.items()
            if name in rewards
        ]
        for chosen, rejected in candidate_pairs(scored, settings, seed, excluded):
            found.append((rows_by_id[chosen.candidate_id], rows_by_id[rejected.candidate_id]))
    return found


def pair_candidates(
    prompts: Sequence[Path],
    dialogues: Sequence[Path],
    rewards: Path,
    settings: PairSettings,
    names: dict[str, str],
    seed: int,
    output: Path,
    exclusions: Path,
    sft_prompts: float | None = None,
) -> None:
    """The pairs of an arm's round, and the counts of everything that was left out, by cause.

    Dialogues of prompts that are not among `prompts` are those of other rounds. names: the `policy`, `judge` and `reward` behind the pairs. sft_prompts: see
    wim.pairs.table. Raises UserError with the counts if no training pair is left.
    """
    import pyarrow.compute as pc

    of_round = read_tables(prompts, PROMPTS, ["prompt_id"])["prompt_id"].combine_chunks()

    def taken(table: "pa.Table") -> "pa.Table":
        return table.filter(pc.is_in(table["prompt_id"], of_round))

    columns = ["candidate_id", "prompt_id", "status", "reward"]
    scored = taken(read_table(rewards, REWARDS, columns)).to_pydict()
    known = {
        name: reward
        for name, reward in zip(scored["candidate_id"], scored["reward"], strict=True)
        if reward is not None
    }
    excluded: Counter[str] = Counter(
        f"candidates with status {status}"
        if not Status(status).usable
        else "candidates whose reward is undefined"
        for status, reward in zip(scored["status"], scored["reward"], strict=True)
        if reward is None
    )
    found: list[Preference] = []
    texts = Texts()
    for path in dialogues:
        columns = [*CONTEXT, "sample", "candidate_id", "context", "completion"]
        table = taken(read_candidates(path, columns))
        before, ids = texts.add(table, names["policy"]), table["candidate_id"].to_pylist()
        for chosen, rejected in shard_pairs(table, known, settings, seed, excluded):
            scores = known[ids[chosen]], known[ids[rejected]]
            found.append(Preference(before + chosen, before + rejected, *scores))
    write_preferences(
        *(prompts, texts, found, excluded, len(scored["reward"]), names, rewards),
        *(output, exclusions, sft_prompts),
    )
