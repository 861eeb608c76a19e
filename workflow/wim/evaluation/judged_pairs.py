"""Pairs of responses that people have labelled, and the judgements of judges and rewards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wim.dialogues.candidates import candidate_of
from wim.engines.base import Completion
from wim.judging.pairwise import ResponsePair, share_of_first
from wim.provenance.digest import row_id
from wim.rewards.ties import lead
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Comparison, Message

Winner = Literal["a", "b", "tie"]


@dataclass(frozen=True)
class LabelledPair:
    """Two responses, a and b, in one context, and which one people found better."""

    pair_id: str
    context: tuple[Message, ...]
    response_a: str
    response_b: str
    better: Literal["a", "b"]

    @property
    def responses(self) -> ResponsePair:
        """The pair without its label, for a judge of pairs."""
        return ResponsePair(self.pair_id, self.context, self.response_a, self.response_b)

    @property
    def candidates(self) -> tuple[Candidate, Candidate]:
        """a and b as candidates, for a judge that rates them one by one.

        No model generated them: their words are counted as tokens.
        """
        prompt = row_id(list(self.context))
        a, b = (
            candidate_of(
                Completion(
                    key=row_id([self.pair_id, name]),
                    text=response,
                    finish_reason="stop",
                    prompt_tokens=0,
                    completion_tokens=len(response.split()),
                ),
                prompt_id=prompt,
                dialogue_id=self.pair_id,
                turn=1,
                speaker=name,
                sample=0,
                context=self.context,
                seed=0,
                model_digest="",
            )
            for name, response in (("a", self.response_a), ("b", self.response_b))
        )
        return a, b


@dataclass(frozen=True)
class PairJudgement:
    """The winner of a pair in both orders of display; None where the judge failed.

    Attributes:
        in_order, swapped: The winner with a shown first, and with b shown first. A judge that
            sees one response at a time has the same winner in both.
        statuses: The statuses of the judge's calls.
    """

    pair_id: str
    in_order: Winner | None
    swapped: Winner | None
    statuses: tuple[str, ...]

    @property
    def winner(self) -> Winner | None:
        """The winner if it is the same in both orders, else `tie`; None if one order failed."""
        if self.in_order is None or self.swapped is None:
            return None
        return self.in_order if self.in_order == self.swapped else "tie"


def of_scores(
    pair_id: str,
    scores: tuple[float | None, float | None],
    statuses: tuple[str, str] = (Status.OK.value, Status.OK.value),
) -> PairJudgement:
    """The judgement of the scores of a and b: the higher wins; it fails if one is missing.

    Scores that differ by rounding alone are a tie.
    """
    a, b = scores
    won = None if a is None or b is None else _winner(lead(a, b))
    return PairJudgement(pair_id, won, won, statuses)


def of_comparison(row: Comparison) -> PairJudgement:
    """The judgement of a comparison in both orders; of equal responses, which no one is asked."""
    if row.winner == "tie" and row.logprob_a_shown_first is None:
        return PairJudgement(row.pair_id, "tie", "tie", (row.status,))
    return PairJudgement(
        row.pair_id,
        _chosen(row.logprob_a_shown_first, row.logprob_b_shown_second),
        _chosen(row.logprob_a_shown_second, row.logprob_b_shown_first),
        (row.status,),
    )


def longer_wins(pairs: Sequence[LabelledPair]) -> list[PairJudgement]:
    """The judgements of a baseline that prefers the longer response, in characters."""
    return [of_scores(pair.pair_id, (len(pair.response_a), len(pair.response_b))) for pair in pairs]


def _chosen(a: float | None, b: float | None) -> Winner | None:
    if a is None or b is None or share_of_first((a, b)) is None:
        return None
    return _winner(a - b)


def _winner(lead: float) -> Winner:
    return "a" if lead > 0 else "b" if lead < 0 else "tie"
