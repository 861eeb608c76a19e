"""Prefilled answers over /v1/completions, rendered with the model's chat template.

A chat API begins the answer itself. Servers that run a staged model also continue a text, which is
rendered with the model's own template.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from wim.engines.chat_format import ChatFormat
from wim.engines.remote.chat import (
    Answer,
    AnswerToken,
    ChatCompletion,
    Logprobs,
    Said,
    TopToken,
    Usage,
)
from wim.engines.transport.calls import Calls
from wim.tables.schemas import Message

T = TypeVar("T")
PromptRenderer = Callable[[Sequence[Message], str], str]


def prompt_renderer(chat: ChatFormat) -> PromptRenderer:
    """Renders messages and the answer's first words with a model's chat template.

    The answer itself follows: a model that thinks first has done so.
    """
    tokenizer = chat.tokenizer
    first = tokenizer.bos_token
    # Servers tokenise the text with the tokenizer, which may add the first token itself.
    added = first is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id

    def render(messages: Sequence[Message], opening: str) -> str:
        text = chat.prompt(messages, opening, answer=True)
        return text.removeprefix(first) if added else text

    return render


class TextLogprobs(BaseModel):
    """The tokens of a text completion; `content` where the server gives them as in a chat."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[Mapping[str, float] | None] | None = None
    content: list[AnswerToken] | None = None

    @property
    def as_chat(self) -> Logprobs:
        """The same as a chat completion."""
        if self.content is not None:
            return Logprobs(content=self.content)
        likely = self.top_logprobs or [None] * len(self.tokens)
        return Logprobs(
            content=[
                AnswerToken(
                    token=token,
                    logprob=logprob,
                    top_logprobs=[TopToken(token=k, logprob=v) for k, v in (top or {}).items()],
                )
                for token, logprob, top in zip(
                    self.tokens, self.token_logprobs, likely, strict=False
                )
                if logprob is not None
            ]
        )


class TextAnswer(BaseModel):
    """One text that continues the prompt."""

    text: str
    finish_reason: str | None = None
    logprobs: TextLogprobs | None = None


class TextCompletion(BaseModel):
    """The part of a server's response that is read."""

    choices: list[TextAnswer] = Field(min_length=1)
    usage: Usage | None = None

    @property
    def as_chat(self) -> ChatCompletion:
        """The same as a chat completion."""
        answers = [
            Answer(
                message=Said(content=each.text),
                finish_reason=each.finish_reason,
                logprobs=None if each.logprobs is None else each.logprobs.as_chat,
            )
            for each in self.choices
        ]
        return ChatCompletion(choices=answers, usage=self.usage)


def parse_text_completion(content: bytes) -> ChatCompletion:
    """A response of /v1/completions in the form of a chat completion."""
    return TextCompletion.model_validate_json(content).as_chat


async def ask(calls: Calls, fields: Mapping[str, Any], read: Callable[[ChatCompletion], T]) -> T:
    """Send a chat completion request, or one for a text where the fields have a prompt.

    Raises as `Calls.ask` does.
    """
    texts = "prompt" in fields
    parse = parse_text_completion if texts else ChatCompletion.model_validate_json
    return await calls.ask(fields, parse, read)
