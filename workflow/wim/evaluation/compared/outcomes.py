"""Outcomes: what a judge said of a speaker's answer beside the reference's, prompt by prompt."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wim.evaluation.judged_pairs import PairJudgement

CREDIT = {"a": 1.0, "b": 0.0, "tie": 0.5}
# The cause of a failure that nobody has named.
UNKNOWN = "no judgement"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a speaker's answer to a prompt fared against the reference's.

    Attributes:
        prompt_id: Judgements of one prompt are not independent of each other.
        scores: The speaker's score in each order of display, first the one with its answer shown
            first: 1 it wins, 0 it loses, 1/2 a tie, between them a probability; None where the
            judge failed. One score alone: the judge saw one order, or one answer at a time.
        cause: Why a score is missing.
        length, reference_length: Of the two answers, in characters; None where not known.
        identical: The answers are equal, so that nobody was asked: a tie.
        cluster: Prompts that depend on each other, such as variants of one; by default the prompt.
        category: Of the prompt, if it has one.
    """

    prompt_id: str
    scores: tuple[float | None, ...]
    cause: str | None = None
    length: int | None = None
    reference_length: int | None = None
    identical: bool = False
    cluster: str = ""
    category: str | None = None

    @property
    def score(self) -> float | None:
        """The mean over the orders, 0 to 1; None if one of them failed."""
        known = [score for score in self.scores if score is not None]
        return sum(known) / len(known) if known and len(known) == len(self.scores) else None

    @property
    def group(self) -> str:
        """What the bootstrap draws it with."""
        return self.cluster or self.prompt_id


def tie(prompt_id: str, length: int, category: str | None = None) -> Outcome:
    """The outcome of two equal answers of a length in characters."""
    return Outcome(
        prompt_id=prompt_id,
        scores=(0.5,),
        length=length,
        reference_length=length,
        identical=True,
        category=category,
    )


def outcome_of(
    judgement: PairJudgement,
    prompt_id: str,
    lengths: tuple[int, int] | None = None,
    *,
    one_by_one: bool = False,
    category: str | None = None,
) -> Outcome:
    """The outcome of a pair with the speaker's answer as a and the reference's as b.

    Args:
        judgement: Of the pair, in both orders.
        prompt_id: The prompt of both answers.
        lengths: Of a and b, in characters.
        one_by_one: The judge saw one answer at a time, so that there is one order.
        category: Of the prompt.
    """
    winners = (judgement.in_order, judgement.swapped)
    scores = tuple(CREDIT[winner] if winner else None for winner in winners)
    length, reference_length = lengths or (None, None)
    return Outcome(
        prompt_id=prompt_id,
        scores=scores[:1] if one_by_one else scores,
        cause=_cause(judgement) if None in scores else None,
        length=length,
        reference_length=reference_length,
        category=category,
    )


def _cause(judgement: PairJudgement) -> str:
    causes = sorted({status for status in judgement.statuses if status != "ok"})
    if judgement.in_order or judgement.swapped:
        return "one order failed" + (f": {', '.join(causes)}" if causes else "")
    return ", ".join(causes) or UNKNOWN


def swapped(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The outcomes of the reference against the speaker."""
    return [
        Outcome(
            prompt_id=one.prompt_id,
            scores=tuple(None if score is None else 1 - score for score in reversed(one.scores)),
            cause=one.cause,
            length=one.reference_length,
            reference_length=one.length,
            identical=one.identical,
            cluster=one.cluster,
            category=one.category,
        )
        for one in outcomes
    ]


def score_by_prompt(outcomes: Sequence[Outcome]) -> Mapping[str, float]:
    """Each judged prompt's mean score."""
    found: dict[str, list[float]] = {}
    for one in outcomes:
        if one.score is not None:
            found.setdefault(one.prompt_id, []).append(one.score)
    return {prompt: sum(scores) / len(scores) for prompt, scores in found.items()}
