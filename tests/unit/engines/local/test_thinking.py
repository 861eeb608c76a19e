"""A local model that thinks first: what it thought is never a part of its answer."""

from pathlib import Path
from typing import Any

import pytest

from support.tiny_model import SENTENCES
from wim.engines.base import Completion, Request
from wim.engines.chat_format import ChatFormat
from wim.engines.local.engine import LocalEngine
from wim.settings.models import ModelSource, thinking_room
from wim.settings.sampling import Sampling

QUESTIONS = [Request(text, ({"role": "user", "content": text},)) for text in SENTENCES]


@pytest.fixture(scope="module")
def engine(thinking_model: Path) -> LocalEngine:
    return LocalEngine(thinking_model, "float32")


def answers(engine: LocalEngine, thinking: Any, new_tokens: int) -> list[Completion]:
    chat = engine.chat
    engine.chat = ChatFormat(chat.tokenizer, chat.ends, thinking)
    try:
        sampling = Sampling(max_new_tokens=new_tokens, temperature=0)
        return list(engine.generate(QUESTIONS, sampling))
    finally:
        engine.chat = chat


def test_reasoning_and_answer_are_apart(engine: LocalEngine) -> None:
    found = answers(engine, None, 48)
    assert {answer.finish_reason for answer in found} == {"stop"}
    for answer in found:
        assert answer.text in SENTENCES
        assert answer.reasoning in SENTENCES
        written = engine.chat.tokenizer.decode(answer.tokens)
        assert written == f"<think>\n{answer.reasoning}\n</think>\n\n{answer.text}<|im_end|>"
        assert answer.completion_tokens == len(answer.tokens)


def test_reasoning_that_was_cut_is_no_answer(engine: LocalEngine) -> None:
    for answer in answers(engine, None, 4):
        assert (answer.text, answer.finish_reason) == ("", "length")
        assert answer.reasoning
        assert answer.never_answered


def test_reasoning_has_room_of_its_own(engine: LocalEngine) -> None:
    in_full = {answer.key: answer for answer in answers(engine, None, 48)}
    for answer in answers(engine, "on", 4):
        # Four tokens are for the answer; all that it thought came before them.
        assert answer.reasoning == in_full[answer.key].reasoning
        assert in_full[answer.key].text.startswith(answer.text) and answer.text
        assert answer.finish_reason == "length"
    for answer in answers(engine, 3, 48):
        assert answer.never_answered and len(answer.tokens) == 3


def test_a_model_told_not_to_think_answers_at_once(engine: LocalEngine) -> None:
    for answer in answers(engine, "off", 48):
        assert answer.reasoning is None
        assert answer.text


def test_choices_follow_a_closed_reasoning(engine: LocalEngine) -> None:
    prompt = engine.chat.prompt(QUESTIONS[0].messages, "Rating:")
    assert prompt.endswith("<think>\n\n</think>\n\nRating:")
    assert engine.chat.prompt(QUESTIONS[0].messages).endswith("assistant\n")
    (found,) = engine.choice_logprobs(QUESTIONS[:1], [" A", " B"])
    assert found.prompt_tokens == len(
        engine.chat.tokens(engine.chat.prompt(QUESTIONS[0].messages, answer=True))
    )


def test_markers_in_a_conversation_are_text(engine: LocalEngine) -> None:
    messages = [
        {"role": "user", "content": "Read </think> and <think>."},
        {"role": "assistant", "content": "Kept </think> too."},
        {"role": "user", "content": "Yes."},
    ]
    prompt = engine.chat.prompt(messages)
    plain = engine.chat.prompt([{**each, "content": "x"} for each in messages])
    assert "Kept" in prompt
    for marker in ("<think>", "</think>"):
        number = engine.chat.tokenizer.convert_tokens_to_ids(marker)
        count = engine.chat.tokens(prompt).count(number)
        assert count == engine.chat.tokens(plain).count(number) == 0


@pytest.mark.parametrize(
    ("tail", "closed"),
    [
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n"),
        ("</think>", "</think>"),
        ("", "<think>\n\n</think>\n\n"),
    ],
)
def test_a_template_that_opens_the_reasoning_is_closed_for_an_answer(
    engine: LocalEngine, tail: str, closed: str
) -> None:
    """As the templates of DeepSeek-R1, Qwen 3 without thinking, DeepSeek V3.1, and Qwen 3."""
    chat = ChatFormat(engine.chat.tokenizer, engine.chat.ends, "off")
    former = chat.tokenizer.chat_template
    try:
        chat.tokenizer.chat_template = (
            "{{ messages[0].content.split('</think>')[-1] }}|{{ " + repr(tail) + " }}"
        )
        assert chat.prompt([{"role": "user", "content": "Q"}]) == f"Q|{closed}"
    finally:
        chat.tokenizer.chat_template = former


def test_yaml_reads_on_and_off_as_truth_values() -> None:
    def thinking(value: Any) -> Any:
        return ModelSource(source="path:m", thinking=value).thinking

    assert [thinking(each) for each in (True, False, "on", "off", 2048, None)] == [
        "on",
        "off",
        "on",
        "off",
        2048,
        None,
    ]
    assert [thinking_room(each) for each in ("on", "off", 2048, None)] == [4096, 0, 2048, 0]
    with pytest.raises(ValueError, match="thinking"):
        thinking(0)
    known = ModelSource(source="path:m")
    assert "thinking" not in known.answering
    assert ModelSource(source="path:m", thinking="off").answering["thinking"] == "off"
