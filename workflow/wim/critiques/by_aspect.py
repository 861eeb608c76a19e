"""The rewards table of a reward of a judge that rates several aspects.

A judgement's reward is the mean over its usable aspects, or that of one; a reward of several
judgements combines theirs as that of any judge with samples.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.critiques.by_critique import OF_DIALOGUES
from wim.critiques.score import lack_shares, rewards_by_critique
from wim.rewards.panel import combined, panel_status
from wim.rewards.score import judged_candidates
from wim.settings.critique_rewards import NamedReward
from wim.settings.sampled_judges import SAMPLE
from wim.tables.aspects import ASPECT_RATINGS
from wim.tables.files import read_candidates, read_table, write_table
from wim.tables.schemas import PANELS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

logger = logging.getLogger(__name__)
READ = ["candidate_id", "judge", "sample", "aspect", "status", "rating", "rating_expected", "wim"]


def score_by_aspect(
    dialogues: Sequence[Path],
    aspects: Sequence[Path],
    settings: NamedReward,
    names: Sequence[str],
    samples: int,
    output: Path,
    seed: int | None = None,
) -> None:
    """Write the rewards table of all shards, with the aspects of each judgement as its members.

    Args:
        dialogues: The shards.
        aspects: The shards in the same order.
        settings: The reward; its `aspect`, or else all of the judge's, are what it is of.
        names: The judge's aspects.
        samples: How many judgements of each candidate there are.
        output: The rewards table.
        seed: The run's, for a kind that samples.

    Raises:
        UserError: If the tables of a shard are not of the same candidates.
    """
    import numpy as np
    import pandas as pd

    used = [settings.aspect] if settings.aspect else list(names)
    least = settings.least_aspects or len(used)
    members: dict[str, pd.DataFrame] = {}
    values = []
    for sample in range(1, samples + 1):
        columns = []
        for name in used:
            rows = pd.concat(
                [
                    _rewards(said, of_shard, name, sample, settings, seed or 0)
                    for said, of_shard in zip(dialogues, aspects, strict=True)
                ],
                ignore_index=True,
            ).sort_values("candidate_id", ignore_index=True)
            member = name if samples == 1 else f"{name}{SAMPLE}{sample}"
            members[member] = rows
            columns.append(rows["reward"].to_numpy(np.float64))
        # The mean over aspects; `by` and `at_least` are of the samples.
        mean = settings.each.model_copy(update={"at_least": least})
        values.append(combined(np.column_stack(columns), mean)[0])
    table = _table(members, np.column_stack(values), settings)
    write_table(output, PANELS, table)
    with_reward = len(table) - table["reward"].null_count
    logger.info("rewards: %d rows, %d with a reward", len(table), with_reward)


def _rewards(
    dialogues: Path, aspects: Path, name: str, sample: int, settings: NamedReward, seed: int
) -> "pd.DataFrame":
    """The rewards of a shard's candidates in one aspect, by one judgement."""
    import pyarrow.compute as pc

    rated = read_table(aspects, ASPECT_RATINGS, READ)
    mask = pc.and_(pc.equal(rated["aspect"], name), pc.equal(rated["sample"], sample))
    own = rated.filter(mask).drop_columns(["aspect", "sample"])
    frame = judged_candidates(read_candidates(dialogues, OF_DIALOGUES), own)
    frame["nothing_missing_logprob"] = float("nan")
    if settings.kind == "lack_share" or settings.ties == "lack_share":
        frame["lack_share"] = lack_shares(frame)
    return rewards_by_critique(frame, None, settings.each, seed)


def _table(members: "dict[str, pd.DataFrame]", values: "Array", settings: NamedReward) -> Any:
    """The table of candidates, with each aspect of each judgement as a member.

    Args:
        members: By their names, the rewards of all candidates, in one order.
        values: (candidates, samples) of the judgements, NaN where there is none.
        settings: The reward.
    """
    import numpy as np
    import pyarrow as pa

    rewards, _ = combined(values, settings)
    first = next(iter(members.values()))
    each = np.column_stack([rows["reward"].to_numpy(np.float64) for rows in members.values()])
    given = ~np.isnan(each)
    statuses = list(zip(*(rows["status"].tolist() for rows in members.values()), strict=True))
    columns: dict[str, list[Any]] = {
        name: first[name].tolist() for name in ("candidate_id", "prompt_id", "turn", "judge")
    }
    columns["status"] = [
        panel_status(found, usable.tolist(), bool(enough))
        for found, usable, enough in zip(statuses, given, ~np.isnan(rewards), strict=True)
    ]
    columns["cosine"] = columns["rating_scaled"] = [None] * len(first)
    columns["reward"] = [None if np.isnan(value) else float(value) for value in rewards]
    columns["with_reward"] = given.sum(axis=1).tolist()
    columns["members"] = [
        [
            {
                "member": name,
                "judge": judge,
                "status": status,
                "reward": float(value) if usable else None,
            }
            for name, status, value, usable in zip(members, *row, strict=True)
        ]
        for judge, *row in zip(columns["judge"], statuses, each, given, strict=True)
    ]
    return pa.Table.from_pydict(columns, schema=PANELS.schema)
