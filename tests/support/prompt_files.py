"""Prompt files to write, and what becomes of them: their prompts, or the refusal."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.prompts.ingest import ingest_prompts
from wim.settings.prompts import PromptSettings
from wim.tables.files import read_table
from wim.tables.schemas import PROMPTS

DEMO = REPOSITORY / "config/prompts/demo.jsonl"
DATA = os.environ.get("WIM_TEST_DATA")

Row = Mapping[str, object]


def open_data(name: str) -> Path:
    """A file of the open data; the test is skipped where it is not there."""
    if DATA is None:
        pytest.skip("WIM_TEST_DATA does not name the folder of the open data")
    path = Path(DATA) / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def demo_rows() -> list[Row]:
    """The rows of the demo's prompts."""
    return [json.loads(line) for line in DEMO.read_text(encoding="utf-8").split("\n") if line]


def write_jsonl(path: Path, rows: Sequence[object], ascii_only: bool = False) -> Path:
    """A file of one JSON object per line."""
    lines = [json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def settings_for(*files: Path | str, **changes: object) -> PromptSettings:
    """Settings of these files that keep every prompt."""
    return PromptSettings.model_validate(
        {"files": [str(file) for file in files], "limit": None} | changes
    )


def ingest(*files: Path | str, **changes: object) -> list[dict[str, object]]:
    """The rows of the table that these files become."""
    output = Path(files[0]).parent / "prompts.parquet"
    ingest_prompts(settings_for(*files, **changes), output)
    rows: list[dict[str, object]] = read_table(output, PROMPTS).to_pylist()
    return rows


def ingested_bytes(*files: Path, **changes: object) -> bytes:
    """The bytes of the table that these files become."""
    ingest(*files, **changes)
    return (files[0].parent / "prompts.parquet").read_bytes()


def ingest_row(folder: Path, row: Row, **changes: object) -> dict[str, object]:
    """The row that a file of one row becomes."""
    (only,) = ingest(write_jsonl(folder / "one.jsonl", [row]), **changes)
    return only


def refusal(*files: Path | str, **changes: object) -> str:
    """The error that these files end with, which is one line."""
    with pytest.raises(UserError) as caught:
        ingest(*files, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


def row_refusal(folder: Path, row: object, **changes: object) -> str:
    """The error that a file ends with for its second row."""
    return refusal(write_jsonl(folder / "rows.jsonl", [{"prompt": "fine"}, row]), **changes)


def ids(rows: Sequence[Mapping[str, object]]) -> set[object]:
    """The ids of prompts."""
    return {row["prompt_id"] for row in rows}


def user(content: str) -> dict[str, str]:
    """A message of the user's."""
    return {"role": "user", "content": content}


def answer(content: str) -> dict[str, str]:
    """A message of the assistant's."""
    return {"role": "assistant", "content": content}
