"""Which of a few short answers a server's model gives: by log-probabilities, else by samples."""

import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from wim.engines.answers import NumberSource, ReadChoices
from wim.engines.base import Request
from wim.engines.chat_format import Refusal
from wim.engines.remote.chat import (
    SEEDS,
    AnswerToken,
    ChatCompletion,
    Usage,
    request_fields,
)
from wim.engines.remote.choice_parsing import (
    answer_schema,
    instruction,
    sample_logprobs,
    token_logprobs,
)
from wim.engines.remote.text_completions import PromptRenderer, ask
from wim.engines.remote.thoughts import Thoughts, after_thinking
from wim.engines.transport.api_errors import NoAnswer, NoTexts, Refused
from wim.engines.transport.calls import Calls
from wim.provenance.digest import seed_of
from wim.settings.sampling import Sampling

logger = logging.getLogger(__name__)
# Room for the opening, a number and marks around it; in JSON, for its braces too.
NUMBER = Sampling(max_new_tokens=10, temperature=0.0)
SAMPLE = Sampling(max_new_tokens=24, temperature=1.0)
# Tokens of a text that continues the opening: a number, and what shows that it ends there.
AFTER_OPENING = 6
# How often `samples` texts are sampled at most, until half of them name a choice.
RESAMPLED = 8
LIKELY_TOKENS = 20


class Chooser:
    """The choices of a model that a server runs.

    The first answers show whether the server gives log-probabilities, and several answers to a
    request.
    """

    def __init__(
        self,
        calls: Calls,
        model: str,
        samples: int,
        special: re.Pattern[str],
        thoughts: Thoughts,
        render_prompt: PromptRenderer | None = None,
    ) -> None:
        """Query nothing yet.

        Args:
            calls: The calls to the model's API.
            model: The model's name on the server.
            samples: Sampled answers to a request, where there are no log-probabilities.
            special: Matches the special tokens that are escaped in messages.
            thoughts: What is known of the model's thinking.
            render_prompt: Renders a conversation with the model's template, where that is known.
        """
        self.calls = calls
        self.model = model
        self.samples = samples
        self.special = special
        self.thoughts = thoughts
        self.render_prompt = render_prompt
        self.gives_logprobs: bool | None = None
        self.gives_several = True

    async def choose(self, request: Request, choices: Sequence[str]) -> ReadChoices:
        """The log-probabilities of choices, without outer white space; see choice_logprobs."""
        try:
            try:
                return await self._read(request, choices)
            except NoTexts as none:
                logger.info("no text completions (%s): numbers are queried in the chat", none)
                self.render_prompt = None
                return await self._read(request, choices)
        except (NoAnswer, Refusal) as error:
            return ReadChoices(request.key, None, 0, None, str(error))

    async def _read(self, request: Request, choices: Sequence[str]) -> ReadChoices:
        read = None
        if self.gives_logprobs is not False:
            read = await self._by_logprobs(request, choices)
        return read or await self._by_samples(request, choices)

    async def _by_logprobs(self, request: Request, choices: Sequence[str]) -> ReadChoices | None:
        """None where there are none, or where they do not tell the choices apart."""
        more: dict[str, Any] = {"logprobs": True, "top_logprobs": LIKELY_TOKENS}
        if self._is_prefilled(request):
            more = {"logprobs": LIKELY_TOKENS}
        try:
            answer = await self._asked(request, choices, NUMBER, more)
        except Refused:
            # The refusal may be about this request; one without log-probabilities will show.
            return None
        first = answer.choices[0]
        tokens = (first.logprobs and first.logprobs.content) or []
        if not any(len(token.top_logprobs or []) > 1 for token in tokens):
            if self.gives_logprobs is None:
                logger.info("no log-probabilities: numbers are shares of %d answers", self.samples)
                self.gives_logprobs = False
            return None
        self.gives_logprobs = True
        logprobs = token_logprobs(self._after_thinking(answer, tokens), choices, request.opening)
        if logprobs is None:
            return None
        return ReadChoices(request.key, logprobs, _prompt_tokens(answer), "logprobs")

    def _after_thinking(
        self, answer: ChatCompletion, tokens: Sequence[AnswerToken]
    ) -> Sequence[AnswerToken]:
        written = answer.choices[0].written(self.thoughts, answer.usage)
        return tokens[after_thinking([token.token for token in tokens], written) :]

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
                texts += self._texts(answer)[:count]
                prompt_tokens = _prompt_tokens(answer)
        places = range(first + len(texts), first + count)
        single = [self._sampled(request, choices, place, 1) for place in places]
        for answer in await asyncio.gather(*single):
            texts.append(self._texts(answer)[0])
            prompt_tokens = _prompt_tokens(answer)
        if single and count > 1:
            # Only now is it known: the server may have refused this request in any form.
            self.gives_several = False
        return texts, prompt_tokens

    async def _sampled(
        self, request: Request, choices: Sequence[str], place: int, count: int
    ) -> ChatCompletion:
        """`count` of a request's sampled answers, numbered from `place`."""
        more: dict[str, Any] = {"seed": seed_of(request.seed, place) % SEEDS}
        if not self._is_prefilled(request):
            more["response_format"] = answer_schema(choices)
        if count > 1:
            more["n"] = count
        return await self._asked(request, choices, SAMPLE, more)

    async def _asked(
        self, request: Request, choices: Sequence[str], sampling: Sampling, more: dict[str, Any]
    ) -> ChatCompletion:
        """The response to a request, and with more room if its answers are nothing but thinking.

        more: further fields.
        """

        def read(answer: ChatCompletion) -> ChatCompletion:
            self._texts(answer)
            return answer

        while True:
            room = 0 if self._is_prefilled(request) else self.thoughts.room_of_number
            fields = self._fields(request, choices, sampling, room)
            answer = await ask(self.calls, fields | more, read)
            if all(self._texts(answer)) or self.thoughts.room_of_number <= room:
                return answer

    def _texts(self, answer: ChatCompletion) -> list[str]:
        """The texts of a response without thinking; raises as Answer.written does."""
        written = (each.written(self.thoughts, answer.usage) for each in answer.choices)
        return [each.answer or "" for each in written]

    def _is_prefilled(self, request: Request) -> bool:
        """Whether the answer is forced to begin with the request's opening."""
        return self.render_prompt is not None and bool(request.opening)

    def _fields(
        self, request: Request, choices: Sequence[str], sampling: Sampling, room: int
    ) -> dict[str, Any]:
        fields = request_fields(request, self.model, sampling, self.special, room)
        if self._is_prefilled(request):
            assert self.render_prompt is not None
            fields["prompt"] = self.render_prompt(fields.pop("messages"), request.opening)
            fields["max_tokens"] = AFTER_OPENING
            return fields
        last = fields["messages"][-1]
        last["content"] = f"{last['content']}\n\n{instruction(choices)}"
        return fields | self.thoughts.fields


def _prompt_tokens(answer: ChatCompletion) -> int:
    return (answer.usage or Usage()).prompt_tokens or 0
