"""Chat completions: what is asked, and what the answers say."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from wim.engines.base import Completion, FinishReason, Request
from wim.engines.special_tokens import escaped_messages
from wim.settings.sampling import Sampling

# What every server takes for a seed.
SEEDS = 2**31
FINISHED: Mapping[str | None, FinishReason] = {"stop": "stop", "length": "length"}


class TopToken(BaseModel):
    """A token that might have stood at a place."""

    token: str
    logprob: float


class AnswerToken(TopToken):
    """A token of the answer, and those that were likely in its place."""

    top_logprobs: list[TopToken] | None = None


class Logprobs(BaseModel):
    """The tokens of an answer, where the server gives them."""

    content: list[AnswerToken] | None = None


class Said(BaseModel):
    """The text of an answer, or of a refusal that the server tells apart."""

    content: str | None = None
    refusal: str | None = None


class Answer(BaseModel):
    """One answer of those that were asked for."""

    message: Said
    finish_reason: str | None = None
    logprobs: Logprobs | None = None

    @property
    def text(self) -> str:
        """The words; raises Malformed if there are none, not even an empty text.

        A lone surrogate, which JSON lets through and no table or tokenizer takes, becomes U+FFFD.
        """
        said = self.message.content
        if said is None:
            said = self.message.refusal
        if said is None and self.finish_reason == "content_filter":
            raise NoAnswer("the server's content filter took the answer")
        if said is None:
            raise Malformed("an answer without a text")
        return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Usage(BaseModel):
    """Tokens that a request took, as the server counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatCompletion(BaseModel):
    """What a server sends back, as far as it is read."""

    choices: list[Answer] = Field(min_length=1)
    usage: Usage | None = None


class NoAnswer(Exception):
    """A request stays without an answer, and asking again would not change it; says why."""


class Refused(NoAnswer):
    """The server refuses a request as it is; says why."""


class NoTexts(NoAnswer):
    """The server has no page for text completions."""


class Malformed(Exception):
    """What the server sent cannot be an answer; says what it was."""


def request_fields(
    request: Request, model: str, sampling: Sampling, special: re.Pattern[str]
) -> dict[str, Any]:
    """The fields of a chat completion request; top_k, which the API does not have, is not sent.

    special: matches the special tokens that are escaped in the messages.
    """
    return {
        "model": model,
        "messages": escaped_messages(request.messages, special),
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": request.seed % SEEDS,
    }


def read_completion(key: str, answer: ChatCompletion) -> Completion:
    """The completion that a server's answer is.

    Raises NoAnswer for one that was filtered or ended otherwise than by itself or its length,
    Malformed for one without a text. Tokens that the server does not count are 0.
    """
    first, usage = answer.choices[0], answer.usage or Usage()
    if first.finish_reason == "content_filter":
        raise NoAnswer("the server's content filter ended the answer")
    reason = FINISHED.get(first.finish_reason)
    text = first.text.strip()
    if reason is None:
        raise NoAnswer(f"the answer ended by '{first.finish_reason}', not by stop or length")
    return Completion(key, text, reason, usage.prompt_tokens, usage.completion_tokens)
