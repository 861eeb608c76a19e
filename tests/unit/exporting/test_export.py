"""Exports: each format has every text turn by turn, as its own tool reads it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from support.page_tables import Two, write_tables
from wim.exporting.export import export_pairs
from wim.exporting.rows import ExportedRating, labels_of
from wim.settings.exports import ExportSettings
from wim.tables.schemas import Message

TALK: list[Message] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a river."},
    {"role": "assistant", "content": "The Rhine."},
    {"role": "user", "content": "And a lake?\u2028Go on."},
]
ROWS = [
    Two(("Lake Geneva.", 'Lake "Como", {{x}}\n'), context=TALK),
    Two(("Yes. \u202e", "No."), rewards=(None, 0.5)),
    Two(("Held out, A.", "Held out, B."), split="eval"),
    Two(("<b>One</b>", "Two"), rewards=(0.9, 0.2)),
]
FORMATS = ("trl", "llamafactory", "axolotl", "openrlhf", "nemo_rl", "jsonl")


def export(folder: Path, **settings: Any) -> Path:
    """The exports of the rows."""
    tables = write_tables(folder / "tables", ROWS)
    manifest = folder / "models/tiny/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"source": "path:tiny", "revision": None, "digest": "d" * 64}))
    inputs = SimpleNamespace(**{**vars(tables), "pairs": tables.pairs[0], "manifests": [manifest]})
    export_pairs(inputs, ExportSettings(**settings), {"arm": "wim"}, folder / "exports")
    return folder / "exports"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("export"))


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, whose lines end with line feeds alone."""
    text = file.read_text(encoding="utf-8")
    found: list[dict[str, Any]] = (
        json.loads(text)
        if file.suffix == ".json"
        else [json.loads(each) for each in text.split("\n") if each]
    )
    return found


def sharegpt(turns: list[dict[str, str]]) -> list[Message]:
    roles = {"system": "system", "human": "user", "gpt": "assistant"}
    return [{"role": roles[turn["from"]], "content": turn["value"]} for turn in turns]


def pair_of(name: str, row: dict[str, Any]) -> tuple[list[Message], str, str]:
    """Prompt, chosen and rejected, as the tool's documentation says that they are read."""
    if name == "llamafactory":
        texts = [sharegpt([row[side]])[0]["content"] for side in ("chosen", "rejected")]
        return sharegpt(row["conversations"]), texts[0], texts[1]
    if name == "axolotl":
        return row["messages"], row["chosen"]["content"], row["rejected"]["content"]
    if name == "nemo_rl":
        ranked = sorted(row["completions"], key=lambda each: each["rank"])
        texts = [each["completion"][0]["content"] for each in ranked]
        return row["context"], texts[0], texts[1]
    if name == "jsonl":
        return row["prompt"], row["chosen"], row["rejected"]
    return row["prompt"], row["chosen"][0]["content"], row["rejected"][0]["content"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_texts_of_every_pair_turn_by_turn(exported: Path, name: str) -> None:
    suffix = ".json" if name == "llamafactory" else ".jsonl"
    found = [pair_of(name, row) for row in rows_of(exported / name / f"pairs_train{suffix}")]
    assert found == [
        (TALK, "Lake Geneva.", 'Lake "Como", {{x}}\n'),
        ([{"role": "user", "content": "Question 3?"}], "<b>One</b>", "Two"),
    ]
    held = [pair_of(name, row) for row in rows_of(exported / name / f"pairs_eval{suffix}")]
    assert [texts[1:] for texts in held] == [("Held out, A.", "Held out, B.")]


def completion_of(name: str, row: dict[str, Any]) -> list[Message]:
    if name == "llamafactory":
        return sharegpt(row["conversations"])
    if name in ("axolotl", "nemo_rl"):
        return list(row["messages"])
    if name == "openrlhf":
        return [*row["input"], *row["output"]]
    if name == "jsonl":
        return [*row["prompt"], {"role": "assistant", "content": row["completion"]}]
    return [*row["prompt"], *row["completion"]]


@pytest.mark.parametrize("name", FORMATS)
def test_completions_are_whole_conversations_that_end_with_the_chosen_answer(
    exported: Path, name: str
) -> None:
    suffix = ".json" if name == "llamafactory" else ".jsonl"
    found = [
        completion_of(name, row) for row in rows_of(exported / name / f"completions_train{suffix}")
    ]
    assert found[0] == [*TALK, {"role": "assistant", "content": "Lake Geneva."}]
    assert [messages[-1]["content"] for messages in found] == ["Lake Geneva.", "<b>One</b>"]


def test_ratings_have_every_judgement_with_its_words_status_and_rewards(exported: Path) -> None:
    rows = rows_of(exported / "jsonl/ratings_train.jsonl")
    assert len(rows) == 6
    failed = next(row for row in rows if row["status"] != "ok")
    assert failed["completion"] == "Yes. \u202e"
    assert failed["rewards"] == {"wim": None, "number": 1.0}
    assert rows[0]["raw"] == "It lacks dates. [[7]]"


def test_without_a_threshold_no_answer_is_labelled(exported: Path) -> None:
    assert not list(exported.rglob("labels_*"))


def test_labelled_answers_have_what_the_threshold_says_and_failed_judgements_are_left_out(
    tmp_path: Path,
) -> None:
    made = export(tmp_path, desirable_from=7)
    rows = rows_of(made / "trl/labels_train.jsonl")
    assert len(rows) == 5  # Of six candidates, one of which has no usable judgement.
    assert all(row["label"] is True for row in rows)
    assert rows[0] == {
        "prompt": TALK,
        "completion": [{"role": "assistant", "content": "Lake Geneva."}],
        "label": True,
    }
    turns = rows_of(made / "llamafactory/labels_train.json")
    assert sharegpt(turns[0]["conversations"]) == [*TALK, *rows[0]["completion"]]
    assert turns[0]["kto_tag"] is True
    info = json.loads((made / "llamafactory/dataset_info.json").read_text())
    assert info["labels_train"]["columns"]["kto_tag"] == "kto_tag"
    assert {path.parent.name for path in made.rglob("labels_*")} == {"trl", "llamafactory"}
    above = rows_of(export(tmp_path / "above", desirable_from=7.5) / "trl/labels_train.jsonl")
    assert not any(row["label"] for row in above)


def test_a_label_is_of_the_mean_of_all_judges_numbers() -> None:
    def said(judge: str, number: int | None, status: str = "ok") -> ExportedRating:
        row = {"candidate_id": "a", "judge": judge, "status": status, "rating": number}
        return ExportedRating([], "Yes.", "train", row, {})

    both = [said("strict", 4), said("mild", 9), said("mute", None, "truncated")]
    assert [one.desirable for one in labels_of(both, 6.5)] == [True]
    assert [one.desirable for one in labels_of(both, 6.6)] == [False]
    assert labels_of(both[2:], 1.0) == []


def test_samples_are_one_judges_and_aspects_and_unusable_words_count_for_nothing() -> None:
    def said(judge: str, number: int, **row: object) -> ExportedRating:
        row = {"candidate_id": "a", "judge": judge, "status": "ok", "rating": number, **row}
        return ExportedRating([], "Yes.", "train", row, {})

    rows = [
        *(said("twice", number, sample=sample) for sample, number in ((1, 2), (2, 4))),
        said("content", 9, status="nothing_missing"),
        said("content", 1, aspect="honesty"),
        said("echoes", 1, status="echo"),
    ]
    assert [labels_of(rows, bar)[0].desirable for bar in (6, 6.1)] == [True, False]


def test_llamafactory_gets_no_empty_answer_which_it_would_take_for_undesirable(
    tmp_path: Path,
) -> None:
    tables = write_tables(tmp_path / "tables", [Two(("", "No."))])
    inputs = SimpleNamespace(**{**vars(tables), "pairs": tables.pairs[0], "manifests": []})
    made = tmp_path / "exports"
    export_pairs(inputs, ExportSettings(desirable_from=7), {"arm": "wim"}, made)
    assert len(rows_of(made / "trl/labels_train.jsonl")) == 2
    turns = rows_of(made / "llamafactory/labels_train.json")
    assert [row["conversations"][-1]["value"] for row in turns] == ["No."]


def test_trl_takes_labelled_answers_as_unpaired_preferences(
    tmp_path: Path, tiny_model: Path
) -> None:
    from transformers import AutoTokenizer
    from trl.data_utils import maybe_apply_chat_template

    made = export(tmp_path, desirable_from=7)
    rows = rows_of(made / "trl/labels_train.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    read = maybe_apply_chat_template(rows[0], tokenizer)
    assert read["label"] is True
    assert "And a lake?" in read["prompt"]
    assert read["completion"].startswith("Lake Geneva.")


def test_llamafactorys_registry_names_every_file_and_what_it_is(exported: Path) -> None:
    folder = exported / "llamafactory"
    info = json.loads((folder / "dataset_info.json").read_text())
    assert {one["file_name"] for one in info.values()} == {
        path.name for path in folder.glob("*_*.json") if path.name != "dataset_info.json"
    }
    assert info["pairs_train"]["ranking"] is True
    assert "ranking" not in info["completions_train"]


def test_trl_and_datasets_load_what_is_written(exported: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from trl.data_utils import is_conversational

    loaded = datasets.load_dataset(
        "json",
        data_files=str(exported / "trl/pairs_train.jsonl"),
        split="train",
        cache_dir=str(tmp_path),
    )
    assert is_conversational(loaded[0])
    assert loaded[0]["prompt"] == TALK
    folder = datasets.load_dataset(
        str(exported / "dataset"), "pairs", split="train", cache_dir=str(tmp_path)
    )
    assert folder[0]["chosen"] == [{"role": "assistant", "content": "Lake Geneva."}]
    assert folder["margin"] == pytest.approx([1.0, 0.7])


def test_the_data_set_has_a_card_that_says_what_it_is_and_states_no_licence_of_its_own(
    exported: Path, tmp_path: Path
) -> None:
    text = (exported / "dataset/README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["license"] == "unknown"
    assert "state one in `export.license` before publishing" in body
    files = {part["path"] for each in card["configs"] for part in each["data_files"]}
    assert files == {
        path.relative_to(exported / "dataset").as_posix()
        for path in (exported / "dataset").rglob("*.parquet")
    }
    assert '"source": "path:tiny"' in body and "| test | 3 |" in body
    licensed = export(tmp_path, license="cc-by-4.0", title='Of "wool": one')
    front = (licensed / "dataset/README.md").read_text(encoding="utf-8").split("---\n")[1]
    assert yaml.safe_load(front)["license"] == "cc-by-4.0"
    assert yaml.safe_load(front)["pretty_name"] == 'Of "wool": one'


def test_croissant_names_every_file_with_its_digest_and_columns_that_are_there(
    exported: Path,
) -> None:
    from wim.provenance.digest import digest_file

    folder = exported / "dataset"
    found = json.loads((folder / "croissant.json").read_text())
    assert found["conformsTo"].startswith("http://mlcommons.org/croissant/")
    for file in found["distribution"]:
        assert digest_file(folder / file["contentUrl"]) == file["sha256"]
    for records in found["recordSet"]:
        for field in records["field"]:
            table = pd.read_parquet(folder / field["source"]["fileObject"]["@id"])
            assert field["source"]["extract"]["column"] in table.columns


def test_croissant_is_valid_by_its_own_library(exported: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(exported / "dataset/croissant.json")
    assert not dataset.metadata.ctx.issues.errors


def test_equal_tables_give_equal_exports(exported: Path, tmp_path: Path) -> None:
    again = export(tmp_path)
    for path in exported.rglob("*.*"):
        assert (again / path.relative_to(exported)).read_bytes() == path.read_bytes(), path
