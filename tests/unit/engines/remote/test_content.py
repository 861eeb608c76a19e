"""The content of a message: texts, and lists of parts."""

import pytest

from wim.engines.remote.content import parts
from wim.engines.transport.api_errors import NoAnswer


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, (None, None)),
        ("", ("", None)),
        ("A text.", ("A text.", None)),
        ([], (None, None)),
        ([text("A "), text("text.")], ("A text.", None)),
        (["A ", "text."], ("A text.", None)),
        ([{"text": "A text."}], ("A text.", None)),
        ([{"type": "output_text", "text": "A text.", "annotations": []}], ("A text.", None)),
        ([{"type": "refusal", "refusal": "No."}], ("No.", None)),
        ([{"type": "thinking", "thinking": "Hm."}, text("A text.")], ("A text.", "Hm.")),
        (
            [{"type": "thinking", "thinking": [text("Hm."), text(" Well.")]}, text("A text.")],
            ("A text.", "Hm. Well."),
        ),
        ([{"type": "thinking", "thinking": [text("Hm.")], "closed": True}], (None, "Hm.")),
        (
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}],
            (None, "Hm."),
        ),
        ([{"type": "redacted_thinking", "data": "x"}, text("A text.")], ("A text.", None)),
        ([{"text": "Hm.", "thought": True}, {"text": "A text."}], ("A text.", "Hm.")),
    ],
)
def test_text_and_thinking_are_told_apart(content, found) -> None:
    assert parts(content) == found


@pytest.mark.parametrize("kind", ["image_url", "tool_use", "audio"])
def test_a_part_that_is_no_text_is_no_answer(kind) -> None:
    with pytest.raises(NoAnswer, match=kind):
        parts([text("Look:"), {"type": kind, kind: {}}])
