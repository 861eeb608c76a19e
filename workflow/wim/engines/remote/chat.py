"""Chat completions: the fields of a request, and what is read from an answer."""

import re
from typing import Any

from pydantic import BaseModel, Field

from wim.engines.base import Completion, Request
from wim.engines.remote.content import parts
from wim.engines.remote.endings import ending, is_filtered
from wim.engines.special_tokens import escaped_messages
from wim.engines.transport.api_errors import Malformed, NoAnswer
from wim.settings.sampling import Sampling

# Seeds below this are accepted by every server.
SEEDS = 2**31


class TopToken(BaseModel):
    """A token that was likely at a position."""

    token: str
    logprob: float


class AnswerToken(TopToken):
    """A token of the answer, and those that were likely at its position."""

    top_logprobs: list[TopToken] | None = None


class Logprobs(BaseModel):
    """The tokens of an answer, where the server gives them."""

    content: list[AnswerToken] | None = None


class Said(BaseModel):
    """The content of an answer, or of a refusal where the server reports it separately."""

    content: str | list[Any] | None = None
    refusal: str | None = None


class Answer(BaseModel):
    """One of the answers to a request."""

    message: Said
    finish_reason: str | None = None
    logprobs: Logprobs | None = None

    @property
    def text(self) -> str:
        """The text, which may be empty; a lone surrogate becomes U+FFFD.

        JSON allows lone surrogates, but tables and tokenizers do not.

        Raises:
            NoAnswer: The server's content filter removed the text, or a part of it is no text.
            Malformed: There is no text.
        """
        said, _ = parts(self.message.content)
        if said is None:
            said = self.message.refusal
        if said is None and is_filtered(self.finish_reason):
            raise NoAnswer("the server's content filter took the answer")
        if said is None:
            raise Malformed("an answer without a text")
        return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Usage(BaseModel):
    """Tokens of a request, as the server counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatCompletion(BaseModel):
    """The part of a server's response that is read."""

    choices: list[Answer] = Field(min_length=1)
    usage: Usage | None = None

    @property
    def tokens(self) -> int | None:
        """Tokens of the request and its answers, where the server counts them."""
        if self.usage is None:
            return None
        return (self.usage.prompt_tokens or 0) + (self.usage.completion_tokens or 0)


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


def read_completion(key: str, most: int, answer: ChatCompletion) -> Completion:
    """The first answer of a response as a completion; tokens that are not counted are 0.

    Args:
        key: The request's.
        most: The most tokens that the answer may have.
        answer: The response.

    Raises:
        NoAnswer: The answer was filtered, or ended for a reason that is not known.
        Malformed: It has no text.
    """
    first, usage = answer.choices[0], answer.usage or Usage()
    tokens = usage.completion_tokens or 0
    if is_filtered(first.finish_reason):
        raise NoAnswer("the server's content filter ended the answer")
    text = first.text.strip()
    reason = ending(first.finish_reason, text, tokens, most)
    return Completion(key, text, reason, usage.prompt_tokens or 0, tokens)
