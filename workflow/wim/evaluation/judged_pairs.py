"""Pairs of responses that people have labelled, and what a judge or a reward says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wim.judging.pairwise import ResponsePair, share_of_first
from wim.provenance.digest import row_id
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

        No model is behind them: their tokens are counted as words.
        """
        prompt = row_id(list(self.context))
        a, b = (
            Candidate(
                candidate_id=row_id([self.pair_id, name]),
                prompt_id=prompt,
                dialogue_id=self.pair_id,
                turn=1,
                speaker=name,
                sample=0,
                context=list(self.context),
                completion=response,
                judged=True,
                continued=False,
                finish_reason="stop",
                prompt_tokens=0,
                completion_tokens=len(response.split()),
                seed=0,
                model_digest="",
            )
            for name, response in (("a", self.response_a), ("b", self.response_b))
        )
        return a, b


@dataclass(frozen=True)
class PairJudgement:
    """Who wins a pair with a shown first, and with b shown first; None where the judge failed.

    A judge that sees one response at a time gives both orders the same. statuses: of the calls
    behind it.
    """

    pair_id: str
    in_order: Winner | None
    swapped: Winner | None
    statuses: tuple[str, ...]

    @property
    def winner(self) -> Winner | None:
        """The winner that both orders name, else `tie`; None if one of them failed."""
        if self.in_order is None or self.swapped is None:
            return None
        return self.in_order if self.in_order == self.swapped else "tie"


def of_scores(
    pair_id: str,
    scores: tuple[float | None, float | None],
    statuses: tuple[str, str] = (Status.OK.value, Status.OK.value),
) -> PairJudgement:
    """The judgement of two scores, a's and b's: the higher wins, equal ones tie, a missing one fails."""
    a, b = scores
    won = None if a is None or b is None else _winner(a - b)
    return PairJudgement(pair_id, won, won, statuses)


def of_comparison(row: Comparison) -> PairJudgement:
    """The judgement of a comparison, order by order."""
    return PairJudgement(
        row.pair_id,
        _chosen(row.logprob_a_shown_first, row.logprob_b_shown_second),
        _chosen(row.logprob_a_shown_second, row.logprob_b_shown_first),
        (row.status,),
    )


def longer_wins(pairs: Sequence[LabelledPair]) -> list[PairJudgement]:
    """The judge that prefers the longer response, in characters, and knows nothing else."""
    return [of_scores(pair.pair_id, (len(pair.response_a), len(pair.response_b))) for pair in pairs]


def _chosen(a: float | None, b: float | None) -> Winner | None:
    if a is None or b is None or share_of_first((a, b)) is None:
        return None
    return _winner(a - b)


def _winner(lead: float) -> Winner:
    return "a" if lead > 0 else "b" if lead < 0 else "tie"
