"""Why an answer ended, in the words of the servers that speak the API.

OpenAI's two words are `stop` and `length`. vLLM, SGLang, llama.cpp, Ollama and `transformers serve`
use them; TGI, LM Studio, Gemini, Anthropic, Mistral, Cohere and watsonx have used their own.
"""

import re

from wim.engines.base import FinishReason
from wim.engines.transport.api_errors import Malformed, NoAnswer

STOP = re.compile(
    r"stop(ped|_(token|sequence|string)(_(found|id))?)?|eos(_token|_found)?|eot(_id)?|/?s|im_end"
    r"|end(ed|_turn|_of_turn|_of_text)?|endoftext|completed?|finish(ed)?|done|normal"
)
LENGTH = re.compile(
    r"(max_|model_)?length|truncated|(token_)?limit"
    r"|max_((new|output|completion|predicted)_)?tokens(_reached)?|context_length_reached|model_context_window_exceeded"
)
FILTER = re.compile(
    r"content_filter(ed)?|safety|recitation|blocklist|prohibited_content|spii|sensitive|refusal"
    r"|error_toxic"
)
NOT_SAID = re.compile(r"|null|none|finish_reason_unspecified")


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
    if STOP.fullmatch(word):
        return "stop"
    if LENGTH.fullmatch(word):
        return "length"
    if is_filtered(reason):
        raise NoAnswer("the server's content filter ended the answer")
    if not NOT_SAID.fullmatch(word):
        raise NoAnswer(f"the answer ended by '{reason}', which says neither stop nor length")
    if not text:
        raise Malformed("an answer without a text or a reason for its end")
    return "length" if tokens >= most else "stop"


def is_filtered(reason: str | None) -> bool:
    """Whether a content filter ended the answer."""
    return FILTER.fullmatch(_plain(reason)) is not None


def _plain(reason: str | None) -> str:
    """A reason in lower case with _ between its words: eosFound, MAX_TOKENS and end-turn alike.

    Without the brackets of a token and the name of the list that it is from: <|eot_id|> is eot_id,
    and FinishReason.STOP is stop.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", (reason or "").strip().strip("<|>"))
    word = re.sub(r"[\s-]+", "_", words).lower()
    return word if NOT_SAID.fullmatch(word) else re.sub(r"^finish_?reason[._]", "", word)
