"""What answers to questions of several turns, and grades of them, are sized with."""

import json
from dataclasses import replace
from pathlib import Path

from wim.prompts.expected import Prompts
from wim.settings.config import Config
from wim.settings.load import load_config
from wim.settings.prompts import PromptSettings
from wim.sizing.architecture import KNOWN
from wim.sizing.questions import sized_questions
from wim.sizing.stage import Assumed, Sizing, Stage
from wim.sizing.stages import stages_of

LLAMA = next(model for model in KNOWN if model.name == "Llama-3-8B-Instruct")


def configured(path: Path, mode: str) -> Config:
    evaluation = {
        "kind": "mt_bench",
        "judge": "g",
        "mode": mode,
        "prompts": {"files": [str(path)]},
        "speakers": ["other", "more"],
    }
    local = {"source": "path:model"}
    return load_config(
        {
            "models": {"actor": local, "other": local, "more": local},
            "dialogues": {"actor": "actor", "sampling": {"max_new_tokens": 1024}},
            "judges": {
                "g": {"model": "actor", "method": "mt_bench", "sampling": {"max_new_tokens": 2048}}
            },
            "evaluations": {"mt": evaluation},
        }
    )


def sized(config: Config) -> dict[tuple[str, str], Stage]:
    models = {name: replace(LLAMA, name=name) for name in ("actor", "other", "more")}
    sizing = Sizing(config, models, Prompts(100, 50.0, 100, "a test"), Assumed())
    return {(stage.rule, stage.of): stage for stage in stages_of(sizing)}


def test_every_turn_is_a_row_and_a_grade_of_each_speaker_or_two_calls_a_pair(
    tmp_path: Path,
) -> None:
    path = tmp_path / "question.jsonl"
    rows = [
        {"question_id": n, "category": "math", "turns": [f"{n}" * 40, "Why?"]} for n in range(9)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    single = sized(configured(path, "single"))
    assert single["generate_dialogues", "mt@other"].rows == 18
    assert single["rate_candidates", "mt"].rows == 3 * 18
    pairs = sized(configured(path, "pairwise"))
    assert pairs["compare_candidates", "mt"].rows == 2 * 2 * 18
    assert ("rate_candidates", "mt") not in pairs
    # The judge reads two conversations in place of one.
    assert (
        pairs["compare_candidates", "mt"].memory.total
        > single["rate_candidates", "mt"].memory.total
    )


def test_questions_that_are_not_here_are_taken_for_those_of_mt_bench() -> None:
    found = sized_questions(PromptSettings(files=["no/question.jsonl"]))
    assert (found.count, found.known_from) == (160, "assumed, for want of no/question.jsonl")
