"""Chat completions: the fields of a request, and what is read from an answer."""

import re
from typing import Any

from pydantic import BaseModel, Field

from wim.engines.base import Completion, Request
from wim.engines.reasoning import Written
from wim.engines.remote.content import parts, written
from wim.engines.remote.endings import ending, is_filtered
from wim.engines.remote.thoughts import Thoughts
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


class TokenDetails(BaseModel):
    """What the tokens of an answer were spent on."""

    reasoning_tokens: int | None = None


class Usage(BaseModel):
    """Tokens of a request, as the server counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    completion_tokens_details: TokenDetails | None = None

    def has_hidden(self, text: str | None) -> bool:
        """Whether there was thinking besides a text; if all was, the text is that thinking."""
        details = self.completion_tokens_details
        thought = (details and details.reasoning_tokens) or 0
        return thought > 0 and (not text or thought < (self.completion_tokens or 0))


class Said(BaseModel):
    """A message: its content, or a refusal where the server reports it separately, and thinking.

    Servers have several names for the thinking.
    """

    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking: Any = None
    reasoning_details: Any = None
    thinking_blocks: Any = None

    @property
    def parts(self) -> tuple[str | None, str | None]:
        """The text, and what was thought, each None where there is none. Raises as `parts` does."""
        text, thought = parts(self.content)
        fields = (
            *(self.reasoning_content, self.reasoning, self.thinking),
            *(self.reasoning_details, self.thinking_blocks),
        )
        shown = ("".join(written(each)) for each in fields)
        return self.refusal if text is None else text, thought or next(filter(None, shown), None)


class Answer(BaseModel):
    """One of the answers to a request."""

    message: Said
    finish_reason: str | None = None
    logprobs: Logprobs | None = None

    def written(self, thoughts: Thoughts, usage: Usage | None = None) -> Written:
        """What the model thought and answered; a lone surrogate becomes U+FFFD.

        JSON allows lone surrogates, but tables and tokenizers do not.

        Args:
            thoughts: What is known of the model's thinking.
            usage: The tokens of the response.

        Raises:
            NoAnswer: The server's content filter removed the text, or a part of it is no text.
            Malformed: There is neither a text nor thinking.
        """
        text, thought = self.message.parts
        hidden = usage is not None and usage.has_hidden(text)
        if text is None and is_filtered(self.finish_reason):
            raise NoAnswer("the server's content filter took the answer")
        if text is None and thought is None and not hidden:
            raise Malformed("an answer without a text")
        return thoughts.split(_whole(text or ""), _whole(thought or ""), hidden)


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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
    request: Request,
    model: str,
    sampling: Sampling,
    special: re.Pattern[str],
    room: int = 0,
) -> dict[str, Any]:
    """The fields of a chat completion request; top_k, which the API does not have, is not sent.

    Args:
        request: The conversation.
        model: The model's name on the server.
        sampling: How its answer is sampled.
        special: Matches the special tokens that are escaped in the messages.
        room: Tokens for thinking, beside those of the answer.
    """
    return {
        "model": model,
        "messages": escaped_messages(request.messages, special),
        "max_tokens": sampling.max_new_tokens + room,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": request.seed % SEEDS,
    }


def read_completion(key: str, most: int, thoughts: Thoughts, answer: ChatCompletion) -> Completion:
    """The first answer of a response as a completion; tokens that are not counted are 0.

    Args:
        key: The request's.
        most: The most tokens that the answer may have, those of thinking included.
        thoughts: What is known of the model's thinking.
        answer: The response.

    Raises:
        NoAnswer: The answer was filtered, or ended for a reason that is not known.
        Malformed: It has no text.
    """
    first, usage = answer.choices[0], answer.usage or Usage()
    tokens = usage.completion_tokens or 0
    if is_filtered(first.finish_reason):
        raise NoAnswer("the server's content filter ended the answer")
    written = first.written(thoughts, usage)
    text = written.answer or ""
    reason = ending(first.finish_reason, text or written.reasoning or "", tokens, most)
    if written.reasoning is not None and not text:
        reason = "length"
    return Completion(key, text, reason, usage.prompt_tokens or 0, tokens, written.reasoning)
