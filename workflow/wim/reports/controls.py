"""How often rewards and controls prefer the same of two candidates of one context."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wim.reports.candidates import CandidateNumbers
from wim.rewards.ties import without_noise
from wim.statistics import Share, differences

CONTROLS = ("negated", "shuffled_wim", "length", "random")
LONGER = "(longer completion)"


def agreement_with_controls(
    rewards: Sequence[Path], kinds: Mapping[str, str], candidates: CandidateNumbers
) -> dict[str, dict[str, Share]]:
    """For each reward that is not a control, its agreement with each control, by name.

    The agreement is the share in which both prefer the same candidate, over the comparisons that
    both decide. The longer completion, in tokens, is a control in addition to the configured ones.

    Args:
        rewards: <reward>.parquet of each reward.
        kinds: The kind of each reward.
        candidates: Those of the rewards.
    """
    import numpy as np

    names = [path.stem for path in rewards]
    columns = [candidates.rewards(path, ["reward"])[1][0] for path in rewards]
    names.append(LONGER)
    columns.append(candidates.completion_tokens)
    controls = [name for name in names if kinds.get(name, "length") in CONTROLS]
    places = [names.index(name) for name in controls]
    decided, agreeing = np.zeros((2, len(names), len(controls)), dtype=np.int64)
    for difference in differences(np.column_stack(columns), candidates.context):
        signs = np.nan_to_num(np.sign(without_noise(difference)))
        for place, column in enumerate(places):
            product = signs * signs[:, [column]]
            decided[:, place] += (product != 0).sum(axis=0)
            agreeing[:, place] += (product > 0).sum(axis=0)
    return {
        name: {
            control: Share.of(int(agreeing[row, place]), int(decided[row, place]))
            for place, control in enumerate(controls)
        }
        for row, name in enumerate(names)
        if name not in controls
    }
