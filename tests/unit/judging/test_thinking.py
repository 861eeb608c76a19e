"""Judges that think first: what they thought is kept, and nothing is read from it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.builders import candidate
from support.tiny_model import SENTENCES
from support.workflow_runs import REPOSITORY
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.local.engine import LocalEngine
from wim.engines.reasoning import split_reasoning
from wim.judging.rate import judge_of
from wim.settings.judging import JudgeSettings
from wim.settings.sampling import Sampling
from wim.tables.schemas import Rating
from wim.templates import Templates, read_templates

FOLDERS = {
    "structured": ("critique", "rating"),
    "single_call": ("judgement",),
    "upstream": ("judgement",),
}
JUDGEMENT = "It is short. [[8]] [[[It names no dates and no inventor of the press.]]]"
# What a draft may hold; the last one was cut before the thinking ended.
DRAFT = "Okay, the user wants a critique. [[3]] would do. [[[It is far too short]]]"
THOUGHT = f"<think>\n{DRAFT}\n</think>\n\n"


class Thinker:
    """An engine that writes the same to every request, and takes the number 7 for the best."""

    def __init__(self, written: str, finish_reason: str = "stop") -> None:
        self.written, self.finish_reason = split_reasoning(written), finish_reason

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        said = self.written
        for request in requests:
            yield Completion(
                request.key,
                said.answer or "",
                self.finish_reason,
                9,
                9,
                said.reasoning,  # type: ignore[arg-type]
            )

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        for request in requests:
            yield ChoiceLogprobs(
                request.key, tuple(-float(abs(n - 6)) for n in range(len(choices))), 9
            )


def rated(
    method: str,
    engine: Thinker | LocalEngine,
    rows: int = 1,
    templates: Templates | None = None,
    **sampling: object,
) -> list[Rating]:
    folder = REPOSITORY / "config/templates" / method
    templates = templates or read_templates([folder / f"{n}.jinja" for n in FOLDERS[method]])
    drawn = {"max_new_tokens": 256, "temperature": 0.0, **sampling}
    settings = JudgeSettings.model_validate({"model": "m", "method": method, "sampling": drawn})
    judge = judge_of("strict", engine, templates, settings, 0, "digest")
    return judge.rate([candidate(f"c{n}") for n in range(rows)])


@pytest.mark.parametrize("method", FOLDERS)
def test_a_draft_that_was_cut_is_neither_critique_nor_number(method: str) -> None:
    (row,) = rated(method, Thinker(THOUGHT[: len("<think>\n" + DRAFT)], "length"))
    assert (row.status, row.rating, row.rating_expected, row.wim) == ("truncated", None, None, None)
    assert row.reasoning == DRAFT


@pytest.mark.parametrize("method", FOLDERS)
def test_the_answer_alone_is_read(method: str) -> None:
    answer = "It names no dates and no inventor." if method == "structured" else JUDGEMENT
    (row,) = rated(method, Thinker(THOUGHT + answer))
    assert (row.status, row.raw, row.reasoning) == ("ok", answer, DRAFT)
    assert "far too short" not in str(row.wim)
    assert row.rating == (7 if method == "structured" else 8)


@pytest.mark.parametrize("method", FOLDERS)
def test_a_judge_that_does_not_think_has_no_reasoning(method: str) -> None:
    (row,) = rated(method, Thinker(JUDGEMENT))
    assert row.reasoning is None


def test_a_local_judge_that_thinks_gives_a_critique_without_its_thoughts(
    thinking_model: Path,
) -> None:
    asked = Templates("brief", dict.fromkeys(FOLDERS["structured"], SENTENCES[0]))
    engine = LocalEngine(thinking_model, "float32", thinking="on")
    for row in rated("structured", engine, rows=2, templates=asked):
        assert row.reasoning
        assert "think>" not in row.raw
        assert row.wim is None or row.wim in row.raw
    engine = LocalEngine(thinking_model, "float32")
    for row in rated("structured", engine, 2, asked, max_new_tokens=4):
        assert (row.status, row.raw, row.wim, row.rating) == ("truncated", "", None, None)
        assert row.reasoning and row.reasoning not in SENTENCES
