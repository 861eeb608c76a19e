"""Prompts from a folder, as a data set comes: read once, and again when a file in it changes."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq

from support.workflow_runs import Project, jobs_done

TABLE = "results/prompts/prompts.parquet"


def write_preferences(path: Path, *questions: str) -> None:
    """Rows in the form of HH-RLHF."""
    rows = [
        {
            "chosen": f"\n\nHuman: {question}\n\nAssistant: Yes.",
            "rejected": f"\n\nHuman: {question}\n\nAssistant: No.",
        }
        for question in questions
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def test_a_folder_of_transcripts_is_read_and_an_edit_in_it_is_noticed(tmp_path: Path) -> None:
    project = Project.copied(tmp_path / "project", {}, [])
    write_preferences(project.folder / "hh/helpful/train.jsonl.gz", "Is it late?", "Is it far?")
    write_preferences(project.folder / "hh/helpful/test.jsonl.gz", "Is it held out?")
    project.set("prompts.files", ["hh"])
    project.set("prompts.column", "chosen")
    project.set("prompts.split", "train")
    project.set("prompts.transcripts", "read")
    assert "the turns of 2 texts were read as messages" in project.run("--", TABLE)
    rows = pq.read_table(project.folder / TABLE).to_pylist()
    assert {(row["messages"][0]["content"], row["reference"]) for row in rows} == {
        ("Is it late?", "Yes."),
        ("Is it far?", "Yes."),
    }

    assert project.planned("--", TABLE) == {}
    write_preferences(project.folder / "hh/helpful/train.jsonl.gz", "Is it near?")
    assert jobs_done(project.run("--", TABLE)) == {"ingest_prompts": 1}
