"""Preference pairs: two candidates of one context, the one with the higher reward chosen."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.digest import seed_of
from wim.errors import UserError
from wim.judging.verdict import Status
from wim.settings.pairs import PairSettings
from wim.tables import DIALOGUES, PAIRS, PROMPTS, REWARDS, read_table, read_tables, write_table

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)


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
    rewards: dict[str, float],
    splits: dict[str, str],
    settings: PairSettings,
    seed: int,
    excluded: Counter[str],
) -> Iterator[dict[str, Any]]:
    """Pairs of one shard, as rows of the pairs table but for model, judge and reward names."""
    rows = dialogues.to_pylist()
    contexts: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["prompt_id"], row["dialogue_id"], row["turn"], row["speaker"])
        contexts.setdefault(key, []).append(row)
    for context in contexts.values():
        scored = [
            Scored(row["candidate_id"], row["sample"], reward, row["completion"])
            for row in context
            if (reward := rewards.get(row["candidate_id"])) is not None
        ]
        for chosen, rejected in candidate_pairs(scored, settings, seed, excluded):
            prompt_id = context[0]["prompt_id"]
            yield {
                "prompt": context[0]["context"],
                "chosen": [{"role": "assistant", "content": chosen.completion}],
                "rejected": [{"role": "assistant", "content": rejected.completion}],
                "prompt_id": prompt_id,
                "split": splits[prompt_id],
                "score_chosen": chosen.reward,
                "score_rejected": rejected.reward,
                "margin": chosen.reward - rejected.reward,
                "chosen_id": chosen.candidate_id,
                "rejected_id": rejected.candidate_id,
            }


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
    known = dict(zip(scored["candidate_id"], scored["reward"], strict=True))
    split = read_tables(prompts, PROMPTS, ["prompt_id", "split"]).to_pydict()
    splits = dict(zip(split["prompt_id"], split["split"], strict=True))
    excluded: Counter[str] = Counter(
        f"candidates with status {status}"
        if not Status(status).usable
        else "candidates whose reward is undefined"
        for status, reward in zip(scored["status"], scored["reward"], strict=True)
        if reward is None
    )
    common = {
        "chosen_model": names["policy"],
        "rejected_model": names["policy"],
        "judge": names["judge"],
        "reward": names["reward"],
    }
    columns = ["candidate_id", "prompt_id", "dialogue_id", "turn", "speaker", "sample"]
    parts = [PAIRS.schema.empty_table()]
    for path in dialogues:
        table = read_table(path, DIALOGUES, [*columns, "context", "completion"])
        found = shard_pairs(table, known, splits, settings, seed, excluded)
        rows = [{**row, **common} for row in found]
        parts.append(pa.Table.from_pylist(rows, schema=PAIRS.schema))
    pairs = pa.concat_tables(parts)
    kept = Counter(pairs["split"].to_pylist())
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(excluded.items()))
    if not kept["train"]:
        raise UserError(
            f"{rewards}: no training pair is left of {len(known)} candidates; left out: "
            f"{causes or 'none'}; held out for evaluation: {kept['eval']} pairs. Look at the "
            "judge's words in the ratings tables, or set pairs.ties, pairs.min_margin, "
            "dialogues.candidates or the arm's reward otherwise."
        )
    logger.info(
        "pairs: %d to train, %d held out; left out: %s", kept["train"], kept["eval"], causes
    )
    counts = {
        "candidates": len(known),
        "pairs": {"train": kept["train"], "eval": kept["eval"]},
        "excluded": dict(sorted(excluded.items())),
    }
    write_table(output, PAIRS, pairs)
    exclusions.parent.mkdir(parents=True, exist_ok=True)
    exclusions.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
