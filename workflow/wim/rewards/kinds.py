"""The kinds of rewards: one function each, over the judged candidates of a shard.

Each takes a frame with a row for each candidate (status, numbers, cosine and length) and returns
the column `reward`. The status decides which candidates have a reward, in `wim.rewards.score`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wim.provenance.digest import SEED_BITS, seed_of
from wim.settings.rewards import RewardSettings
from wim.tables.ratings import HIGHEST, LOWEST

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def scaled_rating(rating: "pd.Series[float]") -> "pd.Series[float]":
    """A rating of 1 to 10 on the scale of a cosine, -1 to 1."""
    return (2 * rating - (LOWEST + HIGHEST)) / (HIGHEST - LOWEST)


def mixed_reward(
    rating: "pd.Series[float]", cosine: "pd.Series[float]", zeta: float
) -> "pd.Series[float]":
    """(1 - zeta) * scaled rating + zeta * cosine (Stranges and Yang 2026, arXiv 2603.04429).

    A term whose weight is zero may be missing.
    """
    if zeta == 0:
        return rating
    if zeta == 1:
        return cosine
    return (1 - zeta) * rating + zeta * cosine


def published_rating(rating: "pd.Series[float]") -> "pd.Series[float]":
    """A number as published: (n - 5) / 5, whatever its range, and 0 if no number was parsed."""
    return ((rating - 5) / 5).fillna(0.0)


def published_reward(
    rating: "pd.Series[float]", cosine: "pd.Series[float]", zeta: float
) -> "pd.Series[float]":
    """The reward as published (nstranges/what-is-missing), of numbers from `published_rating`.

    Where no critique was parsed there is no cosine; the number is then the reward, at any zeta.
    """
    return ((1 - zeta) * rating + zeta * cosine).where(cosine.notna(), rating)


def _mixture(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    return mixed_reward(frame["rating_scaled"], frame["cosine"], settings.zeta or 0.0)


def _published(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    return published_reward(frame["rating_scaled"], frame["cosine"], settings.zeta or 0.0)


def _negated(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    return -_mixture(frame, settings, seed)


def _nothing_missing(
    frame: "pd.DataFrame", settings: RewardSettings, seed: int
) -> "pd.Series[float]":
    return frame["nothing_missing_logprob"].astype("float64")


def _reward_model(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    return frame["rating_expected"].astype("float64")


def _length(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    return frame["completion_tokens"].astype("float64")


def _brevity(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    return -_length(frame, settings, seed)


def _random(frame: "pd.DataFrame", settings: RewardSettings, seed: int) -> "pd.Series[float]":
    values = [seed_of(seed, "random", name) / 2**SEED_BITS for name in frame["candidate_id"]]
    return 2 * frame["candidate_id"].map(dict(zip(frame["candidate_id"], values, strict=True))) - 1


Kind = Callable[["pd.DataFrame", RewardSettings, int], "pd.Series[float]"]
KINDS: Mapping[str, Kind] = {
    "mixture": _mixture,
    "published": _published,
    "nothing_missing": _nothing_missing,
    "reward_model": _reward_model,
    "negated": _negated,
    "shuffled_wim": _mixture,
    "length": _length,
    "brevity": _brevity,
    "random": _random,
}


def derangement(prompts: "np.ndarray[Any, Any]", seed: int) -> "np.ndarray[Any, Any]":
    """A random permutation of rows in which no row gets one of its own prompt.

    Args:
        prompts: (rows,) ids.
        seed: By which the permutation is sampled.

    Returns:
        (rows,) the row that each row gets, each at most once; -1 for a row that would get one of
        its own prompt, which happens only if a prompt has more than half of the rows.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    _, prompt, sizes = np.unique(prompts, return_inverse=True, return_counts=True)
    # Rows of a prompt are adjacent; shifted by the largest prompt's rows, none gets its own prompt.
    order = np.lexsort((rng.permutation(len(prompts)), rng.permutation(len(sizes))[prompt]))
    found = np.empty(len(prompts), dtype=np.int64)
    found[order] = np.roll(order, -int(sizes.max(initial=0)))
    found[prompt[found] == prompt] = -1
    return found
