"""Completions of an actor that thinks first, some of which never come to an answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.api_server import ApiServer, Fields, Reply, last_message, said
from support.builders import prompt, user
from wim.dialogues.generate import generate_dialogues
from wim.engines.staged import StagedModel
from wim.errors import UserError
from wim.models.stage import stage_model
from wim.settings.dialogues import DialogueSettings
from wim.settings.models import ModelSource
from wim.tables.files import as_arrow, read_candidates, read_table, write_table
from wim.tables.schemas import DIALOGUES, PROMPTS

CUT = said(None, "length", message={"content": None, "reasoning": "Okay, the user"})


def generated(folder: Path, answer: Callable[[Fields, int], Reply]) -> Path:
    """The dialogues of three prompts by an actor behind an API."""
    rows = [prompt(f"p{n}", messages=user(f"question {n}")) for n in range(3)]
    write_table(folder / "prompts.parquet", PROMPTS, as_arrow(PROMPTS, rows))
    with ApiServer(answer) as server:
        source = {"source": "endpoint:far-1@1", "api": {"url": server.url, "attempts": 1}}
        model = ModelSource.model_validate(source)
        stage_model(model, folder / "far")
        generate_dialogues(
            prompts=folder / "prompts.parquet",
            models=[StagedModel(folder / "far/manifest.json", model, folder / "store")],
            templates=[],
            settings=DialogueSettings(actor="far"),
            seed=0,
            output=folder / "dialogues.parquet",
        )
    return folder / "dialogues.parquet"


def test_what_never_came_to_an_answer_is_kept_and_not_judged(tmp_path: Path, caplog) -> None:
    def answer(fields: Fields, _: int) -> Reply:
        whole = said(None, message={"content": "Yes.", "reasoning": "Okay."})
        return CUT if last_message(fields) == "question 1" else whole

    table = generated(tmp_path, answer)
    judged = read_candidates(table).to_pylist()
    every = read_table(table, DIALOGUES).to_pylist()
    assert len(every) == 6 and len(judged) == 4
    assert {(row["completion"], row["reasoning"]) for row in judged} == {("Yes.", "Okay.")}
    assert "2 of 6 were cut while the model was still thinking" in caplog.text


def test_where_none_came_to_an_answer_the_job_fails(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"6 of 6 were cut .* `models.<name>.thinking`"):
        generated(tmp_path, lambda *_: CUT)
