"""Pairs of responses that people have labelled, and the judgements of judges and rewards."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
    """Two responses, a and b, in one context, and which one was labelled as better.

    Attributes:
        better: The label; of several votes the majority, `tie` where none is.
        subset: The part of the labels that it belongs to.
        votes: The label of each annotator by name, where there are several.
        group: The responses that it is of, where more than two were labelled together.
        styles: In which style a and b are written, where that is labelled.
        ids: The candidates that a and b are, where these are in other pairs too; else "".
    """

    pair_id: str
    context: tuple[Message, ...]
    response_a: str
    response_b: str
    better: Winner
    subset: str = ""
    votes: tuple[tuple[str, Winner], ...] = ()
    group: str = ""
    styles: tuple[str, str] = ("", "")
    ids: tuple[str, str] = ("", "")

    @cached_property
    def prompt(self) -> str:
        """The context's id: pairs of one prompt are not independent."""
        return row_id(list(self.context))

    @property
    def responses(self) -> ResponsePair:
        """The pair without its label, for a judge of pairs."""
        return ResponsePair(self.pair_id, self.context, self.response_a, self.response_b)

    @property
    def candidates(self) -> tuple[Candidate, Candidate]:
        """a and b as candidates, for a judge that rates them one by one.

        No model generated them: their words are counted as tokens.
        """
        a, b = (
            candidate_of(
                Completion(
                    key=shared or row_id([self.pair_id, name]),
                    text=response,
                    finish_reason="stop",
                    prompt_tokens=0,
                    completion_tokens=len(response.split()),
                ),
                prompt_id=self.prompt,
                dialogue_id=self.pair_id,
                turn=1,
                speaker=name,
                sample=0,
                context=self.context,
                seed=0,
                model_digest="",
            )
            for name, response, shared in zip(
                ("a", "b"), (self.response_a, self.response_b), self.ids, strict=True
            )
        )
        return a, b


@dataclass(frozen=True)
class PairJudgement:
    """The winner of a pair in both orders of display; None where the judge failed.

    Attributes:
        in_order, swapped: The winner with a shown first, and with b shown first. A judge that
            sees one response at a time has the same winner in both.
        statuses: The statuses of the judge's calls: of one for each response, or for each order.
        calls: The ids of these calls, where they may be other pairs' too.
    """

    pair_id: str
    in_order: Winner | None
    swapped: Winner | None
    statuses: tuple[str, ...]
    calls: tuple[str, ...] = ()

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
    calls: tuple[str, ...] = (),
) -> PairJudgement:
    """The judgement of the scores of a and b: the higher wins; it fails if one is missing.

    Scores that differ by rounding alone are a tie.
    """
    a, b = scores
    won = None if a is None or b is None else _winner(lead(a, b))
    return PairJudgement(pair_id, won, won, statuses, calls)


def of_comparison(row: Comparison) -> PairJudgement:
    """The judgement of a comparison in both orders; of equal responses a tie, which took no call."""
    if row.winner == "tie" and row.logprob_a_shown_first is None:
        return PairJudgement(row.pair_id, "tie", "tie", ())
    in_order = _chosen(row.logprob_a_shown_first, row.logprob_b_shown_second)
    swapped = _chosen(row.logprob_a_shown_second, row.logprob_b_shown_first)
    statuses = tuple(Status.OK.value if won else row.status for won in (in_order, swapped))
    return PairJudgement(row.pair_id, in_order, swapped, statuses)


def longer_wins(pairs: Sequence[LabelledPair]) -> list[PairJudgement]:
    """The judgements of a baseline that prefers the longer response, in characters."""
    return [of_scores(pair.pair_id, (len(pair.response_a), len(pair.response_b))) for pair in pairs]


def _chosen(a: float | None, b: float | None) -> Winner | None:
    if a is None or b is None or share_of_first((a, b)) is None:
        return None
    return _winner(a - b)


def _winner(lead: float) -> Winner:
    return "a" if lead > 0 else "b" if lead < 0 else "tie"
