"""Prompt files of data sets on the hub: fetched once, packed, and read like any other file."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from wim.errors import UserError
from wim.prompts.ingest import ingest_prompts
from wim.settings.load import load_config
from wim.settings.prompts import PromptSettings, staged_path
from wim.tables.files import read_table
from wim.tables.schemas import PROMPTS

COMMIT = "c" * 40
SOURCE = "hf:org/posts@main/data/train-*.jsonl"


def hub_cache(home: Path, files: dict[str, str]) -> None:
    """A hub cache as downloads leave it: the data set org/posts, its branch main at COMMIT."""
    repo = home / "hub" / "datasets--org--posts"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(COMMIT)
    for name, content in files.items():
        path = repo / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def staged(home: Path, output: Path, source: str = SOURCE) -> str:
    """Stage a source in a process of its own, as a job does; its refusal, or nothing."""
    program = (
        "import sys; from pathlib import Path; from wim.errors import UserError; "
        "from wim.prompts.hub_files import stage_prompts\n"
        "try: stage_prompts(sys.argv[1], Path(sys.argv[2]))\n"
        "except UserError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, source, str(output)],
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def row(text: str) -> str:
    return json.dumps({"prompt": text}) + "\n"


def test_the_files_of_a_pattern_are_packed_and_read_like_any_archive(tmp_path: Path) -> None:
    hub_cache(
        tmp_path / "home",
        {
            "data/train-0.jsonl": row("Name a river."),
            "data/train-1.jsonl": row("Why does it rain?"),
            "data/test-0.jsonl": row("Not asked for."),
            "README.md": "A data set.",
        },
    )
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    assert staged(tmp_path / "home", first) == staged(tmp_path / "home", second) == ""
    assert first.read_bytes() == second.read_bytes()

    ingest_prompts(PromptSettings(files=[str(first)]), tmp_path / "prompts.parquet")
    rows = read_table(tmp_path / "prompts.parquet", PROMPTS).to_pylist()
    found = {(each["messages"][0]["content"], each["source"]) for each in rows}
    assert found == {
        ("Name a river.", "train-0.jsonl"),
        ("Why does it rain?", "train-1.jsonl"),
    }


def test_a_data_set_that_cannot_be_had_says_how_to_fetch_it(tmp_path: Path) -> None:
    hub_cache(tmp_path / "home", {"README.md": "A data set."})
    for place in (tmp_path / "home", tmp_path / "empty"):
        said = staged(place, tmp_path / "out.tar")
        assert SOURCE in said and "HF_HUB_OFFLINE is set" in said
        assert "hf download org/posts --repo-type dataset --revision main" in said
    assert not (tmp_path / "out.tar").exists()


def test_sources_of_one_data_set_are_staged_apart() -> None:
    other = SOURCE.replace("train", "test")
    assert staged_path(SOURCE) != staged_path(other)
    assert (staged_path(SOURCE) or "").startswith("results/prompts/hub/org--posts-")
    assert staged_path("prompts.jsonl") is None


@pytest.mark.parametrize("source", ["hf:org/posts", "hf:org/posts@main", "hf:posts@main/a.json"])
def test_a_source_without_revision_or_files_is_refused_with_what_to_write(source: str) -> None:
    with pytest.raises(UserError, match="hf:<data set>@<revision>/<files>") as refused:
        load_config(yaml.safe_load(f"prompts: {{files: ['{source}']}}"))
    assert "prompts.files" in str(refused.value) and source in str(refused.value)


UNUSABLE = [
    {"prompt": ""},
    {"prompt": None},
    {"prompt": []},
    {"prompt": [{"role": "assistant", "content": "I begin."}]},
    {"prompt": [{"role": "bard", "content": "Who am I?"}]},
]


@pytest.mark.parametrize("values", UNUSABLE, ids=lambda values: str(values["prompt"])[:24])
def test_a_row_without_a_prompt_is_refused_or_left_out_and_counted(
    tmp_path: Path, values: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(row("Name a river.") + json.dumps(values) + "\n")
    with pytest.raises(UserError, match=r"rows\.jsonl:2"):
        ingest_prompts(PromptSettings(files=[str(file)]), tmp_path / "refused.parquet")

    caplog.set_level(logging.INFO)
    settings = PromptSettings(files=[str(file)], unusable="drop")
    ingest_prompts(settings, tmp_path / "dropped.parquet")
    assert read_table(tmp_path / "dropped.parquet", PROMPTS).num_rows == 1
    assert "2 read, 1 without a prompt" in caplog.text


def test_what_becomes_of_unusable_rows_is_told_only_where_it_matters() -> None:
    assert "unusable" not in PromptSettings().identity()
    assert PromptSettings(unusable="drop").identity()["unusable"] == "drop"
