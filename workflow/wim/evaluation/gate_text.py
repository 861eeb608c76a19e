"""The text of the reward gate: its tables in Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass

from wim.display.markdown import estimate_with_interval, markdown_table, shown
from wim.embedding.reading import TextsRead, reading_warnings
from wim.evaluation.pair_statistics import PairStatistics
from wim.statistics import Estimate

LONGER = "(longer response)"
# In front of the name of a judge of pairs; no reward's name has a slash.
PAIRS_BY = "pairs/"


@dataclass(frozen=True)
class Retest:
    """How far a reward agrees with itself when its judge is queried again with another seed.

    Attributes:
        same_winner: Share of pairs with the same winner, or a tie, both times.
        correlation: Spearman's, of the rewards of the responses.
    """

    same_winner: Estimate
    correlation: Estimate


def gate_text(
    name: str,
    measured: Mapping[str, PairStatistics],
    repeated: Mapping[str, Retest],
    encoded: Mapping[str, Mapping[str, TextsRead]],
) -> str:
    """The gate's page.

    Args:
        name: The file of labelled pairs.
        measured: Statistics by reward or judge of pairs.
        repeated: Retests by reward; empty where no pair was judged again.
        encoded: How the encoder reads responses and critiques, by judge; too little is a warning.
    """
    any_of = next(iter(measured.values()))
    chance = any_of.chance
    parts = [
        f"# Rewards against people: {name}",
        f"{any_of.pairs} labelled pairs; intervals are of 95 %. A coin on {chance.n} pairs stays "
        f"within {shown(chance.low, '.2f')} to {shown(chance.high, '.2f')}.",
        markdown_table([_reward_row(*item) for item in measured.items()], left=None),
    ]
    in_pairs = {key: one for key, one in measured.items() if key.startswith(PAIRS_BY)}
    warnings = [
        f"- `{judge}`: {warning}"
        for judge, read in encoded.items()
        for warning in reading_warnings(read)
    ]
    if warnings:
        parts.insert(2, "**The encoder does not read all of the texts:**\n\n" + "\n".join(warnings))
    if in_pairs:
        parts.append("Judges of pairs, queried in both orders:")
        parts.append(markdown_table([_pairs_row(*item) for item in in_pairs.items()], left=None))
    if repeated:
        parts.append("Judged again with another seed:")
        parts.append(markdown_table([_retest_row(*item) for item in repeated.items()], left=None))
    return "\n\n".join(parts) + "\n"


def _reward_row(reward: str, one: PairStatistics) -> dict[str, str]:
    return {
        "reward": reward,
        "judged": str(one.judged),
        "accuracy": estimate_with_interval(one.accuracy),
        "ties": estimate_with_interval(one.tie_rate),
        "better is shorter": estimate_with_interval(one.better_is_shorter),
        "better is longer": estimate_with_interval(one.better_is_longer),
        "statuses": ", ".join(f"{count} {name}" for name, count in sorted(one.statuses.items())),
    }


def _pairs_row(judge: str, one: PairStatistics) -> dict[str, str]:
    return {
        "judge": judge,
        "judged": str(one.judged),
        "consistency": estimate_with_interval(one.consistency),
        "position bias": estimate_with_interval(one.position_bias),
    }


def _retest_row(reward: str, again: Retest) -> dict[str, str]:
    return {
        "reward": reward,
        "pairs": str(again.same_winner.n),
        "same winner": estimate_with_interval(again.same_winner),
        "rank correlation of rewards": estimate_with_interval(again.correlation),
    }
