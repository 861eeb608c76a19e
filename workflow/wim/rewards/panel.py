"""Panels: the mean or median of several rewards, for candidates that have enough of them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.paths import made_anew
from wim.settings.rewards import RewardSettings
from wim.tables.files import read_table, write_table
from wim.tables.schemas import PANELS, REWARDS

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
COLUMNS = ["candidate_id", "prompt_id", "turn", "judge", "status", "reward"]


def combine_rewards(members: Sequence[Path], settings: RewardSettings, output: Path) -> None:
    """Write the rewards table of a panel, with its members' rewards in each row.

    Args:
        members: The members' rewards tables, in the order of `settings.of`.
        settings: The panel.
        output: The rewards table.

    Raises:
        UserError: If the tables are not of the same candidates.
    """
    import numpy as np
    import pyarrow as pa

    tables = [read_table(path, REWARDS, COLUMNS) for path in members]
    first = tables[0]
    for path, table in zip(members, tables, strict=True):
        if table["candidate_id"] != first["candidate_id"]:
            raise UserError(
                f"{path} and {members[0]} have different candidates. {made_anew(path, members[0])}"
            )
    values = np.column_stack(
        [table["reward"].to_numpy(zero_copy_only=False).astype(np.float64) for table in tables]
    )
    statuses = [table["status"].to_pylist() for table in tables]
    judges = [table["judge"].to_pylist() for table in tables]
    rewards, counts = combined(values, settings)
    decided, given = ~np.isnan(rewards), ~np.isnan(values)
    rows = {name: first[name] for name in ("candidate_id", "prompt_id", "turn")}
    # A member that reads no judge has no name of one.
    rows["judge"] = [
        "+".join(filter(None, dict.fromkeys(each))) for each in zip(*judges, strict=True)
    ]
    rows["status"] = [
        panel_status(each, with_reward, enough)
        for each, with_reward, enough in zip(
            zip(*statuses, strict=True), given, decided, strict=True
        )
    ]
    rows["cosine"] = rows["rating_scaled"] = pa.nulls(len(first), pa.float64())
    rows["reward"] = pa.array(rewards, from_pandas=True)
    rows["with_reward"] = counts
    rows["members"] = [
        [
            {"member": name, "judge": judge, "status": status, "reward": value if there else None}
            for name, judge, status, value, there in zip(settings.of, *each, strict=True)
        ]
        for each in zip(
            zip(*judges, strict=True), zip(*statuses, strict=True), values, given, strict=True
        )
    ]
    found = ", ".join(f"{(counts == n).sum()} with {n}" for n in range(len(members), -1, -1))
    logger.info(
        "panel: %d rows, %d with a reward; of %d members: %s",
        len(first),
        int(decided.sum()),
        len(members),
        found,
    )
    write_table(output, PANELS, pa.Table.from_pydict(rows, schema=PANELS.schema))


def combined(
    values: "np.ndarray[Any, Any]", settings: RewardSettings
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """A panel's rewards and how many members have a reward.

    Args:
        values: (rows, members) the members' rewards, NaN where there is none.
        settings: How they are combined, and how many are enough.

    Returns:
        (rows,) rewards, NaN where too few members have one; (rows,) counts.
    """
    import numpy as np

    counts = (~np.isnan(values)).sum(axis=1).astype(np.int32)
    enough = counts >= settings.at_least
    combine = np.nanmean if settings.by == "mean" else np.nanmedian
    rewards = np.full(len(values), np.nan)
    rewards[enough] = combine(values[enough], axis=1)
    return rewards, counts


def panel_status(statuses: Sequence[str], given: Sequence[bool], enough: bool) -> str:
    """A panel's status: the most frequent one of the members that decided it.

    These are the members with a reward if there are enough, or else the members without. Of
    equally frequent statuses, the first member's counts.
    """
    deciding = [
        status for status, with_reward in zip(statuses, given, strict=True) if with_reward == enough
    ]
    return max(deciding, key=deciding.count)
