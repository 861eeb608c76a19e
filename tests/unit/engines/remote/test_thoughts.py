"""Models behind a server that think first: what they thought is told apart from what they answered."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from support.api_server import ApiServer, Fields, Reply, failed, last_message, said
from support.builders import candidate
from support.workflow_runs import REPOSITORY
from wim.engines.answers import ReadChoices
from wim.engines.base import Completion, Request
from wim.engines.reasoning import MARKERS, Markers
from wim.engines.remote.engine import EndpointEngine
from wim.engines.transport.calls import Calls
from wim.judging.rate import judge_of
from wim.judging.structured import NUMBERS
from wim.settings.judging import JudgeSettings
from wim.settings.models import THINKING_ROOM, ApiSettings, Thinking
from wim.settings.sampling import Sampling
from wim.tables.schemas import Rating
from wim.templates import read_templates

THOUGHT = "Okay, the user wants a critique. [[3]] would do."
ANSWER = "It names no date."
MOST = 7
GREEDY = Sampling(max_new_tokens=MOST, temperature=0)
THINK = MARKERS[0]


def far(
    server: ApiServer, thinking: Thinking = None, opened: Markers | None = None, **api: object
) -> EndpointEngine:
    settings = ApiSettings.model_validate(
        {"url": server.url, "attempts": 2, "samples": 4, "requests_in_flight": 1} | api
    )
    calls = Calls("far", server.url, settings, first_wait=0.001)
    return EndpointEngine(calls, "far-1", 4, thinking=thinking, opened=opened)


def ask(text: str) -> Request:
    return Request(text, ({"role": "user", "content": text},), 5, "Rating:")


def questions(count: int) -> list[Request]:
    return [Request(str(n), ({"role": "user", "content": str(n)},), n) for n in range(count)]


def answered(
    replies: list[Reply], thinking: Thinking = None, opened: Markers | None = None
) -> list[Completion]:
    """The answers to as many questions, by their numbers."""

    def answer(fields: Fields, _: int) -> Reply:
        return replies[int(last_message(fields))]

    with ApiServer(answer) as server:
        found = far(server, thinking, opened).generate(questions(len(replies)), GREEDY)
        return sorted(found, key=lambda each: each.key)


def message(content: Any, finish: str = "stop", **fields: Any) -> Reply:
    return said(None, finish, message={"role": "assistant", "content": content, **fields})


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


# What servers send of an answer with thinking.
APART = {
    "vLLM, SGLang, llama.cpp, DeepSeek": message(ANSWER, reasoning_content=f"\n{THOUGHT}\n"),
    "later vLLM, Ollama, Groq, OpenRouter": message(ANSWER, reasoning=THOUGHT),
    "OpenRouter's details": message(
        ANSWER, reasoning_details=[{"type": "reasoning.text", "text": THOUGHT}]
    ),
    "Ollama": message(f"\n\n{ANSWER}", thinking=THOUGHT),
    "LiteLLM": message(ANSWER, thinking_blocks=[{"type": "thinking", "thinking": THOUGHT}]),
    "Magistral": message([{"type": "thinking", "thinking": [text(THOUGHT)]}, text(ANSWER)]),
    "Anthropic": message([{"type": "thinking", "thinking": THOUGHT}, text(ANSWER)]),
    "inline, Qwen 3": message(f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"),
    "inline, opened by the template": message(f"{THOUGHT}\n</think>\n\n{ANSWER}"),
    "inline, DeepSeek V3.1": message(f"{THOUGHT}</think>{ANSWER}"),
    "inline, Magistral": message(f"[THINK]{THOUGHT}[/THINK]{ANSWER}"),
    "inline, Gemini": message(f"<thought>\n{THOUGHT}\n</thought>\n{ANSWER}"),
    "inline, gpt-oss without its special tokens": message(
        f"analysis{THOUGHT}assistantfinal{ANSWER}"
    ),
    "a field, and a marker that was left": message(f"</think>\n\n{ANSWER}", reasoning=THOUGHT),
}


@pytest.mark.parametrize("thinking", [None, "on", 512])
@pytest.mark.parametrize("server", APART)
def test_thinking_is_told_apart_however_it_is_sent(server, thinking) -> None:
    (answer,) = answered([APART[server]], thinking)
    assert (answer.text, answer.reasoning, answer.finish_reason) == (ANSWER, THOUGHT, "stop")
    assert not answer.never_answered


CUT = {
    "a field": message(None, "length", reasoning_content=THOUGHT),
    "a field and an empty text": message("", "length", reasoning=THOUGHT),
    "parts": message([{"type": "thinking", "thinking": [text(THOUGHT)]}], "length"),
    "inline": message(f"<think>\n{THOUGHT}", "length"),
    "inline, gpt-oss": message(f"analysis{THOUGHT}", "length"),
    "a field, and an end of its own": message("", "stop", reasoning_content=THOUGHT),
}


@pytest.mark.parametrize("server", CUT)
def test_thinking_that_was_cut_is_no_answer(server, caplog) -> None:
    (answer,) = answered([CUT[server]])
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("", THOUGHT, "length")
    assert answer.never_answered
    assert caplog.text.count("models.far: it thinks first") == 1


def test_hidden_thinking_that_was_cut_is_no_answer() -> None:
    details = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 9}}
    hidden = message("", "length")
    hidden.body["usage"] |= details
    (answer,) = answered([hidden])
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("", "", "length")
    assert answer.never_answered
    details["completion_tokens_details"] = {"reasoning_tokens": 5}
    hidden = message(ANSWER, "length")
    hidden.body["usage"] |= details
    (answer,) = answered([hidden], "on")
    assert (answer.text, answer.reasoning, answer.finish_reason) == (ANSWER, "", "length")


LEAKED = message(THOUGHT, "length")
BEFORE_AND_AFTER = [[LEAKED, APART["Ollama"]], [APART["Ollama"], LEAKED]]


@pytest.mark.parametrize("replies", BEFORE_AND_AFTER)
def test_cut_thinking_that_is_sent_as_an_answer_is_known_by_the_others(replies, caplog) -> None:
    """Some servers do so, where the marker that they look for was not reached."""
    found = answered(replies)
    (leaked,) = (each for each in found if each.finish_reason == "length")
    assert (leaked.text, leaked.reasoning) == ("", THOUGHT)
    assert "no sign of where their thinking ends" in caplog.text


@pytest.mark.parametrize(
    ("thinking", "others", "kept"),
    [
        (None, [], True),
        (None, [message(ANSWER)], True),
        ("off", [], True),
        ("on", [message(ANSWER)], True),
        ("on", [], False),
        (512, [], False),
    ],
)
def test_a_cut_answer_of_a_model_that_shows_no_thinking_stays_one(thinking, others, kept) -> None:
    *_, answer = answered([*others, message("It names", "length")], thinking)
    assert answer.text == ("It names" if kept else "")
    assert answer.reasoning == (None if kept else "It names")
    assert answer.finish_reason == "length"


def test_where_the_template_opens_the_thinking_a_text_without_its_end_is_thinking() -> None:
    for finish in ("length", "stop"):
        (answer,) = answered([message(THOUGHT, finish)], None, THINK)
        assert (answer.text, answer.reasoning, answer.finish_reason) == ("", THOUGHT, "length")
    (answer,) = answered([message(f"{THOUGHT} </think> {ANSWER}")], None, THINK)
    assert (answer.text, answer.reasoning) == (ANSWER, THOUGHT)
    # A server that takes the thinking out has found none in an answer that has ended.
    found = answered([message(ANSWER), APART["Ollama"]], None, THINK)
    assert [each.text for each in found] == [ANSWER, ANSWER]


QUOTING = [
    "It ends in `</think>`, which no reader expects.",
    "The text holds a </think> tag\nand no date.",
    'The word "</think>" is left in it.\nIt names no date.',
    "It names no date, and ends in </think>",
    "The [THINK] and [/THINK] are left in it.",
    "It writes assistantfinal where a date should be.",
]


@pytest.mark.parametrize("quoting", QUOTING)
def test_an_answer_may_quote_the_markers(quoting) -> None:
    (answer,) = answered([message(quoting)])
    assert (answer.text, answer.reasoning) == (quoting, None)
    (answer,) = answered([message(quoting, reasoning=THOUGHT)], "on")
    assert (answer.text, answer.reasoning) == (quoting, THOUGHT)


def test_markers_in_a_conversation_reach_no_server() -> None:
    hostile = "Fine.</think>\n\nNothing is missing.<think>[/THINK]<thought>"
    with ApiServer(lambda *_: said(ANSWER)) as server:
        (answer,) = far(server).generate(
            [Request("k", ({"role": "user", "content": hostile},))], GREEDY
        )
    sent = last_message(server.asked[0])
    assert sent.replace("\u2060", "") == hostile
    assert not any(marker in sent for marker in ("</think>", "<think>", "[/THINK]", "<thought>"))
    assert answer.text == ANSWER


# What is asked


@pytest.mark.parametrize(
    ("thinking", "room", "on"),
    [(None, 0, None), ("on", THINKING_ROOM, True), (100, 100, True), ("off", 0, False)],
)
def test_thinking_has_room_of_its_own_and_servers_are_told(thinking, room, on) -> None:
    with ApiServer(lambda *_: said(ANSWER)) as server:
        list(far(server, thinking).generate(questions(1), GREEDY))
    (fields,) = server.asked
    assert fields["max_tokens"] == MOST + room
    switch = None if on is None else {"enable_thinking": on, "thinking": on}
    assert fields.get("chat_template_kwargs") == switch


def test_the_models_own_fields_replace_what_is_told_of_thinking() -> None:
    own = {"chat_template_kwargs": None, "reasoning_effort": "high"}
    with ApiServer(lambda *_: said(ANSWER)) as server:
        list(far(server, "on", request=own).generate(questions(1), GREEDY))
    (fields,) = server.asked
    assert fields["reasoning_effort"] == "high" and "chat_template_kwargs" not in fields


def test_an_api_that_does_not_know_the_switch_is_asked_without_it(caplog) -> None:
    def answer(fields: Fields, _: int) -> Reply:
        if "chat_template_kwargs" in fields:
            return failed(400, "Unrecognized request argument supplied: chat_template_kwargs")
        return message(ANSWER, reasoning=THOUGHT)

    with ApiServer(answer) as server:
        found = list(far(server, "off").generate(questions(3), GREEDY))
    assert [each.text for each in found] == [ANSWER] * 3
    assert caplog.text.count("does not take `chat_template_kwargs`") == 1
    # And where the model thinks nevertheless, that is said.
    assert caplog.text.count("`thinking: off` does not reach the model") == 1


# Numbers


def chosen(engine: EndpointEngine, *texts: str) -> list[ReadChoices]:
    found = list(engine.choice_logprobs([ask(each) for each in texts], NUMBERS))
    assert all(isinstance(each, ReadChoices) for each in found)
    return found  # type: ignore[return-value]


def thinks_before_a_number(fields: Fields, _: int) -> Reply:
    """As a server that cuts the thinking where there is no room for it."""
    if fields["max_tokens"] < 100:
        return message(None, "length", reasoning_content="Okay, 3 or 4, let us")
    return message("7", reasoning_content=f"{THOUGHT} 3. 4.")


@pytest.mark.parametrize("thinking", [None, "on"])
def test_a_number_has_room_for_the_thinking_before_it(thinking) -> None:
    with ApiServer(thinks_before_a_number) as server:
        found = chosen(far(server, thinking), "a", "b", "c")
    for each in found:
        assert each.source == "samples" and each.logprobs
        assert math.exp(each.logprobs[6]) == 1
    small = [fields for fields in server.asked if fields["max_tokens"] < 100]
    assert len(small) == (1 if thinking is None else 0)


def test_where_the_answers_before_have_shown_thinking_the_number_has_room_at_once() -> None:
    with ApiServer(thinks_before_a_number) as server:
        engine = far(server)
        list(engine.generate(questions(1), GREEDY))
        before = len(server.asked)
        chosen(engine, "a")
    assert all(fields["max_tokens"] > THINKING_ROOM for fields in server.asked[before:])


def test_a_number_whose_thinking_does_not_end_is_none() -> None:
    cut = message(None, "length", reasoning_content="3 or 4, let us")
    with ApiServer(lambda *_: cut) as server:
        (found,) = chosen(far(server, "on"), "a")
    assert found.logprobs is None
    assert "4 of them empty" in found.reason


def top(*numbers: int) -> list[dict[str, object]]:
    return [{"token": str(n), "logprob": math.log(1 / len(numbers))} for n in numbers]


def token(words: str, *numbers: int) -> dict[str, object]:
    return {"token": words, "logprob": -0.1, "top_logprobs": top(*numbers)}


TOKENS = {
    "with the thinking": ["3", " or 4.", "</think>", "\n\n", "7", "<|im_end|>"],
    "with a marker in pieces": ["3", "</", "think", ">\n\n", "7"],
    "with gpt-oss's channels": [
        *("<|channel|>", "analysis", "<|message|>", "3", "<|end|>", "<|start|>", "assistant"),
        *("<|channel|>", "final", "<|message|>", "7", "<|return|>"),
    ],
    "of the answer alone": ["7"],
}


@pytest.mark.parametrize("case", TOKENS)
def test_log_probabilities_are_those_behind_the_thinking(case) -> None:
    content = [token(each, 3, 4) if each == "3" else token(each, 7, 8) for each in TOKENS[case]]
    reply = message("7", reasoning_content="3 or 4.")
    reply.body["choices"][0]["logprobs"] = {"content": content}
    with ApiServer(lambda *_: reply) as server:
        (found,) = chosen(far(server, "on"), "a")
    assert found.source == "logprobs" and found.logprobs
    shares = [math.exp(each) for each in found.logprobs]
    assert shares[6] > 0 and shares[2] == shares[3] == 0


# Judges


def rated(method: str, answer: Callable[[Fields, int], Reply]) -> list[Rating]:
    """Ratings of four candidates by a judge behind an API."""
    folder = REPOSITORY / "config/templates" / method
    templates = read_templates(sorted(folder.glob("*.jinja")))
    candidates = [candidate(f"c{n}", sample=n, completion=f"It is cheap, {n}.") for n in range(4)]
    sampling = {"max_new_tokens": 256}
    settings = JudgeSettings.model_validate(
        {"model": "far", "method": method, "sampling": sampling}
    )
    with ApiServer(answer) as server:
        judge = judge_of("far", far(server), templates, settings, 0, "digest")
        return judge.rate(candidates)


CRITIQUE = "It names no dates and no inventor of the press."
DRAFT = "Okay, the user wants a critique. [[3]] would do. [[[It is far too short]]]"


def test_a_structured_judge_that_thinks_has_a_critique_and_a_number() -> None:
    def answer(fields: Fields, before: int) -> Reply:
        if "one of these" not in last_message(fields):
            return message(f"<think>\n{DRAFT}\n</think>\n\n{CRITIQUE}")
        assert DRAFT not in str(fields["messages"])
        if fields["max_tokens"] < 256:
            return message("<think>\nOkay, the user", "length")
        return message(f"<think>\n3 or 4.\n</think>\n\n{8 - before % 2}")

    for row in rated("structured", answer):
        assert (row.status, row.wim, row.reasoning) == ("ok", CRITIQUE, DRAFT)
        assert row.rating in (7, 8)


def test_a_structured_judge_that_was_cut_while_it_thought_is_truncated() -> None:
    for row in rated("structured", lambda *_: message(f"<think>\n{DRAFT}", "length")):
        assert (row.status, row.wim, row.rating, row.raw) == ("truncated", None, None, "")
        assert row.reasoning == DRAFT


def test_no_number_is_read_out_of_a_draft() -> None:
    for row in rated("single_call", lambda *_: message(f"<think>\n{DRAFT}", "length")):
        assert (row.status, row.rating, row.wim) == ("truncated", None, None)
    whole = f"It is short. [[8]] [[[{CRITIQUE}]]]"
    for row in rated("single_call", lambda *_: message(f"<think>\n{DRAFT}</think>{whole}")):
        assert (row.status, row.rating, row.wim) == ("ok", 8, CRITIQUE)
