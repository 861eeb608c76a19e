"""Text completions, for models whose chat template is at hand: an answer begins in a given way.

A chat API opens the answer itself. The servers that run a staged model also go on from a text
(/v1/completions), which the model's own template writes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from wim.engines.remote.chat import (
    Answer,
    AnswerToken,
    ChatCompletion,
    Logprobs,
    Said,
    TopToken,
    Usage,
)
from wim.tables.schemas import Message

Written = Callable[[Sequence[Message], str], str]


def written_by(tokenizer: Any) -> Written:
    """What writes messages and the answer's first words as a tokenizer's template has them."""
    first = tokenizer.bos_token
    # Servers tokenise a text as the tokenizer does of itself.
    added = first is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id

    def written(messages: Sequence[Message], opening: str) -> str:
        conversation = str(
            tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        )
        return (conversation.removeprefix(first) if added else conversation) + opening

    return written


class TextLogprobs(BaseModel):
    """The tokens of a text completion; `content` where the server gives them as in a chat."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[Mapping[str, float] | None] | None = None
    content: list[AnswerToken] | None = None

    @property
    def as_chat(self) -> Logprobs:
        """The same in the form of a chat completion."""
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
    """One text that goes on from the prompt."""

    text: str
    finish_reason: str | None = None
    logprobs: TextLogprobs | None = None


class TextCompletion(BaseModel):
    """What a server sends back, as far as it is read."""

    choices: list[TextAnswer] = Field(min_length=1)
    usage: Usage | None = None

    @property
    def as_chat(self) -> ChatCompletion:
        """The same in the form of a chat completion."""
        answers = [
            Answer(
                message=Said(content=each.text),
                finish_reason=each.finish_reason,
                logprobs=None if each.logprobs is None else each.logprobs.as_chat,
            )
            for each in self.choices
        ]
        return ChatCompletion(choices=answers, usage=self.usage)
