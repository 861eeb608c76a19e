"""Rewards: functions of a rating and its embeddings. No model is loaded here."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.settings.rewards import RewardSettings
from wim.table_files import read_embeddings_in_pieces, read_table, write_table
from wim.tables import DIALOGUES, RATINGS, REWARDS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)
LOWEST, HIGHEST = 1, 10
PIECE = 2**13


def scaled_rating(rating: "pd.Series[float]") -> "pd.Series[float]":
    """A rating of 1 to 10 on the scale of a cosine, -1 to 1."""
    return (2 * rating - (LOWEST + HIGHEST)) / (HIGHEST - LOWEST)


def mixed_reward(
    rating: "pd.Series[float]", cosine: "pd.Series[float]", zeta: float
) -> "pd.Series[float]":
    """(1 - zeta) * scaled rating + zeta * cosine (Stranges and Yang 2026, arXiv 2603.04429).

    A term whose weight is zero is not needed, so its value may be missing.
    """
    if zeta == 0:
        return rating
    if zeta == 1:
        return cosine
    return (1 - zeta) * rating + zeta * cosine


def cosines(
    response: "np.ndarray[Any, Any]", critique: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """Cosine of each row of two arrays (rows, dimension) of unit vectors, float64."""
    import numpy as np

    return np.asarray((response.astype(np.float64) * critique.astype(np.float64)).sum(axis=1))


def shard_rewards(
    dialogues: "pa.Table",
    ratings: "pa.Table",
    cosine: "pd.Series[float]",
    settings: RewardSettings,
) -> "pd.DataFrame":
    """The rewards of a shard's candidates; the columns of the rewards table.

    cosine: by candidate_id, NaN where there is no critique. Only the statuses ok and nothing_missing carry a reward. Where nothing is missing the
    cosine is 1, as published.
    """
    rated = ratings["candidate_id"].to_pylist()
    _check_rows(rated, dialogues["candidate_id"].to_pylist(), cosine.index.tolist())
    frame: pd.DataFrame = ratings.to_pandas().merge(
        dialogues.to_pandas(), on="candidate_id", validate="1:1"
    )
    frame["cosine"] = frame["candidate_id"].map(cosine).astype("float64")
    frame.loc[frame["status"] == "nothing_missing", "cosine"] = 1.0
    frame["rating_scaled"] = scaled_rating(frame[settings.rating].astype("float64"))
    usable = frame["status"].isin(["ok", "nothing_missing"])
    reward = mixed_reward(frame["rating_scaled"], frame["cosine"], settings.zeta)
    frame["reward"] = reward.where(usable)
    rewards: pd.DataFrame = frame[REWARDS.schema.names]
    return rewards


def _check_rows(rated: Sequence[str], *others: Sequence[str]) -> None:
    """Every table of a shard has the same candidates; a row without its partner is an error."""
    for other in others:
        odd = set(rated).symmetric_difference(other)
        if odd:
            raise UserError(
                f"rewards: {len(odd)} candidates stand in only one of a shard's tables (dialogues, "
                f"ratings, embeddings), {min(odd)} among them; delete the shard's files and run again."
            )


def cosine_by_candidate(embeddings: Path) -> "pd.Series[float]":
    """The cosines of a shard's responses and critiques; NaN where there is no critique.

    Vectors are by far the largest of what a reward reads, so they are never all in memory.
    """
    import numpy as np
    import pandas as pd

    ids: list[str] = []
    found: list[np.ndarray[Any, Any]] = []
    for piece in read_embeddings_in_pieces(
        embeddings, ["candidate_id", "response_embedding", "wim_embedding"], PIECE
    ):
        ids += piece["candidate_id"].to_pylist()
        valid = piece["wim_embedding"].is_valid()
        present = piece.filter(valid)
        dimension = piece.schema.field("response_embedding").type.list_size
        response, critique = (
            np.asarray(present[name].combine_chunks().flatten()).reshape(-1, dimension)
            for name in ("response_embedding", "wim_embedding")
        )
        values = np.full(len(piece), np.nan)
        values[np.asarray(valid)] = cosines(response, critique)
        found.append(values)
    return pd.Series(np.concatenate([np.empty(0), *found]), index=pd.Index(ids, dtype="str"))


def write_rewards(
    dialogues: Sequence[Path],
    ratings: Sequence[Path],
    embeddings: Sequence[Path],
    settings: RewardSettings,
    output: Path,
) -> None:
    """The rewards table over all shards, a shard at a time."""
    import pyarrow as pa

    parts = []
    for shard in zip(dialogues, ratings, embeddings, strict=True):
        rows = shard_rewards(
            read_table(shard[0], DIALOGUES, ["candidate_id", "prompt_id", "turn"]),
            read_table(
                shard[1], RATINGS, ["candidate_id", "judge", "status", "rating", "rating_expected"]
            ),
            cosine_by_candidate(shard[2]),
            settings,
        )
        parts.append(pa.Table.from_pandas(rows, schema=REWARDS.schema, preserve_index=False))
    table = pa.concat_tables(parts)
    with_reward = len(table) - table["reward"].null_count
    logger.info("rewards: %d rows, %d with a reward", len(table), with_reward)
    write_table(output, REWARDS, table)
