"""The pairs of responses on which the rewards of recorded critiques are measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import TYPE_CHECKING

from wim.evaluation.study.sets import OTHERS, RecordedSet

if TYPE_CHECKING:
    import pandas as pd

# By how many choices of judgements a mean of several is measured at most.
MOST_CHOICES = 20


@dataclass(frozen=True)
class ComparedPair:
    """Two responses of a prompt, the better one first, each by the rows of its judgements."""

    prompt: str
    subset: str
    better: tuple[int, ...]
    worse: tuple[int, ...]


def compared_pairs(recorded: RecordedSet, samples: int) -> list[ComparedPair]:
    """The pairs of responses of a set of which one is better, by so many judgements of each.

    Where other judgements tell which is better, those that are compared are not among them. Every
    choice of so many positions counts, up to MOST_CHOICES.
    """
    found: list[ComparedPair] = []
    for prompt, of_prompt in recorded.judgements.groupby("prompt", sort=True):
        responses = [_Response.of(rows) for _, rows in of_prompt.groupby("response", sort=True)]
        for one, other in combinations(responses, 2):
            shared = sorted(one.rows.keys() & other.rows.keys())
            for positions in islice(combinations(shared, samples), MOST_CHOICES):
                lead = _lead(recorded, one, other, positions)
                if lead:
                    first, second = (one, other) if lead > 0 else (other, one)
                    found.append(
                        ComparedPair(
                            str(prompt),
                            one.subset,
                            tuple(first.rows[place] for place in positions),
                            tuple(second.rows[place] for place in positions),
                        )
                    )
    return found


@dataclass(frozen=True)
class _Response:
    """A response: its id, subset and label, and the row and the number of each position."""

    name: str
    subset: str
    label: float
    rows: dict[int, int]
    numbers: dict[int, float]

    @classmethod
    def of(cls, rows: "pd.DataFrame") -> "_Response":
        positions = rows["position"].tolist()
        return cls(
            name=rows["response"].iloc[0],
            subset=rows["subset"].iloc[0],
            label=float(rows["label"].iloc[0]),
            rows=dict(zip(positions, rows.index.tolist(), strict=True)),
            numbers=dict(zip(positions, rows["number"].tolist(), strict=True)),
        )

    def other_numbers(self, positions: Sequence[int]) -> list[float]:
        """The numbers of the judgements at other positions."""
        return [
            value
            for place, value in self.numbers.items()
            if place not in positions and value == value
        ]


def _lead(
    recorded: RecordedSet, one: _Response, other: _Response, positions: Sequence[int]
) -> float:
    """By how much a response is better than another; 0 where nothing says so."""
    if recorded.better:
        names = (min(one.name, other.name), max(one.name, other.name))
        best = recorded.better.get(names)
        return 0.0 if best is None else 1.0 if best == one.name else -1.0
    if recorded.labels != OTHERS:
        lead = one.label - other.label
        return 0.0 if lead != lead else lead
    numbers = [each.other_numbers(positions) for each in (one, other)]
    if not all(numbers):
        return 0.0
    a, b = (sum(each) / len(each) for each in numbers)
    return a - b if abs(a - b) > 1e-9 else 0.0
