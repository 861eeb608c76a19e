"""The pairs table: preferences between candidates, whatever labelled them, in TRL's form."""

import json
import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.pairs.candidates import OF_SIDES, Candidates, of_prompts, waiting_pieces
from wim.prompts.splits import is_for_sft
from wim.tables.files import ROW_GROUP, read_table, read_tables, write_sorted
from wim.tables.schemas import DIALOGUES, PAIRS, PROMPTS, Message

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

logger = logging.getLogger(__name__)
COLUMNS = ("chosen", "rejected", "score_chosen", "score_rejected")


class Preferences:
    """Pairs: two numbers of Candidates each, the chosen one's first, and the score of each."""

    def __init__(self) -> None:
        self._rows = (array("q"), array("q"))
        self._scores = (array("d"), array("d"))

    def append(
        self, chosen: int, rejected: int, score_chosen: float, score_rejected: float
    ) -> None:
        """Add a pair."""
        for column, value in zip(self._rows, (chosen, rejected), strict=True):
            column.append(value)
        for scores, score in zip(self._scores, (score_chosen, score_rejected), strict=True):
            scores.append(score)

    @property
    def table(self) -> "pa.Table":
        """The columns chosen, rejected, score_chosen and score_rejected."""
        import numpy as np
        import pyarrow as pa

        rows = [np.array(column, dtype=np.int64) for column in self._rows]
        scores = [np.array(column, dtype=np.float64) for column in self._scores]
        return pa.table(dict(zip(COLUMNS, [*rows, *scores], strict=True)))


def read_splits(prompts: Sequence[Path]) -> dict[str, str]:
    """The split of each prompt of some shards."""
    rows = read_tables(prompts, PROMPTS, ["prompt_id", "split"]).to_pydict()
    return dict(zip(rows["prompt_id"], rows["split"], strict=True))


def write_preferences(
    *,
    splits: Mapping[str, str],
    candidates: Candidates,
    preferences: Preferences,
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
        splits: The split of each of the round's prompts, which says what is held out.
        candidates: Those that the preferences refer to.
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
    import pyarrow as pa
    import pyarrow.compute as pc

    ids, pairs = candidates.ids, preferences.table
    if sft_prompts is not None:
        learnt = [
            splits[name] == "train" and is_for_sft(name, sft_prompts)
            for name in ids["prompt_id"].take(pairs["chosen"]).to_pylist()
        ]
        pairs = pairs.filter(pc.invert(pa.array(learnt, pa.bool_())))
        excluded["pairs of prompts that fine-tuning learnt from"] = sum(learnt)
    cut = cut_completions(candidates.cut, pairs, never_answered)
    ordered = _in_table_order(ids, pairs)
    del ids, pairs
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
    write_sorted(output, PAIRS, _pieces(ordered, candidates, splits, names, output))
    exclusions.parent.mkdir(parents=True, exist_ok=True)
    exclusions.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


def cut_completions(
    cut: "np.ndarray[Any, Any]", pairs: "pa.Table", never_answered: int
) -> dict[str, int]:
    """How many candidates were cut, and how many times they are in pairs, on each side."""
    return {
        "candidates": int(cut.sum()),
        "chosen": int(cut[pairs["chosen"].to_numpy()].sum()),
        "rejected": int(cut[pairs["rejected"].to_numpy()].sum()),
        "never_answered": never_answered,
    }


def count_never_answered(
    dialogues: Iterable[Path], prompts: Mapping[str, object] | None = None
) -> int:
    """The candidates that were cut while their model was thinking, which nobody judges.

    Args:
        dialogues: The shards.
        prompts: Those whose candidates are counted; None for all.
    """
    import pyarrow.compute as pc

    count = 0
    for path in dialogues:
        rows = read_table(path, DIALOGUES, ["prompt_id", "reasoning", "completion"])
        if prompts is not None:
            rows = of_prompts(rows, prompts)
        thought = pc.is_valid(rows["reasoning"])
        count += pc.sum(pc.and_(thought, pc.equal(rows["completion"], ""))).as_py() or 0
    return count


def _in_table_order(ids: "pa.Table", pairs: "pa.Table") -> "pa.Table":
    """The pairs with their ids, in the order of the pairs table."""
    import pyarrow as pa

    keys = {
        "prompt_id": ids["prompt_id"].take(pairs["chosen"]),
        "chosen_id": ids["candidate_id"].take(pairs["chosen"]),
        "rejected_id": ids["candidate_id"].take(pairs["rejected"]),
    }
    columns = {name: pairs[name] for name in COLUMNS}
    return pa.table(keys | columns).sort_by([(name, "ascending") for name in PAIRS.key])


def _pieces(
    ordered: "pa.Table",
    candidates: Candidates,
    splits: Mapping[str, str],
    names: Mapping[str, str],
    beside: Path,
) -> "Iterator[pa.Table]":
    """The pairs table in pieces of ROW_GROUP rows, each with its texts.

    Every shard is read once; its texts wait for their pieces beside the file that is written.
    """
    import numpy as np
    import pyarrow as pa

    length = len(ordered)
    sides = np.concatenate([ordered[side].to_numpy() for side in ("chosen", "rejected")])
    with waiting_pieces(beside, max(1, -(-length // ROW_GROUP))) as waiting:
        for texts, places in candidates.texts(sides):
            pieces = places % length // ROW_GROUP
            for piece in np.unique(pieces):
                here = np.flatnonzero(pieces == piece)
                rows = texts.take(pa.array(here)).append_column("place", pa.array(places[here]))
                waiting.add(int(piece), rows)
        del sides
        for start in range(0, length, ROW_GROUP):
            texts = waiting.read(start // ROW_GROUP).sort_by("place").drop_columns("place")
            piece = ordered.slice(start, ROW_GROUP)
            chosen, rejected = texts.slice(0, len(piece)), texts.slice(len(piece))
            yield _piece(piece, chosen, rejected, splits, names)
    if not length:
        yield PAIRS.schema.empty_table()


def _piece(
    piece: "pa.Table",
    chosen: "pa.Table",
    rejected: "pa.Table",
    splits: Mapping[str, str],
    names: Mapping[str, str],
) -> "pa.Table":
    """Rows of the pairs table, of their ids and scores and the texts of each side."""
    import pyarrow as pa

    def answers(texts: "pa.Table") -> list[list[Message]]:
        return [
            [{"role": "assistant", "content": text}] for text in texts["completion"].to_pylist()
        ]

    keys = {name: piece[name].to_pylist() for name in PAIRS.key}
    higher, lower = (piece[f"score_{side}"].to_pylist() for side in ("chosen", "rejected"))
    columns = keys | {
        "prompt": chosen["context"].combine_chunks(),
        "chosen": answers(chosen),
        "rejected": answers(rejected),
        "split": [splits[name] for name in keys["prompt_id"]],
        "score_chosen": higher,
        "score_rejected": lower,
        "margin": [one - other for one, other in zip(higher, lower, strict=True)],
        "chosen_model": chosen["policy"].to_pylist(),
        "rejected_model": rejected["policy"].to_pylist(),
        "judge": [names["judge"]] * len(piece),
        "reward": [names["reward"]] * len(piece),
        **{
            f"{side}_{column}": texts[column].combine_chunks()
            for side, texts in (("chosen", chosen), ("rejected", rejected))
            for column in OF_SIDES
        },
    }
    return pa.Table.from_pydict(columns, schema=PAIRS.schema)
