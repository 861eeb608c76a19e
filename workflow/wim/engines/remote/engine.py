"""The endpoint engine: a model behind an OpenAI-compatible API."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from wim.engines.answers import ReadChoices, unanswered
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.reasoning import Markers
from wim.engines.remote.chat import read_completion, request_fields
from wim.engines.remote.choosing import Chooser
from wim.engines.remote.text_completions import PromptRenderer, ask
from wim.engines.remote.thoughts import Thoughts
from wim.engines.special_tokens import special_token_pattern
from wim.engines.transport.api_errors import NoAnswer
from wim.engines.transport.calls import Calls
from wim.settings.models import Thinking
from wim.settings.sampling import Sampling

logger = logging.getLogger(__name__)
# Answers needed to tell whether a server samples, and the characters one of them must exceed.
ENOUGH = 4
SHORT = 40


class EndpointEngine:
    """A model that a server runs, queried by chat completions.

    A request that has no answer in the end gives an Unanswered.
    """

    def __init__(
        self,
        calls: Calls,
        model: str,
        samples: int,
        special: Collection[str] = (),
        render_prompt: PromptRenderer | None = None,
        thinking: Thinking = None,
        opened: Markers | None = None,
    ) -> None:
        """Query nothing yet.

        Args:
            calls: The calls to the model's API.
            model: The model's name on the server.
            samples: Sampled answers to a request for choices, where there are no log-probabilities.
            special: The model's special tokens, as far as they are known.
            render_prompt: Renders a conversation with the model's template, where that is known.
            thinking: Whether the model is to think first; see ModelSource.thinking.
            opened: The markers whose opening that template ends a prompt with.
        """
        self.calls = calls
        self.model = model
        self.special = special_token_pattern(special)
        self.thoughts = Thoughts(calls.name, thinking, opened)
        self.chooser = Chooser(calls, model, samples, self.special, self.thoughts, render_prompt)
        self.sampling_checked = False

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate."""
        if any(request.opening for request in requests):
            raise ValueError("a chat API cannot make a completion begin in a given way")
        jobs = [partial(self._complete, each, sampling) for each in requests]
        answers = self.thoughts.settled(self.calls.each(jobs))
        if not sampling.random:
            yield from answers
            return
        questions = {request.key: str(request.messages) for request in requests}
        texts = defaultdict[str, list[str]](list)
        for answer in answers:
            texts[questions[answer.key]].append(answer.text)
            yield answer
        self._warn_unless_sampled(texts.values())

    def _warn_unless_sampled(self, texts: Iterable[Sequence[str]]) -> None:
        """Warn if the first answers show that seeds do not matter. texts: answers by question."""
        repeated = [each for each in texts if len(each) > 1 and max(map(len, each)) > SHORT]
        answers = sum(map(len, repeated))
        if self.sampling_checked or answers < ENOUGH:
            return
        self.sampling_checked = True
        if all(len(set(each)) == 1 for each in repeated):
            logger.warning(
                "models.%s: a temperature is set, and all %d answers to %d questions are word for "
                "word alike; does the server sample? (docs/guide/endpoints.md, A served model)",
                self.calls.name,
                answers,
                len(repeated),
            )

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs.

        Where the model's template is known, they are those of the text that continues the opening.
        Otherwise the model is instructed to answer with one of the choices, and they are relative
        to the choices, without outer white space. For a single choice they are None.
        """
        if len(choices) == 1:
            yield from (ReadChoices(request.key, None, 0) for request in requests)
            return
        named = [choice.strip() for choice in choices]
        jobs = [partial(self.chooser.choose, each, named) for each in requests]
        # The first answer decides how all following requests are made.
        first = 1 if self.chooser.gives_logprobs is None else 0
        yield from self.calls.each(jobs[:first])
        yield from self.calls.each(jobs[first:])

    async def _complete(self, request: Request, sampling: Sampling) -> Completion:
        fields = request_fields(request, self.model, sampling, self.special, self.thoughts.room)
        read = partial(read_completion, request.key, self._most(fields), self.thoughts)
        try:
            return await ask(self.calls, fields | self.thoughts.fields, read)
        except NoAnswer as error:
            return unanswered(request.key, str(error))

    def _most(self, fields: Mapping[str, Any]) -> int:
        """The most tokens that an answer to a request may have."""
        own = self.calls.api.request
        names = ("max_completion_tokens", "max_tokens")
        return int(next((own[name] for name in names if own.get(name)), fields["max_tokens"]))
