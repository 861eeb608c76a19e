"""Reasoning is told apart from the answer by its markers, and by those of the model alone."""

import pytest

from wim.engines.reasoning import MARKERS, Written, marker_texts, split_reasoning
from wim.engines.special_tokens import WORD_JOINER, escape_special_tokens, special_token_pattern

THINK, HARMONY = MARKERS[:2]
CUT = "<think>\nOkay, the user wants [[3]] and [[[It is far too short]]]"


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("It gives no date.", None, "It gives no date."),
        ("<think>\nOkay.\n</think>\n\nNo date.", "Okay.", "No date."),
        ("  \n<think>Okay.</think>No date.", "Okay.", "No date."),
        ("<think>\n\n</think>\n\nNo date.", "", "No date."),
        ("</think>\n\nNo date.", "", "No date."),
        (CUT, CUT.removeprefix("<think>\n"), None),
        ("<think>", "", None),
        ("<think>a</think>b <think>c</think>", "a", "b <think>c</think>"),
        (
            "The tag <think> is read, and </think> too.",
            None,
            "The tag <think> is read, and </think> too.",
        ),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>No.",
            "Hm.",
            "No.",
        ),
        ("<|channel|>final<|message|>No.", "", "No."),
        ("[THINK]Hm.[/THINK]No.", "Hm.", "No."),
        ("<seed:think>Hm.</seed:think>No.", "Hm.", "No."),
        ("\u25c1think\u25b7Hm.\u25c1/think\u25b7No.", "Hm.", "No."),
        ("", None, ""),
        ("<THINK>Hm.</Think>No.", "Hm.", "No."),
        ("\ufeff<think>Hm.</think>No.", "Hm.", "No."),
        ("<reasoning>Hm.</reasoning>No.", "Hm.", "No."),
        ("<reasoning>Hm. [[3]]", "Hm. [[3]]", None),
        ("<|begin_of_thought|>Hm.<|end_of_thought|>No.", "Hm.", "No."),
        ("<think>a</think>\n<think>b</think>No.", "a</think>\n<think>b", "No."),
        ("<think>a</think>\n<think>[[3]] b", "a</think>\n<think>[[3]] b", None),
        (
            "<|channel|>commentary<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>N",
            "Hm.",
            "N",
        ),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b"
            "<|end|><|start|>assistant<|channel|>final<|message|>No.",
            "a<|end|><|start|>assistant<|channel|>commentary<|message|>b",
            "No.",
        ),
    ],
)
def test_reasoning_is_what_the_markers_at_the_beginning_enclose(text, reasoning, answer) -> None:
    assert split_reasoning(text) == Written(reasoning, answer)


def test_a_model_that_repeats_its_markers_without_end_is_read() -> None:
    text = "<think></think>" * 5000
    assert split_reasoning(f"{text}No.").answer == "No."
    assert split_reasoning(f"{text}<think>No.").answer is None


def test_a_prompt_may_have_opened_the_reasoning() -> None:
    assert split_reasoning("Okay.\n</think>\n\nNo date.", opened=THINK) == Written(
        "Okay.", "No date."
    )
    assert split_reasoning("Okay, [[3]]", opened=THINK) == Written("Okay, [[3]]", None)


def test_a_closing_marker_alone_counts_only_where_the_template_is_unknown() -> None:
    text = "Okay.\n</think>\n\nNo date."
    assert split_reasoning(text) == Written(None, text)
    assert split_reasoning(text, closing_alone=True) == Written("Okay.", "No date.")
    assert split_reasoning("No date.", closing_alone=True) == Written(None, "No date.")


@pytest.mark.parametrize("marker", marker_texts())
def test_markers_in_a_text_reach_no_server_as_such(marker: str) -> None:
    escaped = escape_special_tokens(f"a {marker} b", special_token_pattern())
    assert marker not in escaped
    assert escaped.replace(WORD_JOINER, "") == f"a {marker} b"
