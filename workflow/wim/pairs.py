"""Preference pairs: two candidates of one context, the one with the higher reward chosen."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.digest import seed_of
from wim.errors import UserError
from wim.judging.verdict import Status
from wim.settings.pairs import PairSettings
from wim.table_files import ROW_GROUP, read_candidates, read_table, read_tables, write_sorted
from wim.tables import DIALOGUES, PAIRS, PROMPTS, REWARDS, Message

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)
CONTEXT = ["prompt_id", "dialogue_id", "turn", "speaker"]
TEXTS = ["candidate_id", "prompt_id", "context", "completion"]


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


def _in_table_order(texts: "pa.Table", found: Sequence[tuple[int, int]]) -> "pa.Table":
    """The rows `chosen` and `rejected` of each pair, in the order of the pairs table."""
    import numpy as np
    import pyarrow as pa

    chosen, rejected = np.array(found, dtype=np.int64).reshape(-1, 2).T
    keys = pa.table(
        {
            "prompt_id": texts["prompt_id"].take(pa.array(chosen)),
            "chosen_id": texts["candidate_id"].take(pa.array(chosen)),
            "rejected_id": texts["candidate_id"].take(pa.array(rejected)),
            "chosen": chosen,
            "rejected": rejected,
        }
    )
    return keys.sort_by([(name, "ascending") for name in PAIRS.key])


def _pieces(
    ordered: "pa.Table",
    texts: "pa.Table",
    rewards: Mapping[str, float],
    splits: Mapping[str, str],
    names: Mapping[str, str],
) -> "Iterator[pa.Table]":
    """The pairs table in pieces: texts are copied for one piece at a time."""
    import pyarrow as pa

    def answers(rows: "pa.Array") -> list[list[Message]]:
        completions = texts["completion"].take(rows).to_pylist()
        return [[{"role": "assistant", "content": text}] for text in completions]

    for start in range(0, max(1, len(ordered)), ROW_GROUP):
        piece = ordered.slice(start, ROW_GROUP)
        sides = {name: piece[name].to_pylist() for name in PAIRS.key}
        higher, lower = (
            [rewards[name] for name in sides[side]] for side in ("chosen_id", "rejected_id")
        )
        columns = sides | {
            "prompt": texts["context"].take(piece["chosen"]).combine_chunks(),
            "chosen": answers(piece["chosen"]),
            "rejected": answers(piece["rejected"]),
            "split": [splits[name] for name in sides["prompt_id"]],
            "score_chosen": higher,
            "score_rejected": lower,
            "margin": [one - other for one, other in zip(higher, lower, strict=True)],
            "chosen_model": [names["policy"]] * len(piece),
            "rejected_model": [names["policy"]] * len(piece),
            "judge": [names["judge"]] * len(piece),
            "reward": [names["reward"]] * len(piece),
        }
        yield pa.Table.from_pydict(columns, schema=PAIRS.schema)


def write_pairs(
    prompts: Sequence[Path],
    dialogues: Sequence[Path],
    rewards: Path,
    settings: PairSettings,
    names: dict[str, str],
    seed: int,
    output: Path,
    exclusions: Path,
) -> None:
    """The pairs of an arm, and the counts of everything that was left out, by cause.

    names: the `policy`, `judge` and `reward` behind the pairs. Raises UserError with the
    counts if no training pair is left.
    """
    import pyarrow as pa

    scored = read_table(rewards, REWARDS, ["candidate_id", "status", "reward"]).to_pydict()
    known = {
        name: reward
        for name, reward in zip(scored["candidate_id"], scored["reward"], strict=True)
        if reward is not None
    }
    candidates = len(scored["reward"])
    split = read_tables(prompts, PROMPTS, ["prompt_id", "split"]).to_pydict()
    splits = dict(zip(split["prompt_id"], split["split"], strict=True))
    excluded: Counter[str] = Counter(
        f"candidates with status {status}"
        if not Status(status).usable
        else "candidates whose reward is undefined"
        for status, reward in zip(scored["status"], scored["reward"], strict=True)
        if reward is None
    )
    del scored
    found: list[tuple[int, int]] = []
    parts = [DIALOGUES.schema.empty_table().select(TEXTS)]
    before = 0
    for path in dialogues:
        table = read_candidates(path, [*CONTEXT, "sample", "candidate_id", "context", "completion"])
        rows = shard_pairs(table, known, settings, seed, excluded)
        found += [(before + chosen, before + rejected) for chosen, rejected in rows]
        parts.append(table.select(TEXTS))
        before += len(table)
    texts = pa.concat_tables(parts)
    ordered = _in_table_order(texts, found)
    kept = Counter(splits[name] for name in ordered["prompt_id"].to_pylist())
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(excluded.items()))
    if not kept["train"]:
        raise UserError(
            f"{rewards}: no training pair is left of {candidates} candidates; left out: "
            f"{causes or 'none'}; held out for evaluation: {kept['eval']} pairs. Look at the "
            "judge's words in the ratings tables, or set pairs.ties, pairs.min_margin, "
            "dialogues.candidates or the arm's reward otherwise."
        )
    logger.info(
        "pairs: %d to train, %d held out; left out: %s", kept["train"], kept["eval"], causes
    )
    counts = {
        "candidates": candidates,
        "pairs": {"train": kept["train"], "eval": kept["eval"]},
        "excluded": dict(sorted(excluded.items())),
    }
    write_sorted(output, PAIRS, _pieces(ordered, texts, known, splits, names))
    exclusions.parent.mkdir(parents=True, exist_ok=True)
    exclusions.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
