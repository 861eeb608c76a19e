"""A model that is never opened: it has no answer to anything, so nothing is stored."""

from collections.abc import Iterator, Sequence

from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.reward_model_engine import Conversation, Score
from wim.settings.sampling import Sampling


class UnopenedModel:
    """Takes a model's place, whether it generates or scores, where rows are only counted."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """No completion of any request, as if each left no room in the context."""
        yield from (Completion(request.key, "", "context", 0, 0) for request in requests)

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """No probabilities for any request."""
        yield from (ChoiceLogprobs(request.key, None, 0) for request in requests)

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """No score of any conversation."""
        yield from ((place, Score(None, 0)) for place in range(len(conversations)))
