"""Conversations that a model's chat template refuses are left out, and told with what to write."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.builders import prompt, user
from wim.dialogues.context import conversation, placed
from wim.dialogues.generate import generate_dialogues
from wim.engines.answers import ReadChoices
from wim.engines.base import Request
from wim.engines.chat_format import ChatFormat, Refusal
from wim.engines.local.engine import LocalEngine
from wim.engines.staged import StagedModel
from wim.engines.turn_format import TurnFormat
from wim.errors import UserError
from wim.models.stage import stage_model
from wim.settings.dialogues import DialogueSettings
from wim.settings.models import ModelSource
from wim.settings.sft import SftSettings
from wim.tables.files import as_arrow, read_candidates, write_table
from wim.tables.schemas import PROMPTS, Message, Prompt
from wim.training.online_dpo.prompts import prompt_dataset
from wim.training.sft.completions import completion_splits
from wim.training.sft.train import _rows
from wim.training.turns import TrainedTurns

# As Gemma's: no system message, and turns that alternate.
REFUSING = """{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}
{% endif %}{% for each in messages %}{% if (each.role == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}<|im_start|>{{ each.role }}
{{ each.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
TWICE: list[Message] = [*user("Why?"), *user("And how?")]


@pytest.fixture(scope="module")
def gemma(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelSource]:
    """A staged model whose template refuses, and its settings."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "gemma.jinja").write_text(REFUSING)
    template = str(folder / "gemma.jinja")
    source = ModelSource(source=f"path:{tiny_model}", chat_template=template, dtype="float32")
    stage_model(source, folder / "gemma")
    return folder / "gemma", source


def dialogues(
    gemma: tuple[Path, ModelSource], rows: Sequence[Prompt], folder: Path, **settings: object
) -> list[dict[str, object]]:
    staged, source = gemma
    write_table(folder / "prompts.parquet", PROMPTS, as_arrow(PROMPTS, rows))
    chosen = {"actor": "gemma", "sampling": {"max_new_tokens": 4}, "candidates": 1, **settings}
    generate_dialogues(
        prompts=folder / "prompts.parquet",
        models=[StagedModel(staged / "manifest.json", source, folder / "store")],
        templates=[],
        settings=DialogueSettings.model_validate(chosen),
        seed=0,
        output=folder / "dialogues.parquet",
    )
    return list(read_candidates(folder / "dialogues.parquet").to_pylist())


def test_one_refused_row_is_left_out_and_told(
    gemma: tuple[Path, ModelSource], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [prompt("a"), prompt("b", messages=TWICE, source="two.jsonl"), prompt("c")]
    assert [row["prompt_id"] for row in dialogues(gemma, rows, tmp_path)] in (
        ["a", "c"],
        ["c", "a"],
    )
    (said,) = (each.message for each in caplog.records if "rows failed" in each.message)
    assert f"1 of 3 rows failed: 1 the chat template of {gemma[0]} refuses" in said
    assert "roles must alternate" in said and "it has two turns of one role in a row" in said
    assert "(prompt b of two.jsonl)" in said


def test_where_all_are_refused_the_job_fails_with_what_to_write(
    gemma: tuple[Path, ModelSource], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as refused:
        dialogues(gemma, [prompt("a"), prompt("b")], tmp_path, system="Be brief.")
    said = str(refused.value)
    assert f"all 2 rows failed: 2 the chat template of {gemma[0]} refuses the conversation" in said
    assert "System role not supported; write dialogues.system_as: user" in said
    assert "(prompt a of test)" in said
    assert not (tmp_path / "dialogues.parquet").exists()


def test_the_system_message_goes_into_the_first_user_turn(
    gemma: tuple[Path, ModelSource], tmp_path: Path
) -> None:
    own: list[Message] = [{"role": "system", "content": "Rhyme."}, *user("Why?")]
    rows = [prompt("a", messages=user("Why?")), prompt("b", messages=own)]
    found = dialogues(gemma, rows, tmp_path, system="Be brief.", system_as="user")
    contexts = {row["prompt_id"]: row["context"] for row in found}
    assert contexts == {"a": user("Be brief.\n\nWhy?"), "b": user("Rhyme.\n\nWhy?")}


def test_a_refused_judgement_has_its_reason(gemma: tuple[Path, ModelSource]) -> None:
    engine = LocalEngine(gemma[0], "float32")
    asked = [Request("bad", tuple(TWICE)), Request("good", tuple(user("Rate it.")))]
    found = {answer.key: answer for answer in engine.choice_logprobs(asked, ["1", "2"])}
    assert found["good"].logprobs is not None
    bad = found["bad"]
    assert isinstance(bad, ReadChoices) and bad.logprobs is None
    assert bad.reason.startswith(f"the chat template of {gemma[0]} refuses the conversation")


def test_a_base_model_is_told_from_a_chat_model_before_its_weights_are_loaded(
    tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "base")
    (tmp_path / "base/chat_template.jinja").unlink()
    (tmp_path / "base/model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no chat template.*models.<name>.chat_template"):
        LocalEngine(tmp_path / "base", "float32")


def test_a_system_message_stands_where_it_is_asked_to() -> None:
    system: Message = {"role": "system", "content": "Be brief."}
    answer: Message = {"role": "assistant", "content": "Yes."}
    assert conversation(user("Why?"), "Be brief.", "system") == [system, *user("Why?")]
    assert conversation(user("Why?"), None, "user") == user("Why?")
    assert placed([system], "user") == user("Be brief.")
    assert placed([system, answer], "user") == [*user("Be brief."), answer]
    assert placed([*user("Why?"), answer], "user") == [*user("Why?"), answer]


def test_the_default_place_is_no_part_of_an_identity() -> None:
    assert "system_as" not in DialogueSettings().identity()
    assert DialogueSettings(system_as="user").identity()["system_as"] == "user"
    assert DialogueSettings(system="x").system_message == {"system": "x"}


def test_training_prompts_stand_where_those_of_generating_do(
    gemma: tuple[Path, ModelSource], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [prompt("a", messages=user("Why?")), prompt("b", messages=TWICE)]
    write_table(tmp_path / "prompts.parquet", PROMPTS, as_arrow(PROMPTS, rows))
    turns = TrainedTurns(TurnFormat(ChatFormat.of_folder(gemma[0])))
    settings = DialogueSettings(system="Be brief.", system_as="user")
    (row,) = prompt_dataset([tmp_path / "prompts.parquet"], settings, 1024, turns)
    assert (row["prompt_id"], row["context"]) == ("a", user("Be brief.\n\nWhy?"))
    assert "1 prompts left out; the first: the chat template" in caplog.text
    with pytest.raises(UserError, match=r"all 2 prompts are left out.*system_as: user"):
        prompt_dataset(
            [tmp_path / "prompts.parquet"], DialogueSettings(system="Be brief."), 1024, turns
        )


def test_completions_that_are_taught_do_too(
    gemma: tuple[Path, ModelSource], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [prompt(name, messages=user("Why?"), reference="So.") for name in "ab"]
    write_table(tmp_path / "prompts.parquet", PROMPTS, as_arrow(PROMPTS, rows))
    settings = SftSettings(completions="references", prompts=1.0)
    table, excluded = [tmp_path / "prompts.parquet"], Counter[str]()
    train, _ = completion_splits(table, [], settings, "Be brief.", excluded, "user")
    assert [each.context for each in train] == [user("Be brief.\n\nWhy?")] * 2
    turns = TrainedTurns(TurnFormat(ChatFormat.of_folder(gemma[0])))
    refused = replace(train[0], context=TWICE)
    assert _rows([refused, *train], turns) == _rows(train, turns)
    assert "1 completions left out; the first: the chat template" in caplog.text
    with pytest.raises(Refusal, match="two turns of one role"):
        _rows([refused], turns)
