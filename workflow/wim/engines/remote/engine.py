"""The endpoint engine: a model behind an OpenAI-compatible API."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.remote.answers import NumberSource, ReadChoices, unanswered
from wim.engines.remote.chat import (
    SEEDS,
    ChatCompletion,
    Usage,
    read_completion,
    request_fields,
)
from wim.engines.remote.choice_parsing import (
    answer_schema,
    instruction,
    sample_logprobs,
    token_logprobs,
)
from wim.engines.remote.text_completions import PromptRenderer, parse_text_completion
from wim.engines.special_tokens import special_token_pattern
from wim.engines.transport.api_errors import NoAnswer, NoTexts, Refused
from wim.engines.transport.calls import Calls
from wim.provenance.digest import seed_of
from wim.settings.sampling import Sampling

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Room for the opening, a number and marks around it; in JSON, for its braces too.
NUMBER = Sampling(max_new_tokens=10, temperature=0.0)
SAMPLE = Sampling(max_new_tokens=24, temperature=1.0)
# Tokens of a text that continues the opening: a number, and what shows that it ends there.
AFTER_OPENING = 6
# How often `samples` texts are sampled at most, until half of them name a choice.
RESAMPLED = 8
LIKELY_TOKENS = 20
# Answers needed to tell whether a server samples, and the characters one of them must exceed.
ENOUGH = 4
SHORT = 40


class EndpointEngine:
    """A model that a server runs, queried by chat completions.

    The first answers show whether the server gives log-probabilities, and several answers to a
    request. A request that has no answer in the end gives an Unanswered.
    """

    def __init__(
        self,
        calls: Calls,
        model: str,
        samples: int,
        special: Collection[str] = (),
        render_prompt: PromptRenderer | None = None,
    ) -> None:
        """Query nothing yet.

        Args:
            calls: The calls to the model's API.
            model: The model's name on the server.
            samples: Sampled answers to a request for choices, where there are no log-probabilities.
            special: The model's special tokens, as far as they are known.
            render_prompt: Renders a conversation with the model's template, where that is known.
        """
        self.calls = calls
        self.model = model
        self.samples = samples
        self.special = special_token_pattern(special)
        self.render_prompt = render_prompt
        self.gives_logprobs: bool | None = None
        self.gives_several = True
        self.sampling_checked = False

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate."""
        if any(request.opening for request in requests):
            raise ValueError("a chat API cannot make a completion begin in a given way")
        jobs = [partial(self._complete, each, sampling) for each in requests]
        if not sampling.random:
            yield from self.calls.each(jobs)
            return
        questions = {request.key: str(request.messages) for request in requests}
        texts = defaultdict[str, list[str]](list)
        for answer in self.calls.each(jobs):
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
        jobs = [partial(self._choose, each, named) for each in requests]
        # The first answer decides how all following requests are made.
        first = 1 if self.gives_logprobs is None else 0
        yield from self.calls.each(jobs[:first])
        yield from self.calls.each(jobs[first:])

    async def _complete(self, request: Request, sampling: Sampling) -> Completion:
        fields = request_fields(request, self.model, sampling, self.special)
        try:
            return await self._ask(
                fields, partial(read_completion, request.key, self._most(fields))
            )
        except NoAnswer as error:
            return unanswered(request.key, str(error))

    def _most(self, fields: Mapping[str, Any]) -> int:
        """The most tokens that an answer to a request may have."""
        own = self.calls.api.request
        names = ("max_completion_tokens", "max_tokens")
        return int(next((own[name] for name in names if own.get(name)), fields["max_tokens"]))

    async def _ask(self, fields: Mapping[str, Any], read: Callable[[ChatCompletion], T]) -> T:
        """Send a chat completion request, or one for a text where the fields have a prompt."""
        texts = "prompt" in fields
        parse = parse_text_completion if texts else ChatCompletion.model_validate_json
        return await self.calls.ask(fields, parse, read)

    async def _choose(self, request: Request, choices: Sequence[str]) -> ReadChoices:
        try:
            try:
                return await self._read(request, choices)
            except NoTexts as none:
                logger.info("no text completions (%s): numbers are queried in the chat", none)
                self.render_prompt = None
                return await self._read(request, choices)
        except NoAnswer as error:
            return ReadChoices(request.key, None, 0, None, str(error))

    async def _read(self, request: Request, choices: Sequence[str]) -> ReadChoices:
        read = None
        if self.gives_logprobs is not False:
            read = await self._by_logprobs(request, choices)
        return read or await self._by_samples(request, choices)

    async def _by_logprobs(self, request: Request, choices: Sequence[str]) -> ReadChoices | None:
        """None where there are none, or where they do not tell the choices apart."""
        fields = self._choice_fields(request, choices, NUMBER)
        if "prompt" in fields:
            fields["logprobs"] = LIKELY_TOKENS
        else:
            fields |= {"logprobs": True, "top_logprobs": LIKELY_TOKENS}
        try:
            answer = await self._ask(fields, _itself)
        except Refused:
            # The refusal may be about this request; one without log-probabilities will show.
            return None
        found = answer.choices[0].logprobs
        tokens = found.content if found and found.content else []
        if not any(len(token.top_logprobs or []) > 1 for token in tokens):
            if self.gives_logprobs is None:
                logger.info("no log-probabilities: numbers are shares of %d answers", self.samples)
                self.gives_logprobs = False
            return None
        self.gives_logprobs = True
        logprobs = token_logprobs(tokens, choices, request.opening)
        if logprobs is None:
            return None
        return ReadChoices(request.key, logprobs, _prompt_tokens(answer), "logprobs")

    async def _by_samples(self, request: Request, choices: Sequence[str]) -> ReadChoices:
        texts: list[str] = []
        # After an opening, a sample that names no choice is left out, as with log-probabilities;
        # in a chat it is the judge's answer.
        most = self.samples * (RESAMPLED if self._is_prefilled(request) else 1)
        while True:
            sampled, prompt_tokens = await self._samples(request, choices, len(texts))
            texts += sampled
            source: NumberSource = "samples"
            needed = -(-self.samples // 2)
            if self.calls.fields.refused("temperature"):
                # How often the server's own way of sampling repeats an answer is not known.
                texts, source, needed, most = texts[:1], "answer", 1, 1
            try:
                logprobs = sample_logprobs(texts, choices, request.opening, needed)
            except NoAnswer:
                if len(texts) >= most:
                    raise
            else:
                return ReadChoices(request.key, logprobs, prompt_tokens, source)

    async def _samples(
        self, request: Request, choices: Sequence[str], first: int
    ) -> tuple[list[str], int]:
        """The next `samples` sampled answers, numbered from `first`, and the prompt's tokens.

        One where the server takes no temperature.
        """
        texts: list[str] = []
        prompt_tokens = 0
        count = 1 if self.calls.fields.refused("temperature") else self.samples
        if self.gives_several and count > 1:
            with suppress(Refused):
                answer = await self._sampled(request, choices, first, count)
                texts += [each.text for each in answer.choices[:count]]
                prompt_tokens = _prompt_tokens(answer)
        places = range(first + len(texts), first + count)
        single = [self._sampled(request, choices, place, 1) for place in places]
        for answer in await asyncio.gather(*single):
            texts.append(answer.choices[0].text)
            prompt_tokens = _prompt_tokens(answer)
        if single and count > 1:
            # Only now is it known: the server may have refused this request in any form.
            self.gives_several = False
        return texts, prompt_tokens

    async def _sampled(
        self, request: Request, choices: Sequence[str], place: int, count: int
    ) -> ChatCompletion:
        """`count` of a request's sampled answers, numbered from `place`."""
        fields = self._choice_fields(request, choices, SAMPLE)
        fields["seed"] = seed_of(request.seed, place) % SEEDS
        if "messages" in fields:
            fields["response_format"] = answer_schema(choices)
        if count > 1:
            fields["n"] = count
        return await self._ask(fields, _with_texts)

    def _is_prefilled(self, request: Request) -> bool:
        """Whether the answer is forced to begin with the request's opening."""
        return self.render_prompt is not None and bool(request.opening)

    def _choice_fields(
        self, request: Request, choices: Sequence[str], sampling: Sampling
    ) -> dict[str, Any]:
        fields = request_fields(request, self.model, sampling, self.special)
        if self._is_prefilled(request):
            assert self.render_prompt is not None
            fields["prompt"] = self.render_prompt(fields.pop("messages"), request.opening)
            fields["max_tokens"] = AFTER_OPENING
            return fields
        last = fields["messages"][-1]
        last["content"] = f"{last['content']}\n\n{instruction(choices)}"
        return fields


def _itself(answer: ChatCompletion) -> ChatCompletion:
    return answer


def _with_texts(answer: ChatCompletion) -> ChatCompletion:
    """The answer, each part of which has a text. Raises as Answer.text does."""
    for each in answer.choices:
        _ = each.text
    return answer


def _prompt_tokens(answer: ChatCompletion) -> int:
    return (answer.usage or Usage()).prompt_tokens or 0
