"""Which of two responses is better, queried in both orders: agreement, or a tie.

A model's choice of A or B is biased to a position; queried in both orders, that bias shows and
cancels. The choice is not parsed: it comes from the model's probabilities of A and B at a forced
position.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wim.engines.answers import ReadChoices
from wim.engines.base import ChoiceLogprobs, Engine, Request
from wim.progress import progress
from wim.provenance.digest import digest_of, row_id
from wim.tables.ratings import Status
from wim.tables.schemas import Comparison, Message
from wim.templates import Templates

logger = logging.getLogger(__name__)
OPENING = "Better answer:"
CHOICES = (" A", " B")
Logprobs = tuple[float, ...]


@dataclass(frozen=True)
class ResponsePair:
    """Two responses, a and b, in one context, and the ids of what they are from."""

    pair_id: str
    context: Sequence[Message]
    response_a: str
    response_b: str
    prompt_id: str = ""
    a_id: str = ""
    b_id: str = ""


class PairwiseJudge:
    """A named judge of pairs. `digest` is its identity: model and templates."""

    def __init__(self, name: str, engine: Engine, templates: Templates, model_digest: str) -> None:
        self.name = name
        self.engine = engine
        self.templates = templates
        self.digest = digest_of({"model": model_digest, "templates": templates.digest})

    def compare(self, pairs: Sequence[ResponsePair]) -> list[Comparison]:
        """A comparison of each pair, in the pairs' order; equal responses are a tie, unasked.

        Raises ValueError if two pairs have the same id.
        """
        if len({pair.pair_id for pair in pairs}) < len(pairs):
            raise ValueError("two pairs have the same pair_id")
        unequal = [pair for pair in pairs if pair.response_a != pair.response_b]
        requests = [self._ask(pair, swapped) for pair in unequal for swapped in (False, True)]
        answers = self.engine.choice_logprobs(requests, CHOICES)
        found = {
            answer.key: answer for answer in progress(answers, len(requests), "comparisons", "call")
        }
        return [
            self._comparison(
                pair, found[order_key(pair.pair_id, False)], found[order_key(pair.pair_id, True)]
            )
            if pair.response_a != pair.response_b
            else self._equal(pair)
            for pair in pairs
        ]

    def _equal(self, pair: ResponsePair) -> Comparison:
        """The comparison of two equal responses."""
        return Comparison(
            pair_id=pair.pair_id,
            judge=self.name,
            status=Status.OK.value,
            winner="tie",
            preference_a=0.5,
            logprob_a_shown_first=None,
            logprob_b_shown_second=None,
            logprob_b_shown_first=None,
            logprob_a_shown_second=None,
            judge_digest=self.digest,
            prompt_id=pair.prompt_id,
            a_id=pair.a_id,
            b_id=pair.b_id,
        )

    def _ask(self, pair: ResponsePair, swapped: bool) -> Request:
        first, second = pair.response_a, pair.response_b
        if swapped:
            first, second = second, first
        content = self.templates.render(
            "comparison", conversation=pair.context, first=first, second=second
        )
        return Request(
            order_key(pair.pair_id, swapped),
            ({"role": "user", "content": content},),
            opening=OPENING,
        )

    def _comparison(
        self, pair: ResponsePair, in_order: ChoiceLogprobs, swapped: ChoiceLogprobs
    ) -> Comparison:
        """in_order, swapped: log-probabilities of the response shown first and of the second."""
        a_first, b_second = in_order.logprobs or (None, None)
        b_first, a_second = swapped.logprobs or (None, None)
        preferences = [share_of_first(in_order.logprobs), share_of_first(swapped.logprobs)]
        for answer in (in_order, swapped):
            if isinstance(answer, ReadChoices) and answer.logprobs is None:
                logger.debug("pair %s: no choice: %s", pair.pair_id, answer.reason)
        winner, preference = None, None
        if preferences[0] is not None and preferences[1] is not None:
            winner = agreed_winner(preferences[0] - 0.5, 0.5 - preferences[1])
            preference = (preferences[0] + 1 - preferences[1]) / 2
        return Comparison(
            pair_id=pair.pair_id,
            judge=self.name,
            status=(Status.OK if winner else Status.ERROR).value,
            winner=winner,
            preference_a=preference,
            logprob_a_shown_first=a_first,
            logprob_b_shown_second=b_second,
            logprob_b_shown_first=b_first,
            logprob_a_shown_second=a_second,
            judge_digest=self.digest,
            source=(in_order.source if isinstance(in_order, ReadChoices) else "logprobs")
            if winner
            else None,
            prompt_id=pair.prompt_id,
            a_id=pair.a_id,
            b_id=pair.b_id,
        )


def pair_id_of(a_id: str, b_id: str) -> str:
    """The id of two candidates as a pair, a before b."""
    return row_id([a_id, b_id])


def order_key(pair_id: str, swapped: bool) -> str:
    """The key of the request that shows a pair in one of the two orders."""
    return f"{pair_id}/{'ba' if swapped else 'ab'}"


def pair_of(key: str) -> str:
    """The id of the pair that a request's key is of."""
    return key.rpartition("/")[0]


def share_of_first(logprobs: Logprobs | None) -> float | None:
    """Probability (0..1) of the first of two choices among both; None if neither has any."""
    if logprobs is None or max(logprobs) == -math.inf:
        return None
    first, second = (math.exp(value - max(logprobs)) for value in logprobs)
    return first / (first + second)


def agreed_winner(preference_in_order: float, preference_swapped: float) -> str:
    """`a` or `b` where both orders prefer it (above 0 is a), else `tie`."""
    if preference_in_order > 0 and preference_swapped > 0:
        return "a"
    if preference_in_order < 0 and preference_swapped < 0:
        return "b"
    return "tie"
