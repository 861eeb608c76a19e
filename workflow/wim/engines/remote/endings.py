"""Why an answer ended, in the words of the servers that speak the API.

OpenAI's two words are `stop` and `length`. vLLM, SGLang, llama.cpp, Ollama and `transformers serve`
use them; TGI, LM Studio, Gemini, Anthropic, Mistral, Cohere and watsonx have used their own.
"""

import re

from wim.engines.base import FinishReason
from wim.engines.transport.api_errors import Malformed, NoAnswer

STOP = frozenset(
    [
        "stop",
        "eos",
        "eos_token",
        "eos_found",
        "end_turn",
        "end_of_turn",
        "end_of_text",
        "endoftext",
        "stop_sequence",
        "stop_string",
        "stop_string_found",
        "stop_token",
        "complete",
        "completed",
        "finish",
        "finished",
        "done",
    ]
)
LENGTH = frozenset(
    [
        "length",
        "max_tokens",
        "max_new_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "model_length",
        "max_length",
        "token_limit",
        "max_predicted_tokens_reached",
        "context_length_reached",
        "model_context_window_exceeded",
    ]
)
FILTER = frozenset(
    [
        "content_filter",
        "content_filtered",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "sensitive",
        "refusal",
        "error_toxic",
    ]
)
NOT_SAID = frozenset(("", "null", "none", "finish_reason_unspecified"))


def ending(reason: str | None, text: str, tokens: int, most: int) -> FinishReason:
    """Why an answer ended.

    A server that does not say has sent a whole answer, unless that has all the tokens it may have.

    Args:
        reason: The server's word.
        text: The answer's text.
        tokens: Its tokens as the server counts them, 0 where it does not.
        most: The most that were asked for.

    Raises:
        NoAnswer: A content filter ended it, or a reason that is not known: whether the text is whole
            is not known then.
        Malformed: Neither a reason nor a text.
    """
    word = _plain(reason)
    if word in STOP:
        return "stop"
    if word in LENGTH:
        return "length"
    if is_filtered(reason):
        raise NoAnswer("the server's content filter ended the answer")
    if word not in NOT_SAID:
        raise NoAnswer(f"the answer ended by '{reason}', which says neither stop nor length")
    if not text:
        raise Malformed("an answer without a text or a reason for its end")
    return "length" if tokens >= most else "stop"


def is_filtered(reason: str | None) -> bool:
    """Whether a content filter ended the answer."""
    return _plain(reason) in FILTER


def _plain(reason: str | None) -> str:
    """A reason in lower case with _ between its words: eosFound, MAX_TOKENS and end-turn alike."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", (reason or "").strip())
    return re.sub(r"[\s-]+", "_", words).lower()
