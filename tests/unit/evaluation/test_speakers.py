"""The answers of an evaluation's speakers."""

from pathlib import Path

from support.builders import candidate
from wim.evaluation.speakers import answers_of_speakers
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES


def test_what_never_came_to_an_answer_is_none(tmp_path: Path) -> None:
    rows = [
        candidate("a", prompt_id="p"),
        candidate("b", prompt_id="q", completion="", reasoning="Hm", judged=False),
    ]
    write_table(tmp_path / "000.parquet", DIALOGUES, as_arrow(DIALOGUES, rows))
    found = answers_of_speakers([str(tmp_path / "000.parquet")], ["wim"])
    assert list(found["wim"]) == ["p"]
