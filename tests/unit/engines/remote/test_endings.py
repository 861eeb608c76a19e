"""Why an answer ended, in the words of many servers."""

import pytest

from support.api_server import ApiServer, Reply, said
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Request
from wim.engines.remote.engine import EndpointEngine
from wim.engines.transport.calls import Calls
from wim.settings.models import ApiSettings
from wim.settings.sampling import Sampling

WHOLE = "A source for the claim is missing."
MOST = 7
# What servers have sent as finish_reason of a whole answer, and of one that was cut.
STOPS = [
    *("stop", "eos", "eos_token", "STOP", "end_turn", "stop_sequence", "COMPLETE", "eosFound"),
    *("stopStringFound", "endoftext", "end-of-turn", "FINISH", "</s>", "<|im_end|>", "<|eot_id|>"),
    *("FinishReason.STOP", "FINISH_REASON_STOP", "stopped", "normal"),
]
CUTS = [
    *("length", "max_tokens", "MAX_TOKENS", "model_length", "maxPredictedTokensReached"),
    *("model_context_window_exceeded", "max_output_tokens", "truncated"),
]


def answered(reply: Reply, **api: object) -> Completion:
    request = Request("k", ({"role": "user", "content": "What is missing?"},), 3)
    with ApiServer(lambda *_: reply) as server:
        settings = ApiSettings.model_validate({"url": server.url, "attempts": 2} | api)
        far = EndpointEngine(Calls("far", server.url, settings, first_wait=0.001), "far-1", 4)
        (answer,) = far.generate([request], Sampling(max_new_tokens=MOST, temperature=0))
    return answer


@pytest.mark.parametrize("reason", STOPS)
def test_a_whole_answer_is_known_by_the_words_of_any_server(reason) -> None:
    assert answered(said(WHOLE, reason)) == Completion("k", WHOLE, "stop", 11, 5)


@pytest.mark.parametrize("reason", CUTS)
def test_a_cut_answer_is_known_by_the_words_of_any_server(reason) -> None:
    assert answered(said("A source for", reason)).finish_reason == "length"


@pytest.mark.parametrize("reason", [None, "", "null", "None"])
def test_a_server_that_does_not_say_has_sent_a_whole_text(reason) -> None:
    assert answered(said(WHOLE, reason)) == Completion("k", WHOLE, "stop", 11, 5)


def without_ending(tokens: int | None) -> Reply:
    """An answer with no finish_reason at all, of so many tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": WHOLE}}
    usage = {"prompt_tokens": 11, "completion_tokens": tokens}
    return Reply({"choices": [choice], "usage": usage})


@pytest.mark.parametrize(
    ("tokens", "ended"), [(None, "stop"), (0, "stop"), (MOST - 1, "stop"), (MOST, "length")]
)
def test_without_a_word_an_answer_of_all_the_tokens_it_may_have_was_cut(tokens, ended) -> None:
    assert answered(without_ending(tokens)).finish_reason == ended


def test_the_most_tokens_are_those_that_the_models_own_settings_ask_for() -> None:
    own = {"max_completion_tokens": 20}
    assert answered(without_ending(MOST), request=own).finish_reason == "stop"
    assert answered(without_ending(20), request=own).finish_reason == "length"


@pytest.mark.parametrize("reason", ["SAFETY", "content_filter", "RECITATION", "sensitive"])
def test_a_filter_leaves_no_answer_by_any_name(reason) -> None:
    for text in ("The first words", None):
        answer = answered(said(text, reason))
        assert isinstance(answer, Unanswered)
        assert "content filter" in answer.reason


@pytest.mark.parametrize("reason", ["abort", "network_error", "tool_calls", "what"])
def test_an_ending_that_is_not_known_is_no_answer_and_is_named(reason) -> None:
    answer = answered(said(WHOLE, reason))
    assert isinstance(answer, Unanswered)
    assert f"'{reason}'" in answer.reason


def test_neither_a_text_nor_an_ending_is_asked_for_again() -> None:
    answer = answered(said("", None))
    assert isinstance(answer, Unanswered)
    assert "at attempt 2" in answer.reason
