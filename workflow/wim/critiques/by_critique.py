"""The rewards table of a reward that reads the critique's words, or several judgements."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.critiques.head import HEADS, Head, fold_of
from wim.critiques.score import lack_shares, rewards_by_critique
from wim.provenance.digest import row_id
from wim.rewards.panel import combined, panel_status
from wim.rewards.score import (
    OF_RATINGS,
    UNKNOWN,
    VECTORS,
    cosine_by_candidate,
    judged_candidates,
    unjudged_candidates,
)
from wim.settings.critique_rewards import NamedReward
from wim.settings.sampled_judges import judge_of_sample
from wim.tables.files import read_candidates, read_embeddings, read_table, write_table
from wim.tables.schemas import PANELS, RATINGS, REWARDS, WHOLLY_UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

logger = logging.getLogger(__name__)
OF_DIALOGUES = ["candidate_id", "prompt_id", "turn", "completion_tokens", "context"]


def score_by_critique(
    dialogues: Sequence[Path],
    ratings: Sequence[Path],
    embeddings: Sequence[Path],
    heads: Path | None,
    settings: NamedReward,
    samples: int,
    output: Path,
    seed: int | None = None,
) -> None:
    """Write the rewards table of all shards; of several judgements as a panel of the samples.

    Args:
        dialogues: The shards.
        ratings, embeddings: The shards in the same order, sample after sample; empty for a reward
            that does not use them.
        heads: The table of its heads, if it has any.
        settings: The reward.
        samples: How many judgements of each candidate there are.
        output: The rewards table.
        seed: The run's, for a kind that samples.

    Raises:
        UserError: If the tables of a shard are not of the same candidates.
    """
    import pandas as pd
    import pyarrow as pa

    found = None if heads is None else read_heads(heads)
    shards = len(dialogues)
    tables = []
    for sample in range(samples):
        parts = []
        for place, said in enumerate(dialogues):
            number = sample * shards + place
            frame = judged_shard(
                said,
                ratings[number] if ratings else None,
                embeddings[number] if embeddings else None,
            )
            if found is not None:
                frame["head"] = head_values(frame, found, settings)
            if settings.kind == "lack_share" or settings.ties == "lack_share":
                frame["lack_share"] = lack_shares(frame)
            cosine = None
            if embeddings and settings.zeta:
                drawn = seed if settings.kind == "shuffled_wim" else None
                cosine = cosine_by_candidate(embeddings[number], frame, drawn)
            parts.append(rewards_by_critique(frame, cosine, settings.each, seed or 0))
        rows = pd.concat(parts, ignore_index=True).sort_values("candidate_id", ignore_index=True)
        tables.append(rows)
    if samples == 1:
        table = pa.Table.from_pandas(tables[0], schema=REWARDS.schema, preserve_index=False)
        write_table(output, REWARDS, table)
    else:
        table = _of_samples(tables, settings)
        write_table(output, PANELS, table)
    with_reward = len(table) - table["reward"].null_count
    logger.info("rewards: %d rows, %d with a reward", len(table), with_reward)


def judged_shard(dialogues: Path, ratings: Path | None, embeddings: Path | None) -> "pd.DataFrame":
    """A shard's candidates with their judgements, and the vectors if embeddings are given.

    Columns besides those of `judged_candidates`: prompt, the id of the context; wim; vectors
    `response_embedding` and `wim_embedding` (arrays), None for a text that is not there or of which
    the encoder knows nothing.
    """
    candidates = read_candidates(dialogues, OF_DIALOGUES)
    if ratings is None:
        frame = unjudged_candidates(candidates).assign(wim=None)
    else:
        rated = read_table(ratings, RATINGS, [*OF_RATINGS, "wim"])
        frame = judged_candidates(candidates, rated)
    frame["prompt"] = [prompt_of(context) for context in frame.pop("context")]
    if embeddings is not None:
        vectors = read_embeddings(embeddings, ["candidate_id", *VECTORS, *UNKNOWN]).to_pandas()
        for vector, unknown in zip(VECTORS, UNKNOWN, strict=True):
            vectors[vector] = vectors[vector].where(~(vectors[unknown] >= WHOLLY_UNKNOWN), None)
        vectors = vectors[["candidate_id", *VECTORS]]
        frame = frame.merge(vectors, on="candidate_id", how="left", validate="1:1")
    return frame


def prompt_of(context: "Sequence[Any]") -> str:
    """The id of a context by its texts, by which it has a fold; white space around them is none."""
    return row_id([{"role": each["role"], "content": each["content"].strip()} for each in context])


def stacked_vectors(frame: "pd.DataFrame", settings: NamedReward, dimension: int) -> "Array":
    """The vectors (rows, components) that a head reads; NaN where there is none.

    Args:
        frame: From `judged_shard`.
        settings: The reward.
        dimension: The components of one vector.
    """
    import numpy as np

    names = ["wim_embedding"]
    if settings.vectors == "critique_and_response":
        names.append("response_embedding")
    found = np.full((len(frame), dimension * len(names)), np.nan)
    for place, name in enumerate(names):
        for row, vector in enumerate(frame[name]):
            if vector is not None and not np.isscalar(vector):
                found[row, place * dimension : (place + 1) * dimension] = vector
    return found


def read_heads(path: Path) -> dict[int, Head]:
    """The heads of a table, by their folds."""
    return {row["fold"]: Head(**row) for row in read_table(path, HEADS).to_pylist()}


def head_values(frame: "pd.DataFrame", heads: dict[int, Head], settings: NamedReward) -> "Array":
    """The values (rows,) of the head of each candidate's fold."""
    import numpy as np

    names = 2 if settings.vectors == "critique_and_response" else 1
    dimension = len(next(iter(heads.values())).weights) // names
    vectors = stacked_vectors(frame, settings, dimension)
    statuses = frame["status"].tolist()
    by_fold = {fold: head.values(vectors, statuses) for fold, head in heads.items()}
    folds = frame["prompt"].map(fold_of)
    return np.array([by_fold[fold][row] for row, fold in enumerate(folds)], dtype=np.float64)


def _of_samples(tables: "Sequence[pd.DataFrame]", settings: NamedReward) -> Any:
    """The rewards table of several samples, with the samples as its members."""
    import numpy as np
    import pyarrow as pa

    values = np.column_stack([rows["reward"].to_numpy(np.float64) for rows in tables])
    rewards, counts = combined(values, settings)
    given = ~np.isnan(values)
    statuses = list(zip(*(rows["status"].tolist() for rows in tables), strict=True))
    judges = list(zip(*(rows["judge"].tolist() for rows in tables), strict=True))
    first = tables[0]
    columns = {name: first[name].tolist() for name in ("candidate_id", "prompt_id", "turn")}
    columns["judge"] = [judge_of_sample(each[0]) for each in judges]
    columns["status"] = [
        panel_status(each, usable.tolist(), bool(enough))
        for each, usable, enough in zip(statuses, given, ~np.isnan(rewards), strict=True)
    ]
    columns["cosine"] = columns["rating_scaled"] = [None] * len(first)
    columns["reward"] = [None if np.isnan(value) else float(value) for value in rewards]
    columns["with_reward"] = counts.tolist()
    columns["members"] = [
        [
            {
                "member": str(number),
                "judge": judge,
                "status": status,
                "reward": float(value) if usable else None,
            }
            for number, (judge, status, value, usable) in enumerate(
                zip(*each, strict=True), start=1
            )
        ]
        for each in zip(judges, statuses, values, given, strict=True)
    ]
    told = Counter(counts.tolist())
    logger.info(
        "samples: %s",
        ", ".join(f"{told[n]} rows with {n}" for n in range(len(tables), -1, -1)),
    )
    return pa.Table.from_pydict(columns, schema=PANELS.schema)
