"""A text that is a whole conversation is refused, or read where the settings say so."""

import json
import logging
from pathlib import Path

import pytest

from support.prompt_files import (
    answer,
    ingest,
    ingest_row,
    refusal,
    row_refusal,
    settings_for,
    user,
    write_jsonl,
)
from wim.prompts.transcripts import messages_in_json, transcript_of
from wim.provenance.digest import row_id

OPENING = "\n\nHuman: Who wrote Emma?\n\nAssistant: Jane Austen.\n\nHuman: When?\n\nAssistant:"
PREFERENCES = {"chosen": f"{OPENING} In 1815.\n\nIt was her fourth.", "rejected": f"{OPENING} No."}
TURNS = [user("Who wrote Emma?"), answer("Jane Austen."), user("When?")]
GUANACO = (
    "### Human: Who wrote Emma?### Assistant: Jane Austen.### Human: When?### Assistant: 1815."
)
VICUNA = "USER: Who wrote Emma? ASSISTANT: Jane Austen.</s> USER: When? ASSISTANT: 1815.</s>"
CHATML = "".join(
    f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n"
    for turn in (*TURNS, answer("1815."))
)
LLAMA_2 = "<s>[INST] Who wrote Emma? [/INST] Jane Austen. </s><s>[INST] When? [/INST] 1815. </s>"
MARKED = {
    "Llama 3": (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWho wrote Emma?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nJane Austen.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhen?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n1815.<|eot_id|>"
    ),
    "gpt-oss": (
        "<|start|>user<|message|>Who wrote Emma?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Jane Austen.<|end|>"
        "<|start|>user<|message|>When?<|end|>"
        "<|start|>assistant<|channel|>analysis<|message|>After 1811.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>1815.<|return|>"
    ),
    "Zephyr": (
        "<|user|>\nWho wrote Emma?</s>\n<|assistant|>\nJane Austen.</s>\n"
        "<|user|>\nWhen?</s>\n<|assistant|>\n1815.</s>\n"
    ),
    "Phi 3": (
        "<|user|>\nWho wrote Emma?<|end|>\n<|assistant|>\nJane Austen.<|end|>\n"
        "<|user|>\nWhen?<|end|>\n<|assistant|>\n1815.<|end|>\n<|endoftext|>"
    ),
    "Gemma": (
        "<bos><start_of_turn>user\nWho wrote Emma?<end_of_turn>\n"
        "<start_of_turn>model\nJane Austen.<end_of_turn>\n"
        "<start_of_turn>user\nWhen?<end_of_turn>\n<start_of_turn>model\n1815.<end_of_turn>\n"
    ),
    "Command R": (
        "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Who wrote Emma?<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Jane Austen.<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>When?<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>1815.<|END_OF_TURN_TOKEN|>"
    ),
    "DeepSeek": (
        "<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>Who wrote Emma?"
        "<\uff5cAssistant\uff5c>Jane Austen.<\uff5cend\u2581of\u2581sentence\uff5c>"
        "<\uff5cUser\uff5c>When?<\uff5cAssistant\uff5c>1815."
        "<\uff5cend\u2581of\u2581sentence\uff5c>"
    ),
}
CHAT = json.dumps([user("Who wrote Emma?"), answer("Jane Austen.")])


def test_a_transcript_is_refused_with_its_place_and_what_to_write(tmp_path: Path) -> None:
    rows = [{"chosen": "Why?"}, PREFERENCES]
    for unusable in ("refuse", "drop"):
        message = refusal(
            write_jsonl(tmp_path / "hh.jsonl", rows), column="chosen", unusable=unusable
        )
        assert "hh.jsonl:2: column 'chosen': found a whole conversation as one text" in message
        assert "write prompts.transcripts: read to read its turns, or text" in message


def test_a_transcript_is_read_up_to_the_assistants_last_turn(tmp_path: Path) -> None:
    row = ingest_row(tmp_path, PREFERENCES, column="chosen", transcripts="read")
    assert row["messages"] == TURNS
    assert row["reference"] == "In 1815.\n\nIt was her fourth."
    assert row["metadata"] == json.dumps(
        {"rejected": PREFERENCES["rejected"]}, separators=(",", ":")
    )


def test_both_answers_of_a_preference_have_one_prompt(tmp_path: Path) -> None:
    ids = {
        ingest_row(tmp_path, PREFERENCES, column=column, transcripts="read")["prompt_id"]
        for column in ("chosen", "rejected")
    }
    assert ids == {row_id(TURNS)}


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (OPENING, None),
        (OPENING.replace("\n", "\r\n") + " In 1815.", "In 1815."),
        (OPENING.removesuffix("\n\nAssistant:"), None),
        (GUANACO, "1815."),
        (GUANACO.replace("###", "\n###"), "1815."),
        (OPENING.replace("Human", "User"), None),
        (GUANACO.replace("Human", "User"), "1815."),
        (VICUNA, "1815."),
        (VICUNA.removesuffix(" 1815.</s>"), None),
        (CHATML, "1815."),
        (CHATML.removesuffix("1815.<|im_end|>\n"), None),
        (LLAMA_2, "1815."),
        (LLAMA_2.removesuffix(" 1815. </s>"), None),
        *((text, "1815.") for text in MARKED.values()),
        *((text[: text.rindex("1815.")], None) for text in MARKED.values()),
    ],
)
def test_transcripts_of_every_form_are_the_same_prompt(
    tmp_path: Path, text: str, reference: str | None
) -> None:
    row = ingest_row(tmp_path, {"prompt": text}, transcripts="read")
    assert (row["messages"], row["reference"]) == (TURNS, reference)


@pytest.mark.parametrize("text", [PREFERENCES["chosen"], GUANACO, CHAT])
def test_a_conversation_may_be_taken_as_the_text_that_it_is(tmp_path: Path, text: str) -> None:
    row = ingest_row(tmp_path, {"prompt": text}, transcripts="text")
    assert row["messages"] == [user(text.strip())]


@pytest.mark.parametrize(
    "text",
    [
        f"<|im_start|>system\nBe brief.<|im_end|>\n{CHATML}",
        LLAMA_2.replace("[INST] Who", "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWho"),
    ],
)
def test_a_template_may_begin_with_a_system_message(tmp_path: Path, text: str) -> None:
    row = ingest_row(tmp_path, {"prompt": text}, transcripts="read")
    assert row["messages"] == [{"role": "system", "content": "Be brief."}, *TURNS]
    assert "found a whole conversation" in row_refusal(tmp_path, {"prompt": text})


# Where no conversation begins, a text is a prompt like any other, whatever stands in it.
PLAIN = [
    "Say it.\n\nAssistant: I will.\n\nHuman: Go on.",
    "Human: what does this word mean?",
    "Humans: a history.\n\nAssistant: who?",
    "Assistant: Hello.\n\nHuman: Hi.",
    "Human: one.\nAssistant: in the same paragraph.",
    "# Human: one\n\n### Assistant: two",
    "[1, 2, 3]",
    "[{'role': 'user', 'content': f()}]",
    "What does <|im_start|>user\n mean, and <|im_start|>assistant\n?",
    "What is [INST] x [/INST] for?",
    "What are <|user|> and <|assistant|> for?",
    "<start_of_turn>user begins a turn in Gemma, and <start_of_turn>model another one.",
    "USERS: a list. ASSISTANT: who?",
    '[{"role": "king", "age": 7}]',
    '["Human: a\\n\\nAssistant: b"]',
    '[{"role": "user", "content": "not closed"}',
    "[" * 2000,
]


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize("transcripts", ["refuse", "read"])
def test_markers_within_a_text_forge_no_turns(tmp_path: Path, text: str, transcripts: str) -> None:
    row = ingest_row(tmp_path, {"prompt": text}, transcripts=transcripts)
    assert row["messages"] == [user(text)]


def test_markers_within_a_message_forge_no_turns(tmp_path: Path) -> None:
    turn = user(PREFERENCES["chosen"].strip())
    row = ingest_row(tmp_path, {"messages": [turn]}, transcripts="read")
    assert row["messages"] == [turn]


def test_messages_written_as_json_are_refused_or_read(tmp_path: Path) -> None:
    message = row_refusal(tmp_path, {"prompt": CHAT})
    assert "rows.jsonl:2: column 'prompt': found a whole conversation as one text (messages as" in (
        message
    )
    assert "found a whole conversation" in row_refusal(tmp_path, {"prompt": repr(json.loads(CHAT))})
    printed = ingest_row(tmp_path, {"prompt": repr(json.loads(CHAT))}, transcripts="read")
    assert (printed["messages"], printed["reference"]) == (TURNS[:1], "Jane Austen.")
    path = tmp_path / "p.csv"
    path.write_text('prompt\n"' + CHAT.replace('"', '""') + '"\n')
    (row,) = ingest(path, transcripts="read")
    assert (row["messages"], row["reference"]) == ([user("Who wrote Emma?")], "Jane Austen.")
    shared = json.dumps([{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}])
    assert ingest_row(tmp_path, {"prompt": shared}, transcripts="read")["messages"] == [
        user("Why?")
    ]


def test_an_empty_turn_within_a_transcript_makes_a_row_unusable(tmp_path: Path) -> None:
    text = "\n\nHuman: Hi.\n\nAssistant:\n\nHuman: Hello?\n\nAssistant: Yes."
    assert "found an empty prompt" in row_refusal(tmp_path, {"prompt": text}, transcripts="read")


def test_the_log_says_how_many_texts_were_read_as_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"prompt": OPENING}, {"prompt": CHAT}, {"prompt": "Why?"}]
    with caplog.at_level(logging.INFO, "wim.prompts.ingest"):
        ingest(write_jsonl(tmp_path / "p.jsonl", rows), transcripts="read")
    assert "prompts: the turns of 2 texts were read as messages" in caplog.messages


def test_the_setting_is_told_only_where_it_matters() -> None:
    assert "transcripts" not in settings_for("p.jsonl").identity()
    assert settings_for("p.jsonl", transcripts="read").identity()["transcripts"] == "read"


def test_what_is_no_transcript_is_none() -> None:
    assert transcript_of("Why?") is None
    assert transcript_of("") is None
    assert messages_in_json("Why?") is None
    assert messages_in_json("[]") is None
