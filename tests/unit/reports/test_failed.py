"""Rows without an answer, as the summary reports them."""

from pathlib import Path

from support.builders import candidate, rating
from wim.reports.failed import failed_figures, failed_text
from wim.tables.files import as_arrow, failed_rows, write_table
from wim.tables.schemas import DIALOGUES, RATINGS


def tables(folder: Path, failed: int) -> tuple[list[str], list[str]]:
    """A dialogues table and a ratings table of four rows, of which some failed."""
    dialogues, ratings = folder / "base/000.parquet", folder / "base/far/000.parquet"
    rows = [candidate(f"c{place}", sample=place) for place in range(4)]
    judged = [rating(row.candidate_id, judge="far") for row in rows]
    write_table(dialogues, DIALOGUES, as_arrow(DIALOGUES, rows), failed=failed)
    write_table(ratings, RATINGS, as_arrow(RATINGS, judged), failed=failed)
    return [str(dialogues)], [str(ratings)]


def test_failed_rows_are_counted_of_those_that_were_wanted(tmp_path: Path) -> None:
    dialogues, ratings = tables(tmp_path, failed=1)
    found = failed_figures(dialogues, ratings, [])
    # A completion that failed is not in its table, a judgement is.
    assert found == {
        "completions": {"wanted": 5, "failed": 1},
        "ratings by far": {"wanted": 4, "failed": 1},
    }
    text = failed_text(found)
    assert "1 of 5 completions, 1 of 4 ratings by far" in text and "`wim retry`" in text


def test_where_no_row_failed_nothing_is_said_and_no_byte_differs(tmp_path: Path) -> None:
    dialogues, ratings = tables(tmp_path, failed=0)
    assert failed_figures(dialogues, ratings, []) == {}
    assert failed_text({}) == ""
    assert failed_rows(dialogues[0], DIALOGUES) == 0
    plain = tmp_path / "plain.parquet"
    rows = [candidate(f"c{place}", sample=place) for place in range(4)]
    write_table(plain, DIALOGUES, as_arrow(DIALOGUES, rows))
    assert plain.read_bytes() == Path(dialogues[0]).read_bytes()
