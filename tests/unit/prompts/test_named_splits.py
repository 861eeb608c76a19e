"""Of a data set with several splits the wanted one is read, and none is mixed in silently."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.prompt_files import ids, ingest, refusal, settings_for, user, write_jsonl
from wim.prompts.named_splits import split_named
from wim.provenance.digest import row_id

TRAIN, TEST = ["Name a river.", "Name a lake."], ["Why does it rain?"]


def write_parquet(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"prompt": texts}), path)


def saved_splits(folder: Path) -> Path:
    import datasets

    splits = {"train": {"prompt": TRAIN}, "test": {"prompt": TEST}}
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(rows) for name, rows in splits.items()}
    ).save_to_disk(folder / "set")
    return folder / "set"


def saved_apart(folder: Path) -> Path:
    saved = saved_splits(folder)
    (saved / "dataset_dict.json").unlink()
    return saved


def hub_folder(folder: Path) -> Path:
    write_parquet(folder / "set/data/train-00000-of-00002.parquet", TRAIN[:1])
    write_parquet(folder / "set/data/train-00001-of-00002.parquet", TRAIN[1:])
    write_parquet(folder / "set/data/test-00000-of-00001.parquet", TEST)
    (folder / "set/README.md").write_text("A data set.")
    (folder / "set/.cache").mkdir()
    write_parquet(folder / "set/.cache/validation.parquet", ["Hidden."])
    return folder / "set"


def folders_of_splits(folder: Path) -> Path:
    write_parquet(folder / "set/train/0.parquet", TRAIN)
    write_parquet(folder / "set/test/0.parquet", TEST)
    return folder / "set"


def packed(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder / "set"), "gztar", hub_folder(folder)))


def packed_splits(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder / "own"), "zip", saved_splits(folder).parent, "set"))


WITH_SPLITS = [saved_splits, saved_apart, hub_folder, folders_of_splits, packed, packed_splits]


def expected(texts: list[str]) -> set[object]:
    return {row_id([user(text)]) for text in texts}


@pytest.mark.parametrize("write", WITH_SPLITS)
def test_one_of_several_splits_is_read_where_the_settings_say_which(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = write(tmp_path)
    message = refusal(path)
    assert "found the splits t" in message and "train" in message and "test" in message
    assert "write prompts.split: t" in message
    assert ids(ingest(path, split="train")) == expected(TRAIN)
    assert ids(ingest(path, split="test")) == expected(TEST)
    assert ids(ingest(path, split="train+test")) == expected(TRAIN + TEST)
    assert "and not dev; write prompts.split: <one of them>" in refusal(path, split="train+dev")
    assert "and not " in refusal(path, split="train+")


def test_a_split_has_a_folder_of_its_own_that_can_be_named(tmp_path: Path) -> None:
    assert ids(ingest(saved_splits(tmp_path) / "train")) == expected(TRAIN)
    assert ids(ingest(folders_of_splits(tmp_path / "more") / "test")) == expected(TEST)


def test_the_only_split_is_read_but_not_in_place_of_another(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set/test-00000-of-00001.parquet", TEST)
    assert ids(ingest(tmp_path / "set")) == expected(TEST)
    assert "found the splits test, and not train" in refusal(tmp_path / "set", split="train")


def test_a_split_is_asked_only_of_data_sets_that_have_splits(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "set" / name).write_text(json.dumps({"prompt": name}) + "\n")
    assert len(ingest(tmp_path / "set", split="train")) == 2
    assert len(ingest(tmp_path / "set" / "a.jsonl", split="train")) == 1
    # A file that is named by itself is wanted, whatever it is called.
    (tmp_path / "test.jsonl").write_text('{"prompt": "Why?"}\n')
    assert len(ingest(tmp_path / "test.jsonl", split="train")) == 1


def test_the_rows_of_a_split_are_named_with_it(tmp_path: Path) -> None:
    import datasets

    splits = {"train": {"prompt": ["fine"]}, "test": {"prompt": [""]}}
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(rows) for name, rows in splits.items()}
    ).save_to_disk(tmp_path / "set")
    assert len(ingest(tmp_path / "set", split="train")) == 1
    message = refusal(tmp_path / "set", split="train+test")
    assert "set, split test, row 1: column 'prompt': found an empty" in message


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.jsonl", "train"),
        ("my_train.v2.jsonl.gz", "train"),
        ("data/train-00000-of-00002.parquet", "train"),
        ("data/train_sft-00000-of-00002.parquet", "train_sft"),
        ("data/ultrachat-test_gen-00000-of-00002.parquet", "test_gen"),
        ("default/train/0000.parquet", "train"),
        ("default/partial-train/0000.parquet", "train"),
        ("test/part-00000-of-00002.parquet", "test"),
        ("data/fr-00000-of-00002.parquet", "fr"),
        ("dev.csv", "validation"),
        ("Validation.JSON", "validation"),
        ("eval_set/a.jsonl", "test"),
        ("test_data/train.jsonl", "train"),
        ("a.jsonl", None),
        ("more/latest/trains.jsonl", None),
        ("contest.jsonl", None),
    ],
)
def test_a_files_name_says_its_split(name: str, split: str | None) -> None:
    assert split_named(PurePosixPath(name)) == split


# Folders


def test_a_folder_is_read_like_an_archive_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = hub_folder(tmp_path)
    (folder / "loop").symlink_to(folder)
    with caplog.at_level(logging.INFO, "wim.prompts.readers"):
        rows = ingest(folder, split="train")
    assert {row["source"] for row in rows} == {
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    }
    assert f"prompts.files: {folder}: left out: README.md, loop" in caplog.messages
    assert f"prompts.files: {folder}: 2 of 3 files are of the split" in caplog.messages


def test_a_prompt_file_whose_link_leads_nowhere_is_refused(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path)
    (folder / "gone.jsonl").symlink_to(tmp_path / "nowhere.jsonl")
    message = refusal(folder)
    assert f"gone.jsonl is a link to {tmp_path}/nowhere.jsonl, which is not there" in message


def test_a_split_that_no_name_says_has_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_jsonl(tmp_path / "questions.jsonl", [{"prompt": "Why?"}])
    folder = tmp_path / "folder"
    folder.mkdir()
    write_jsonl(folder / "some.jsonl", [{"prompt": "Why?"}])
    for source in (path, folder):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "wim.prompts.readers"):
            assert len(ingest(source, split="train")) == 1
        assert len(caplog.messages) == 1
        assert f"{source}: prompts.split: train has no effect" in caplog.messages[0]


def test_a_folder_without_prompt_files_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "folder: found nothing in it; write an archive or a" in refusal(tmp_path / "folder")
    (tmp_path / "folder/notes.txt").write_text("Why?")
    message = refusal(tmp_path / "folder")
    assert "folder: found notes.txt in it" in message and ".jsonl, .json, .csv" in message


def test_the_split_is_told_only_where_it_matters() -> None:
    assert "split" not in settings_for("p.jsonl").identity()
    assert settings_for("p.jsonl", split="train").identity()["split"] == "train"
