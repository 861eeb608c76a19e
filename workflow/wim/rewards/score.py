"""Rewards of candidates: functions of their ratings and embeddings. No model is loaded."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.provenance.digest import seed_of
from wim.rewards.kinds import KINDS, derangement, published_rating, scaled_rating
from wim.settings.rewards import RewardSettings
from wim.tables.files import read_candidates, read_embeddings_in_pieces, read_table, write_table
from wim.tables.ratings import Status
from wim.tables.schemas import RATINGS, REWARDS, WHOLLY_UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)
PIECE = 2**13
# The only judgements without a reward as published: it has no such cases.
_WITHOUT_REWARD = [Status.ERROR.value, Status.UNREADABLE.value]
USABLE = [status.value for status in Status if status.usable]
OF_DIALOGUES = ["candidate_id", "prompt_id", "turn", "completion_tokens"]
OF_RATINGS = [
    "candidate_id",
    "judge",
    "status",
    "rating",
    "rating_expected",
    "nothing_missing_logprob",
]
VECTORS = ["response_embedding", "wim_embedding"]
UNKNOWN = ["response_unknown", "wim_unknown"]


def score_candidates(
    dialogues: Sequence[Path],
    ratings: Sequence[Path],
    embeddings: Sequence[Path],
    settings: RewardSettings,
    output: Path,
    seed: int | None = None,
) -> None:
    """Write the rewards table of all shards, a shard at a time.

    Args:
        dialogues: The shards.
        ratings, embeddings: The shards, in the same order; empty for a reward that does not use
            them.
        settings: The reward.
        output: The rewards table.
        seed: The run's, for a kind of reward that samples.

    Raises:
        UserError: If the tables of a shard are not of the same candidates.
    """
    import pyarrow as pa

    parts = []
    shuffled_by = seed if settings.kind == "shuffled_wim" else None
    for place, said in enumerate(dialogues):
        candidates = read_candidates(said, OF_DIALOGUES)
        frame = (
            judged_candidates(candidates, read_table(ratings[place], RATINGS, OF_RATINGS))
            if "ratings" in settings.reads
            else unjudged_candidates(candidates)
        )
        cosine = None
        if "embeddings" in settings.reads:
            cosine = cosine_by_candidate(embeddings[place], frame, shuffled_by)
        rows = shard_rewards(frame, cosine, settings, seed or 0)
        parts.append(pa.Table.from_pandas(rows, schema=REWARDS.schema, preserve_index=False))
    table = pa.concat_tables(parts)
    with_reward = len(table) - table["reward"].null_count
    logger.info("rewards: %d rows, %d with a reward", len(table), with_reward)
    write_table(output, REWARDS, table)


def judged_candidates(dialogues: "pa.Table", ratings: "pa.Table") -> "pd.DataFrame":
    """A shard's candidates with their ratings, in the ratings' order."""
    _check_rows(ratings["candidate_id"].to_pylist(), dialogues["candidate_id"].to_pylist())
    frame: pd.DataFrame = ratings.to_pandas().merge(
        dialogues.to_pandas(), on="candidate_id", validate="1:1"
    )
    return frame


def unjudged_candidates(dialogues: "pa.Table") -> "pd.DataFrame":
    """A shard's candidates for a reward that reads no judge: all usable, without a judge's name."""
    frame: pd.DataFrame = dialogues.to_pandas()
    of_judge = {"judge": "", "status": Status.OK.value}
    numbers = dict.fromkeys(OF_RATINGS[3:], float("nan"))
    return frame.assign(**of_judge, **numbers)


def shard_rewards(
    frame: "pd.DataFrame",
    cosine: "pd.Series[float] | None",
    settings: RewardSettings,
    seed: int = 0,
) -> "pd.DataFrame":
    """The rewards of a shard's candidates, in the columns of the rewards table.

    Only the statuses ok and nothing_missing carry a reward, also of the controls, so that all
    rewards are of the same candidates; only `published` has rules of its own. Where a cosine is
    needed and the encoder knows nothing of a text, the status is `unreadable`.

    Args:
        frame: The candidates, from `judged_candidates` or `unjudged_candidates`; columns are added
            to it.
        cosine: By candidate_id, NaN where there is none; None for a kind that does not use it. The
            only critiques of status ok without one are those that the encoder cannot read.
        settings: The reward.
        seed: The run's, for a kind that samples.
    """
    frame["cosine"] = float("nan")
    if cosine is not None:
        _check_rows(frame["candidate_id"].tolist(), cosine.index.tolist())
        frame["cosine"] = frame["candidate_id"].map(cosine).astype("float64")
    published = settings.kind == "published"
    frame["rating_scaled"] = (published_rating if published else scaled_rating)(
        frame["rating" if published else settings.rating].astype("float64")
    )
    if cosine is not None and settings.zeta and settings.kind != "shuffled_wim":
        unread = (frame["status"] == Status.OK.value) & frame["cosine"].isna()
        frame["status"] = frame["status"].mask(unread, Status.UNREADABLE.value)
    frame["reward"] = KINDS[settings.kind](frame, settings, seed).where(
        ~frame["status"].isin(_WITHOUT_REWARD) if published else frame["status"].isin(USABLE)
    )
    rewards: pd.DataFrame = frame[REWARDS.schema.names]
    return rewards


def cosine_by_candidate(
    embeddings: Path, frame: "pd.DataFrame", shuffled_by: int | None = None
) -> "pd.Series[float]":
    """The cosines of a shard's responses and critiques; NaN where there is no critique.

    NaN too where the encoder knows none of the tokens of one of them, as all such texts are alike.

    Where nothing is missing the cosine is 1, as published. Vectors are by far the largest input of
    a reward, so they are read, and shuffled, a piece at a time.

    Args:
        embeddings: The shard's embeddings.
        frame: Its candidates, from `judged_candidates`.
        shuffled_by: A seed by which each response is paired with the critique of another prompt's
            response, as a control; a response that gets none has NaN.
    """
    import numpy as np
    import pandas as pd

    ids: list[str] = []
    found: list[np.ndarray[Any, Any]] = []
    judged = frame.set_index("candidate_id")[["status", "prompt_id"]]
    for piece in read_embeddings_in_pieces(embeddings, ["candidate_id", *VECTORS, *UNKNOWN], PIECE):
        names = piece["candidate_id"].to_pylist()
        rows = judged.reindex(names)
        receivers = givers = np.arange(len(names))
        if shuffled_by is not None:
            usable = np.flatnonzero(rows["status"].isin(USABLE) & ~np.logical_or(*_unread(piece)))
            prompts = rows["prompt_id"].to_numpy(object)[usable].astype(str)
            given = derangement(prompts, seed_of(shuffled_by, "shuffled_wim", names[:1]))
            receivers, givers = usable[given >= 0], usable[given[given >= 0]]
        ids += names
        found.append(_piece_cosines(piece, rows["status"].to_numpy(object), receivers, givers))
    return pd.Series(np.concatenate([np.empty(0), *found]), index=pd.Index(ids, dtype="str"))


def _piece_cosines(
    piece: "pa.Table",
    status: "np.ndarray[Any, Any]",
    receivers: "np.ndarray[Any, Any]",
    givers: "np.ndarray[Any, Any]",
) -> "np.ndarray[Any, Any]":
    """Cosines (rows,) of the receivers' responses with the givers' critiques; else NaN."""
    import numpy as np

    dimension = piece.schema.field("response_embedding").type.list_size
    valid = np.asarray(piece["wim_embedding"].is_valid())
    places = np.cumsum(valid) - 1
    response, critique = (
        np.asarray(piece[name].drop_null().combine_chunks().flatten()).reshape(-1, dimension)
        for name in VECTORS
    )
    values = np.full(len(piece), np.nan)
    response_read, critique_read = (~unread for unread in _unread(piece))
    real = (valid & critique_read)[givers] & response_read[receivers]
    values[receivers[real]] = cosines(response[receivers[real]], critique[places[givers[real]]])
    values[receivers[status[givers] == Status.NOTHING_MISSING.value]] = 1.0
    return values


def _unread(piece: "pa.Table") -> "list[np.ndarray[Any, Any]]":
    """Of which responses (rows,), and of which critiques, the encoder knows nothing."""
    import numpy as np

    return [
        np.asarray(piece[name].fill_null(0.0)).astype(np.float64) >= WHOLLY_UNKNOWN
        for name in UNKNOWN
    ]


def cosines(
    response: "np.ndarray[Any, Any]", critique: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """Cosine of each row of two arrays (rows, dimension) of unit vectors, float64."""
    import numpy as np

    return np.asarray((response.astype(np.float64) * critique.astype(np.float64)).sum(axis=1))


def _check_rows(rated: Sequence[str], *others: Sequence[str]) -> None:
    """Raise UserError unless all tables of a shard have the same candidates."""
    for other in others:
        odd = set(rated).symmetric_difference(other)
        if odd:
            raise UserError(
                f"rewards: {len(odd)} candidates are in only one of a shard's tables (dialogues, "
                f"ratings, embeddings), {min(odd)} among them; delete the shard's files and run "
                "again."
            )
