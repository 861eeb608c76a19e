"""Rewards that read the critique's own words, and rewards of several judgements of a response.

Everything else of a reward is computed by `wim.rewards.score`.
"""

from typing import TYPE_CHECKING

from wim.critiques.lack_share import lack_share
from wim.rewards.kinds import KINDS
from wim.rewards.score import USABLE, shard_rewards
from wim.settings.critique_rewards import NamedReward
from wim.tables.ratings import Status

if TYPE_CHECKING:
    import pandas as pd

# Scaled points that the critique of a tie may add at most. Numbers of 1 to 10 are 2/9 apart, means of
# up to ten of them 2/90, and means of nine and of ten, where one judgement failed, 2/810.
TIE = 0.002
TOKENS_OF_PENALTY = 100


def lack_shares(judged: "pd.DataFrame") -> "pd.Series[float]":
    """The share of sentences that name a lack, of each judgement; 0 where nothing is missing.

    Args:
        judged: status and wim; NaN for judgements that are not usable.
    """
    shares = judged["wim"].map(lack_share, na_action="ignore").astype("float64")
    nothing = judged["status"] == Status.NOTHING_MISSING.value
    return shares.mask(nothing, 0.0).where(judged["status"].isin(USABLE))


def rewards_by_critique(
    frame: "pd.DataFrame",
    cosine: "pd.Series[float] | None",
    settings: NamedReward,
    seed: int = 0,
) -> "pd.DataFrame":
    """The rewards of candidates, in the columns of the rewards table; see `shard_rewards`.

    Args:
        frame: The candidates, with the column `lack_share` or `head` where the reward reads it.
        cosine: By candidate_id, for a kind that uses it.
        settings: The reward; a panel is none of a single judgement.
        seed: The run's, for a kind that samples.
    """
    if settings.kind in KINDS:
        rewards = shard_rewards(frame, cosine, settings, seed)
    else:
        # What it reads besides the critique is empty, and the number is scaled as in any reward.
        number = NamedReward(judge=settings.judge, zeta=0.0)
        rewards = shard_rewards(frame, None, number, seed)
        value = frame["head"] if settings.kind == "critique_head" else -frame["lack_share"]
        unread = (rewards["status"] == Status.OK.value) & value.isna()
        rewards["status"] = rewards["status"].mask(unread, Status.UNREADABLE.value)
        rewards["reward"] = value.where(rewards["status"].isin(USABLE))
    if settings.ties != "none":
        rewards["reward"] = rewards["reward"] + TIE * _decision(frame, settings)
    if settings.length_penalty:
        tokens = frame["completion_tokens"].astype("float64")
        rewards["reward"] = rewards["reward"] - settings.length_penalty * tokens / TOKENS_OF_PENALTY
    return rewards


def _decision(frame: "pd.DataFrame", settings: NamedReward) -> "pd.Series[float]":
    """What decides between equal numbers, between 0 and 1, higher for the better critique.

    It is the middle where the encoder knows nothing of a critique, and the sign is the reward's.
    """
    from scipy.special import expit

    if settings.ties == "lack_share":
        better = 1 - frame["lack_share"]
    else:
        better = frame["head"].map(expit, na_action="ignore").fillna(0.5)
    return -better if settings.kind == "negated" else better
