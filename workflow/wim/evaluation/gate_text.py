"""The reward gate in words: its tables in Markdown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wim.evaluation.pair_statistics import Estimate, PairStatistics

LONGER = "(longer response)"
# Before a judge of pairs; no reward's name has a slash.
PAIRS_BY = "pairs/"
SHOWN = 2
COLUMNS = {
    "accuracy": "accuracy",
    "ties": "tie_rate",
    "better is shorter": "better_is_shorter",
    "better is longer": "better_is_longer",
}
OF_ORDERS = {"consistency": "consistency", "position bias": "position_bias"}


@dataclass(frozen=True)
class Retest:
    """A reward beside itself, its judge asked again by another seed.

    same_winner: share of pairs with the same winner both times, a tie being one. correlation:
    Spearman's, of the responses' rewards.
    """

    same_winner: Estimate
    correlation: Estimate


def gate_lines(
    name: str, measured: Mapping[str, PairStatistics], repeated: Mapping[str, Retest]
) -> Iterator[str]:
    """The lines of the gate's page. name: of the file of labelled pairs."""
    any_of = next(iter(measured.values()))
    chance = any_of.chance
    yield f"# Rewards against people: {name}"
    yield ""
    yield (
        f"{any_of.pairs} labelled pairs; intervals are of 95 %. A coin on {chance.n} pairs stays "
        f"within {_number(chance.low)} to {_number(chance.high)}."
    )
    yield ""
    yield "| reward | judged | " + " | ".join(COLUMNS) + " | statuses |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    for reward, one in measured.items():
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(one.statuses.items()))
        yield f"| {reward} | {one.judged} | {_cells(one, COLUMNS)} | {statuses} |"
    in_pairs = {key: one for key, one in measured.items() if key.startswith(PAIRS_BY)}
    if in_pairs:
        yield from ("", "Judges of pairs, asked in both orders:", "")
        yield "| judge | judged | " + " | ".join(OF_ORDERS) + " |"
        yield "|---" * (len(OF_ORDERS) + 2) + "|"
        for judge, one in in_pairs.items():
            yield f"| {judge} | {one.judged} | {_cells(one, OF_ORDERS)} |"
    if repeated:
        yield from ("", "Judged again by another seed:", "")
        yield "| reward | pairs | same winner | rank correlation of rewards |"
        yield "|---|---|---|---|"
        for reward, again in repeated.items():
            cells = f"{shown(again.same_winner)} | {shown(again.correlation)}"
            yield f"| {reward} | {again.same_winner.n} | {cells} |"


def _cells(one: PairStatistics, columns: Mapping[str, str]) -> str:
    return " | ".join(shown(getattr(one, field)) for field in columns.values())


def shown(one: Estimate) -> str:
    """A figure with its interval."""
    if one.value is None:
        return "none"
    return f"{_number(one.value)} [{_number(one.low)}, {_number(one.high)}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.{SHOWN}f}"
