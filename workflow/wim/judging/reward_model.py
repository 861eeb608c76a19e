"""A reward model as a judge: a number for each candidate, and no critique."""

import math
from collections.abc import Sequence

from wim.engines.reward_model_engine import Conversation, Score
from wim.engines.stored_scores import StoredScores
from wim.engines.turn_format import Turn
from wim.provenance.digest import digest_of
from wim.settings.judging import JudgeSettings
from wim.tables.ratings import Status
from wim.tables.schemas import CUT, Candidate, Rating

SOURCE = "reward_model"


class RewardModelJudge:
    """A reward model as a judge. `digest` is its identity: the model and the method."""

    def __init__(
        self, name: str, scores: StoredScores, settings: JudgeSettings, model_digest: str
    ) -> None:
        self.name = name
        self.scores = scores
        self.digest = digest_of({"model": model_digest, "settings": {"method": settings.method}})

    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """A rating for each candidate, in their order.

        The score is `rating_expected`: log-odds against another answer, on no fixed scale. A
        conversation that exceeds the context is an error, and so is a score that is not finite.
        """
        scores = self.scores.scores([_conversation(candidate) for candidate in candidates])
        return [
            self._rating(candidate, score)
            for candidate, score in zip(candidates, scores, strict=True)
        ]

    def _rating(self, candidate: Candidate, score: Score) -> Rating:
        usable = score.value is not None and math.isfinite(score.value)
        if score.reason:
            raw = f"(no answer: {score.reason})"
        elif score.value is None:
            raw = f"(no answer: the conversation exceeds the context, with {score.tokens} tokens)"
        else:
            raw = repr(score.value)
        return Rating(
            candidate_id=candidate.candidate_id,
            judge=self.name,
            status=Status.OK if usable else Status.ERROR,
            rating=None,
            rating_expected=score.value if usable else None,
            wim=None,
            nothing_missing_logprob=None,
            raw=raw,
            attempts=1,
            tokens=0,
            judge_digest=self.digest,
            rating_source=SOURCE if usable else None,
        )


def _conversation(candidate: Candidate) -> Conversation:
    """What is scored: the answer as judges read it, without what was thought before it."""
    return Conversation(
        tuple(candidate.context),
        Turn(
            candidate.completion,
            finished=candidate.finish_reason != CUT,
            drawn=candidate.tokens,
        ),
    )
