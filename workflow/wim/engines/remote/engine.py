"""The endpoint engine: a model behind an OpenAI-compatible API."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.remote.answers import ReadChoices, unanswered
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
# Room for the opening words, a number and marks around it; in JSON, for its braces too.
NUMBER = Sampling(max_new_tokens=10, temperature=0.0)
SAMPLE = Sampling(max_new_tokens=24, temperature=1.0)
# Tokens of a text that goes on from the opening: a number, and what shows that it is alone.
GOING_ON = 6
# How often `samples` texts are drawn at most, until half as many name a choice.
REDRAWN = 8
LIKELY_TOKENS = 20
# Answers that tell whether a server samples, and how long (characters) one of them must be.
ENOUGH = 4
SHORT = 40


class EndpointEngine:
    """A model that a server runs, asked by chat completions.

    Whether the server gives log-probabilities and several answers to a request is found out
    at the first answers. A request that stays without one gives an Unanswered. model: the name
    that the server knows. special: the model's special tokens, as far as they are known.
    render_prompt: renders a conversation with its template, where that is known.
    """

    def __init__(
        self,
        calls: Calls,
        model: str,
        samples: int,
        special: Collection[str] = (),
        render_prompt: PromptRenderer | None = None,
    ) -> None:
        self.calls = calls
        self.model = model
        self.samples = samples
        self.special = special_token_pattern(special)
        self.render_prompt = render_prompt
        self.gives_logprobs: bool | None = None
        self.gives_several = True
        self.drawing_checked = False

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
        self._warn_unless_drawn(texts.values())

    def _warn_unless_drawn(self, texts: Iterable[Sequence[str]]) -> None:
        """Find out from the first answers whether seeds matter. texts: by question."""
        repeated = [each for each in texts if len(each) > 1 and max(map(len, each)) > SHORT]
        answers = sum(map(len, repeated))
        if self.drawing_checked or answers < ENOUGH:
            return
        self.drawing_checked = True
        if all(len(set(each)) == 1 for each in repeated):
            logger.warning(
                "models.%s: a temperature is set, and all %d answers to %d questions are word for "
                "word alike; does the server sample? (docs/guide/endpoints.md, A served model)",
                *(self.calls.name, answers, len(repeated)),
            )

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs.

        Where the model's template is known, they are read where the answer goes on from its
        opening. Elsewhere probabilities are those among the choices when the model is asked for
        one of them; they leave out outer white space. Of a single choice they could say nothing,
        and are None.
        """
        if len(choices) == 1:
            yield from (ReadChoices(request.key, None, 0) for request in requests)
            return
        named = [choice.strip() for choice in choices]
        jobs = [partial(self._choose, each, named) for each in requests]
        # All following requests are made as the first answer shows.
        first = 1 if self.gives_logprobs is None else 0
        yield from self.calls.each(jobs[:first])
        yield from self.calls.each(jobs[first:])

    async def _complete(self, request: Request, sampling: Sampling) -> Completion:
        fields = request_fields(request, self.model, sampling, self.special)
        try:
            return await self._ask(fields, partial(read_completion, request.key))
        except NoAnswer as error:
            return unanswered(request.key, str(error))

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
                logger.info("no text completions (%s): numbers are asked for in the chat", none)
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
        """None where they cannot be had, or do not tell the choices apart."""
        fields = self._asked(request, choices, NUMBER)
        if "prompt" in fields:
            fields["logprobs"] = LIKELY_TOKENS
        else:
            fields |= {"logprobs": True, "top_logprobs": LIKELY_TOKENS}
        try:
            answer = await self._ask(fields, _itself)
        except Refused:
            # It may be about this request; one without log-probabilities will show.
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
        # Behind the opening a text that names no choice is a draw to leave out, as where
        # probabilities are read; in a chat it is the judge's answer.
        most = self.samples * (REDRAWN if self._goes_on(request) else 1)
        while True:
            drawn, prompt_tokens = await self._drawn(request, choices, len(texts))
            texts += drawn
            try:
                logprobs = sample_logprobs(texts, choices, request.opening, -(-self.samples // 2))
            except NoAnswer:
                if len(texts) >= most:
                    raise
            else:
                return ReadChoices(request.key, logprobs, prompt_tokens, "samples")

    async def _drawn(
        self, request: Request, choices: Sequence[str], first: int
    ) -> tuple[list[str], int]:
        """Sampled answers, `samples` of them from a place in their order on; the prompt's tokens."""
        texts: list[str] = []
        prompt_tokens = 0
        if self.gives_several:
            with suppress(Refused):
                answer = await self._sampled(request, choices, first, self.samples)
                texts += [each.text for each in answer.choices[: self.samples]]
                prompt_tokens = _prompt_tokens(answer)
        places = range(first + len(texts), first + self.samples)
        single = [self._sampled(request, choices, place, 1) for place in places]
        for answer in await asyncio.gather(*single):
            texts.append(answer.choices[0].text)
            prompt_tokens = _prompt_tokens(answer)
        if single:
            # Known only now: what was refused may have been this request in any form.
            self.gives_several = False
        return texts, prompt_tokens

    async def _sampled(
        self, request: Request, choices: Sequence[str], place: int, count: int
    ) -> ChatCompletion:
        """Some of a request's sampled answers, from a place in their order on."""
        fields = self._asked(request, choices, SAMPLE)
        fields["seed"] = seed_of(request.seed, place) % SEEDS
        if "messages" in fields:
            fields["response_format"] = answer_schema(choices)
        if count > 1:
            fields["n"] = count
        return await self._ask(fields, _with_texts)

    def _goes_on(self, request: Request) -> bool:
        """Whether the answer is made to begin with the request's opening."""
        return self.render_prompt is not None and bool(request.opening)

    def _asked(
        self, request: Request, choices: Sequence[str], sampling: Sampling
    ) -> dict[str, Any]:
        fields = request_fields(request, self.model, sampling, self.special)
        if self._goes_on(request):
            assert self.render_prompt is not None
            fields["prompt"] = self.render_prompt(fields.pop("messages"), request.opening)
            fields["max_tokens"] = GOING_ON
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
    return (answer.usage or Usage()).prompt_tokens
