"""The pairs table: preferences between candidates, whatever labelled them, in TRL's form."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wim.errors import UserError
from wim.prompts.splits import is_for_sft
from wim.tables.files import ROW_GROUP, read_table, read_tables, write_sorted
from wim.tables.schemas import CUT, DIALOGUES, PAIRS, PROMPTS, Message

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)
# The columns of candidates that pairs have, besides ids and contexts.
OF_SIDES = ["finish_reason", "reasoning", "tokens"]
TEXTS = ["candidate_id", "prompt_id", "context", "completion", *OF_SIDES]


class Preference(NamedTuple):
    """A pair: two rows of a `CandidateTable`, and the score of each."""

    chosen: int
    rejected: int
    score_chosen: float
    score_rejected: float


class CandidateTable:
    """The candidates of several dialogues tables in one table, each with its policy."""

    def __init__(self) -> None:
        self._tables = [DIALOGUES.schema.empty_table().select(TEXTS)]
        self._policies: list[str] = [""]

    def add(self, dialogues: "pa.Table", policy: str) -> int:
        """Add a table's rows; returns the number of the first of them."""
        first = sum(map(len, self._tables))
        self._tables.append(dialogues.select(TEXTS))
        self._policies.append(policy)
        return first

    @property
    def table(self) -> "pa.Table":
        """All rows, with the column `policy`."""
        import pyarrow as pa

        pieces = zip(self._tables, self._policies, strict=True)
        named = [
            table.append_column("policy", pa.repeat(pa.scalar(policy), len(table)))
            for table, policy in pieces
        ]
        return pa.concat_tables(named)


def write_preferences(
    *,
    prompts: Sequence[Path],
    candidates: CandidateTable,
    preferences: Sequence[Preference],
    excluded: Counter[str],
    considered: int,
    names: Mapping[str, str],
    source: Path,
    output: Path,
    exclusions: Path,
    sft_prompts: float | None,
    never_answered: int,
) -> None:
    """Write the pairs table, and the counts of everything that was left out, by cause.

    Without any prompt, as in a round of an arm that has stopped, there are no pairs.

    Args:
        prompts: The shards of the prompts, which say what is held out.
        candidates: The texts that the preferences refer to.
        preferences: The pairs.
        excluded: Counts of what was left out before, by cause; added to.
        considered: How many candidates the pairs were made of.
        names: The `judge` and `reward` that the pairs come from.
        source: What labelled the pairs, for the error.
        output: The pairs table.
        exclusions: The counts, as JSON.
        sft_prompts: The share of the training prompts that the arm's model was fine-tuned on
            before, which give no pairs; None if it was not.
        never_answered: The number of candidates that were cut while their model was thinking.

    Raises:
        UserError: With the counts, if there are prompts but no training pair is left.
    """
    split = read_tables(prompts, PROMPTS, ["prompt_id", "split"]).to_pydict()
    splits = dict(zip(split["prompt_id"], split["split"], strict=True))
    texts = candidates.table
    if sft_prompts is not None:
        learnt = {
            name
            for name, part in splits.items()
            if part == "train" and is_for_sft(name, sft_prompts)
        }
        prompt_ids = texts["prompt_id"].to_pylist()
        others = [pair for pair in preferences if prompt_ids[pair.chosen] not in learnt]
        excluded["pairs of prompts that fine-tuning learnt from"] = len(preferences) - len(others)
        preferences = others
    ordered = _in_table_order(texts, preferences)
    kept = Counter(splits[name] for name in ordered["prompt_id"].to_pylist())
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(excluded.items()))
    if splits and not kept["train"]:
        raise UserError(
            f"{source}: no training pair is left of {considered} candidates; left out: "
            f"{causes or 'none'}; held out for evaluation: {kept['eval']} pairs. Look at the "
            "judge's answers in the tables, or change pairs.ties, pairs.min_margin, "
            "pairs.cut, dialogues.candidates or what labels the arm."
        )
    logger.info(
        "pairs: %d to train, %d held out; left out: %s", kept["train"], kept["eval"], causes
    )
    cut = cut_completions(texts, preferences, never_answered)
    logger.info(
        "pairs: %d completions were cut at max_new_tokens; in pairs, %d chosen and %d rejected ones "
        "are trained without an end of their turn. %d more never came to an answer",
        *cut.values(),
    )
    counts = {
        "candidates": considered,
        "cut": cut,
        "pairs": {"train": kept["train"], "eval": kept["eval"]},
        "excluded": dict(sorted(excluded.items())),
    }
    write_sorted(output, PAIRS, _pieces(ordered, texts, splits, names))
    exclusions.parent.mkdir(parents=True, exist_ok=True)
    exclusions.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


def cut_completions(
    texts: "pa.Table", preferences: Sequence[Preference], never_answered: int
) -> dict[str, int]:
    """How many candidates were cut, and how many times they are in pairs, on each side."""
    import pyarrow.compute as pc

    cut = pc.equal(texts["finish_reason"], CUT).to_pylist()
    return {
        "candidates": sum(cut),
        "chosen": sum(cut[pair.chosen] for pair in preferences),
        "rejected": sum(cut[pair.rejected] for pair in preferences),
        "never_answered": never_answered,
    }


def count_never_answered(dialogues: Iterable[Path], prompt_ids: "pa.Array | None" = None) -> int:
    """The candidates that were cut while their model was thinking, which nobody judges.

    Args:
        dialogues: The shards.
        prompt_ids: Those of the prompts whose candidates are counted; None for all.
    """
    import pyarrow.compute as pc

    count = 0
    for path in dialogues:
        rows = read_table(path, DIALOGUES, ["prompt_id", "reasoning", "completion"])
        if prompt_ids is not None:
            rows = rows.filter(pc.is_in(rows["prompt_id"], prompt_ids))
        thought = pc.is_valid(rows["reasoning"])
        count += pc.sum(pc.and_(thought, pc.equal(rows["completion"], ""))).as_py() or 0
    return count


def _in_table_order(texts: "pa.Table", preferences: Sequence[Preference]) -> "pa.Table":
    """The pairs' rows of `texts` and scores, in the order of the pairs table."""
    import numpy as np
    import pyarrow as pa

    columns = {
        name: np.array([pair[place] for pair in preferences], dtype=kind)
        for place, (name, kind) in enumerate(
            zip(Preference._fields, (np.int64, np.int64, np.float64, np.float64), strict=True)
        )
    }
    keys = {
        "prompt_id": texts["prompt_id"].take(pa.array(columns["chosen"])),
        "chosen_id": texts["candidate_id"].take(pa.array(columns["chosen"])),
        "rejected_id": texts["candidate_id"].take(pa.array(columns["rejected"])),
    }
    return pa.table(keys | columns).sort_by([(name, "ascending") for name in PAIRS.key])


def _pieces(
    ordered: "pa.Table", texts: "pa.Table", splits: Mapping[str, str], names: Mapping[str, str]
) -> "Iterator[pa.Table]":
    """The pairs table in pieces, so that texts are copied for one piece at a time."""
    import pyarrow as pa

    def answers(rows: "pa.Array") -> list[list[Message]]:
        completions = texts["completion"].take(rows).to_pylist()
        return [[{"role": "assistant", "content": text}] for text in completions]

    for start in range(0, max(1, len(ordered)), ROW_GROUP):
        piece = ordered.slice(start, ROW_GROUP)
        sides = {name: piece[name].to_pylist() for name in PAIRS.key}
        higher, lower = (piece[f"score_{side}"].to_pylist() for side in ("chosen", "rejected"))
        columns = sides | {
            "prompt": texts["context"].take(piece["chosen"]).combine_chunks(),
            "chosen": answers(piece["chosen"]),
            "rejected": answers(piece["rejected"]),
            "split": [splits[name] for name in sides["prompt_id"]],
            "score_chosen": higher,
            "score_rejected": lower,
            "margin": [one - other for one, other in zip(higher, lower, strict=True)],
            "chosen_model": texts["policy"].take(piece["chosen"]).to_pylist(),
            "rejected_model": texts["policy"].take(piece["rejected"]).to_pylist(),
            "judge": [names["judge"]] * len(piece),
            "reward": [names["reward"]] * len(piece),
            **{
                f"{side}_{column}": texts[column].take(piece[side]).combine_chunks()
                for side in ("chosen", "rejected")
                for column in OF_SIDES
            },
        }
        yield pa.Table.from_pydict(columns, schema=PAIRS.schema)
