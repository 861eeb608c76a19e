"""Bradley-Terry strengths of many speakers from games between two, with intervals by prompt.

Bradley and Terry (1952): log-odds that a beats b = strength of a - strength of b, here plus the
weighted features of style (Li et al. 2024, arXiv 2406.11939). A tie is half a win of each.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wim.evaluation.compared.bootstrap import DRAWS, interval, numbered, resampled_counts
from wim.statistics import Estimate

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Each is a fit.
RESAMPLES = 1_000
# Resamples whose strengths have no maximum; with more of them than this there is no interval.
UNBOUNDED = 0.01
STEPS, LARGEST_STEP, CLOSE = 100, 2.0, 1e-10
# No number of games that is ever judged has a finite maximum beyond it: 1 loss of 1e13.
LARGEST_LOGIT = 30.0
ELO = 400 / math.log(10)


class NoStrengthsError(ValueError):
    """The games do not decide the strengths; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Game:
    """A judgement of two speakers' answers to a prompt.

    Attributes:
        prompt_id: Games of one prompt are not independent of each other.
        score: Of the first speaker: 1 it wins, 0 it loses, 1/2 a tie, between them a probability.
        weight: How often it counts; Arena-Hard counts a clear win three times.
        features: Of style, the first answer against the second.
    """

    prompt_id: str
    first: str
    second: str
    score: float
    weight: float = 1.0
    features: tuple[float, ...] = ()


@dataclass(frozen=True)
class Strengths:
    """The strengths of speakers, in log-odds; a difference d is a win rate of 1 / (1 + exp(-d)).

    Attributes:
        games, prompts: What they are fitted to; a speaker's game with itself says nothing and does
            not count.
        strengths: By speaker, relative to the mean of all, or to the anchor. Intervals are a
            bootstrap's over prompts; null where too many resamples decide no strengths.
        style: The weight of each feature in its root mean squares over the games; null of one that
            is 0 in all of them.
        unbounded: The share of resamples that decide no strengths, as a speaker wins all.
    """

    games: int
    prompts: int
    strengths: Mapping[str, Estimate]
    style: Mapping[str, Estimate] = field(default_factory=dict)
    unbounded: float = 0.0


def bradley_terry(
    games: Sequence[Game], seed: int, *, features: Sequence[str] = (), anchor: str | None = None
) -> Strengths:
    """The strengths of largest likelihood.

    Args:
        games: In any order; each speaker's name is as in `first` and `second`.
        seed: Of the bootstrap.
        features: Names of the games' features, in their order, to control for; the strengths are
            then those at equal style.
        anchor: The speaker whose strength is 0; without it their mean is.

    Raises:
        NoStrengthsError: Speakers fall into groups that never met, or of which one always won.
        ValueError: A game has another number of features.
    """
    import numpy as np

    games = [game for game in games if game.first != game.second]
    speakers = sorted({name for game in games for name in (game.first, game.second)})
    if any(len(game.features) < len(features) for game in games):
        raise ValueError(f"each game needs the features {', '.join(features)}")
    _check_decided(games, speakers)
    controls = np.array([game.features[: len(features)] for game in games], dtype=np.float64)
    controls = controls.reshape(len(games), len(features))
    scale = np.sqrt((controls**2).mean(axis=0))
    used = scale > 0
    design = np.concatenate([_meetings(games, speakers), controls[:, used] / scale[used]], axis=1)
    scores = np.array([game.score for game in games])
    weights = np.array([game.weight for game in games])
    start = np.zeros(design.shape[1])
    fitted, bounded = _newton(design, scores, weights[None, :], start)
    if not bounded[0]:
        raise NoStrengthsError("style and speakers together decide every game")
    prompts = numbered([game.prompt_id for game in games])
    again, unbounded = _resampled(design, scores, weights, prompts, fitted[0], seed)
    origin = speakers.index(anchor) if anchor is not None else None
    strengths = [_centred(each[:, : len(speakers) - 1], origin) for each in (fitted, again)]
    of_style = [each[:, len(speakers) - 1 :] for each in (fitted, again)]

    def estimates(names: Sequence[str], values: "list[Array]") -> dict[str, Estimate]:
        return {
            name: Estimate(
                float(values[0][0, place]), *_interval(values[1][:, place], unbounded), len(games)
            )
            for place, name in enumerate(names)
        }

    style = estimates([name for name, use in zip(features, used, strict=True) if use], of_style)
    nothing = Estimate(None, None, None, len(games))
    return Strengths(
        games=len(games),
        prompts=int(prompts.max()) + 1,
        strengths=estimates(speakers, strengths),
        style={name: style.get(name, nothing) for name in features},
        unbounded=unbounded,
    )


def elo(strength: float) -> float:
    """A strength in Elo points, of which 400 are odds of ten to one."""
    return ELO * strength


def _check_decided(games: Sequence[Game], speakers: Sequence[str]) -> None:
    """Raise unless each speaker has, over others, both won and lost against each other (Ford 1957)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not games:
        raise NoStrengthsError("there is no game of two speakers")
    place = {name: number for number, name in enumerate(speakers)}
    winners, losers = [], []
    for game in games:
        first, second = place[game.first], place[game.second]
        if game.score > 0:
            winners.append(first)
            losers.append(second)
        if game.score < 1:
            winners.append(second)
            losers.append(first)
    shape = (len(speakers), len(speakers))
    wins = coo_array(([1] * len(winners), (winners, losers)), shape=shape)
    for connection, why in (
        ("weak", "these groups of speakers never met"),
        ("strong", "between these groups of speakers one always won"),
    ):
        count, group = connected_components(wins, directed=True, connection=connection)
        if count > 1:
            named = [
                ", ".join(name for name, of in zip(speakers, group, strict=True) if of == number)
                for number in range(count)
            ]
            raise NoStrengthsError(
                f"{why}, so that their strengths are not decided: " + "; ".join(named)
            )


def _meetings(games: Sequence[Game], speakers: Sequence[str]) -> "Array":
    """(games, speakers - 1): 1 the first speaker, -1 the second; the first of all has strength 0."""
    import numpy as np

    place = {name: number for number, name in enumerate(speakers)}
    met = np.zeros((len(games), len(speakers)))
    rows = np.arange(len(games))
    met[rows, [place[game.first] for game in games]] = 1
    met[rows, [place[game.second] for game in games]] = -1
    return met[:, 1:]


def _newton(
    design: "Array", scores: "Array", weights: "Array", start: "Array"
) -> "tuple[Array, Array]":
    """Logistic regressions of one design on the same scores with different weights.

    Args:
        design: (rows, columns).
        scores: (rows,) 0 to 1.
        weights: (fits, rows).
        start: (columns,) of the coefficients.

    Returns:
        The coefficients, (fits, columns), and which fits have a finite maximum, (fits,).
    """
    import numpy as np
    from scipy.special import expit

    rows, columns = design.shape
    products = (design[:, :, None] * design[:, None, :]).reshape(rows, columns * columns)
    found = np.tile(start, (len(weights), 1))
    step = np.full_like(found, np.inf)
    for _ in range(STEPS):
        expected = expit(found @ design.T)
        slope = (weights * (scores - expected)) @ design
        curve = (weights * expected * (1 - expected)) @ products
        curve = curve.reshape(-1, columns, columns) + 1e-12 * np.eye(columns)
        step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
        step = np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        found = found + step
        if np.abs(step).max() < CLOSE:
            break
    # Where one always won, a logit grows until the gap to 1 is rounded away, and steps end.
    logits = np.abs(found @ design.T * (weights > 0)).max(axis=1)
    return found, (np.abs(step).max(axis=1) < CLOSE) & (logits < LARGEST_LOGIT)


def _resampled(
    design: "Array", scores: "Array", weights: "Array", prompts: "Array", start: "Array", seed: int
) -> "tuple[Array, float]":
    """The coefficients of resamples of the prompts that have such, and the share that has none."""
    import numpy as np

    found = []
    for counts in resampled_counts(int(prompts.max()) + 1, RESAMPLES, seed):
        at_once = max(1, DRAWS // len(scores))
        for begin in range(0, len(counts), at_once):
            drawn = counts[begin : begin + at_once, prompts] * weights
            coefficients, bounded = _newton(design, scores, drawn, start)
            found.append(coefficients[bounded])
    kept = np.concatenate(found)
    return kept, 1 - len(kept) / RESAMPLES


def _centred(strengths: "Array", origin: int | None) -> "Array":
    """(fits, speakers): with the first speaker's 0, less their mean, or less one speaker's."""
    import numpy as np

    every: Array = np.concatenate([np.zeros((len(strengths), 1)), strengths], axis=1)
    zero: Array = every.mean(axis=1) if origin is None else every[:, origin]
    return every - zero[:, None]


def _interval(values: "Array", unbounded: float) -> tuple[float | None, float | None]:
    return (None, None) if unbounded > UNBOUNDED else interval(values)
