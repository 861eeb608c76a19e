"""The rewards of recorded critiques, computed as those of the workflow's own judgements."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wim.critiques.score import rewards_by_critique
from wim.evaluation.study.compared_pairs import ComparedPair, compared_pairs
from wim.evaluation.study.encoded_set import EncodedSet
from wim.evaluation.study.measure import Measured, Pairs, measured
from wim.evaluation.study.split_head import SplitHead
from wim.provenance.digest import seed_of
from wim.rewards.kinds import derangement
from wim.rewards.score import USABLE, cosines
from wim.settings.critique_rewards import NamedReward
from wim.tables.ratings import Status

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LONGER, COSINE = "(longer response)", "(cosine)"
# What is measured besides the rewards of the configuration; the judge's name has no meaning, and
# heads learn from all sets.
ALWAYS = {
    COSINE: NamedReward(judge="recorded", zeta=1.0),
    "(number)": NamedReward(judge="recorded", zeta=0.0),
    "(number, ties: lack_share)": NamedReward(judge="recorded", zeta=0.0, ties="lack_share"),
    "(number, ties: critique_head)": NamedReward(
        judge="recorded", zeta=0.0, ties="critique_head", learns_from=["others"]
    ),
    "(critique_head)": NamedReward(judge="recorded", kind="critique_head", learns_from=["others"]),
    "(lack_share)": NamedReward(judge="recorded", kind="lack_share"),
}
# What a recorded judgement does not have.
IMPOSSIBLE = {
    "published": "it needs answers of the method upstream",
    "nothing_missing": "that log-probability is not recorded",
    "reward_model": "it needs a reward model",
    "panel": "its members' judges are one judge here",
}


def reward_values(
    target: EncodedSet, reward: NamedReward, head: "Array | None", seed: int
) -> "Array":
    """The rewards (judgements,) of a set; NaN where there is none."""
    import numpy as np
    import pandas as pd

    frame = target.judgements.copy()
    frame["lack_share"] = target.lack
    frame["head"] = np.nan if head is None else head
    cosine = None
    if reward.zeta:
        values = _cosines(target, seed if reward.kind == "shuffled_wim" else None)
        cosine = pd.Series(values, index=pd.Index(frame["candidate_id"]))
    rewards = rewards_by_critique(frame, cosine, reward, seed)
    return rewards["reward"].to_numpy(np.float64)


def measured_rewards(
    target: EncodedSet,
    rewards: Mapping[str, NamedReward],
    heads: Mapping[str, SplitHead | None],
    seed: int,
) -> dict[str, Measured]:
    """The figures of rewards on a set, by their names: of one judgement, and of means of several.

    Args:
        target: The set.
        rewards: By name; those that have no value on the set are left out.
        heads: The head of each reward that has one.
        seed: The run's.
    """
    import numpy as np

    values = {}
    for name, reward in rewards.items():
        head = heads.get(name)
        if reward.has_head and head is None:
            continue
        found = reward_values(target, reward, None if head is None else head.values, seed)
        if not np.isnan(found).all():
            values[name] = found
    lengths = target.judgements["completion"].str.len().to_numpy(np.float64)
    cosine = _cosines(target)
    tokens = target.judgements["tokens"].to_numpy(np.float64)
    figures: dict[str, Measured] = {}
    for samples in range(1, target.recorded.samples + 1):
        compared = compared_pairs(target.recorded, samples)
        if not compared:
            continue
        pairs = Pairs(
            prompts=[pair.prompt for pair in compared],
            subsets=[pair.subset for pair in compared],
            longer=leads(compared, lengths),
            cosine=leads(compared, cosine),
        )
        cost = float(np.mean([tokens[[*pair.better, *pair.worse]].sum() for pair in compared]))
        if samples == 1:
            figures[LONGER] = measured(pairs, pairs.longer, "", 0.0)
        for name, found in values.items():
            free = rewards[name].judge is None
            if samples > 1 and free:
                continue
            label = name if samples == 1 else f"{name} x {samples}"
            figures[label] = measured(
                pairs,
                leads(compared, found, rewards[name].by),
                "" if free else "recorded",
                0.0 if free else cost,
                single_leads(compared, found),
            )
    return figures


def single_leads(compared: Sequence[ComparedPair], values: "Array") -> "Array":
    """As `leads`, by each of the judgements of a pair alone: (pairs, judgements)."""
    import numpy as np

    better, worse = (
        values[np.array([getattr(pair, side) for pair in compared])] for side in ("better", "worse")
    )
    return np.asarray(better - worse)


def leads(compared: Sequence[ComparedPair], values: "Array", by: str = "mean") -> "Array":
    """By how much the better response of each pair has more (pairs,), of several judgements.

    The mean or median is over the judgements with a value; NaN where a response has none.
    """
    import warnings

    import numpy as np

    combine = np.nanmean if by == "mean" else np.nanmedian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Of a response without any value.
        sides = [
            combine(values[np.array([getattr(pair, side) for pair in compared])], axis=1)
            for side in ("better", "worse")
        ]
    return np.asarray(sides[0] - sides[1])


def _cosines(target: EncodedSet, shuffled_by: int | None = None) -> "Array":
    """The cosines (judgements,) of responses and critiques; 1 where nothing is missing.

    shuffled_by: a seed by which each response gets the critique of another prompt's.
    """
    import numpy as np

    status = target.judgements["status"].to_numpy(object)
    receivers = givers = np.arange(len(status))
    if shuffled_by is not None:
        usable = np.flatnonzero(np.isin(status, USABLE))
        prompts = target.judgements["prompt"].to_numpy(str)[usable]
        given = derangement(prompts, seed_of(shuffled_by, "shuffled_wim", target.name))
        receivers, givers = usable[given >= 0], usable[given[given >= 0]]
    found = np.full(len(status), np.nan)
    found[receivers] = cosines(target.responses[receivers], target.critiques[givers])
    found[receivers[status[givers] == Status.NOTHING_MISSING.value]] = 1.0
    return found
