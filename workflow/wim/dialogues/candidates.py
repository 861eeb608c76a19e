"""The one place that makes a candidate of an answer."""

from collections.abc import Sequence

from wim.engines.base import Completion
from wim.tables.schemas import Candidate, Message

ACTOR, PARTNER = "actor", "partner"


def candidate_of(
    answer: Completion,
    *,
    prompt_id: str,
    dialogue_id: str,
    turn: int,
    speaker: str,
    sample: int,
    context: Sequence[Message],
    seed: int,
    model_digest: str,
    judged: bool = True,
) -> Candidate:
    """The candidate that an answer is, which no later turn continues.

    Args:
        answer: Its key is the candidate's id.
        prompt_id: The prompt that the dialogue began with.
        dialogue_id: Candidates of one dialogue and turn share their context.
        turn: Counted from 1.
        speaker: The name of who speaks.
        sample: The number of the sample of this turn, counted from 0.
        context: The messages before the answer.
        seed: What the answer was sampled with.
        model_digest: The model that answered.
        judged: Whether judges rate it.
    """
    return Candidate(
        candidate_id=answer.key,
        prompt_id=prompt_id,
        dialogue_id=dialogue_id,
        turn=turn,
        speaker=speaker,
        sample=sample,
        context=list(context),
        completion=answer.text,
        judged=judged and not answer.never_answered,
        continued=False,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        seed=seed,
        model_digest=model_digest,
        reasoning=answer.reasoning,
        tokens=None if answer.tokens is None else list(answer.tokens),
    )
