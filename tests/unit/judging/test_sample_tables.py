"""Tables of several judgements of each candidate: what is said of those that failed."""

import logging
from pathlib import Path
from typing import Any

import pytest

from support.builders import candidate, rating
from wim.engines.staged import StagedModel
from wim.errors import UserError
from wim.judging.rate_aspects import rate_aspects
from wim.judging.sample_tables import each_sample, sample_of, write_samples
from wim.judging.samples import rate_samples
from wim.judging.samples_wanted import rows_wanted
from wim.models.stage import stage_model
from wim.settings.models import ModelSource
from wim.settings.sampled_judges import NamedJudge
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import DIALOGUES, RATINGS

TEMPLATES = Path(__file__).parents[3] / "config/templates"


@pytest.fixture
def outputs(tmp_path: Path) -> list[Path]:
    return [tmp_path / "first.parquet", tmp_path / "second.parquet"]


@pytest.fixture
def inputs(tiny_model: Path, tmp_path: Path) -> dict[str, Any]:
    """A judge's model, and a table of two candidates that it judges."""
    source = ModelSource(source=f"path:{tiny_model}", dtype="float32")
    stage_model(source, tmp_path / "model")
    dialogues = tmp_path / "dialogues.parquet"
    write_table(dialogues, DIALOGUES, as_arrow(DIALOGUES, [candidate("c"), candidate("d")]))
    model = StagedModel(tmp_path / "model/manifest.json", source, tmp_path / "store")
    return {"dialogues": dialogues, "model": model, "judge": "j", "seed": 0}


def templates_of(settings: NamedJudge) -> list[Path]:
    return [TEMPLATES.parents[1] / path for path in settings.templates_for(False)]


def rate(settings: NamedJudge, inputs: dict[str, Any], outputs: list[Path]) -> None:
    """Run the stage of the settings."""
    given = {**inputs, "settings": settings, "samples": settings.samples, "outputs": outputs}
    if settings.aspects:
        aspects = outputs[0].with_name("aspects.parquet")
        rate_aspects(templates=templates_of(settings), aspects=aspects, **given)
    else:
        rate_samples(templates=templates_of(settings), **given)


# The tiny model ends no text in so few tokens, and knows no headings.
@pytest.mark.parametrize(("aspects", "tokens"), [([], 2), (["honesty", "helpfulness"], 32)])
def test_a_sample_without_a_usable_judgement_is_a_warning_in_both_stages(
    aspects: list[str],
    tokens: int,
    inputs: dict[str, Any],
    outputs: list[Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sampling = {"max_new_tokens": tokens, "temperature": 1.0}
    settings = NamedJudge.model_validate(
        {"model": "m", "sampling": sampling, "samples": 2, "aspects": aspects}
    )
    wanted, lacking = rows_wanted(templates=templates_of(settings), settings=settings, **inputs)
    assert (wanted, lacking) == (4, 4)
    rate(settings, inputs, outputs)
    for name in ("j", "j~2"):
        assert f"ratings by {name}: none of 2 is usable: " in caplog.text
    tables = [read_table(path, RATINGS).to_pylist() for path in outputs]
    assert [[row["candidate_id"] for row in rows] for rows in tables] == [["c", "d"]] * 2
    assert rows_wanted(templates=templates_of(settings), settings=settings, **inputs) == (4, 0)


def test_one_usable_judgement_is_no_warning(
    outputs: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    failed = {"status": "unparsable", "rating": None, "rating_expected": None, "wim": None}
    rows = [rating("a"), *(rating(name, **failed) for name in "bcd")]
    with caplog.at_level(logging.INFO):
        write_samples("j", [rows, []], {}, outputs)
    assert [each.levelname for each in caplog.records] == ["INFO", "INFO"]
    assert "ratings by j: 4 rows: 1 ok, 3 unparsable" in caplog.messages
    assert "ratings by j~2: 0 rows: none" in caplog.messages


def test_the_reason_of_an_error_is_that_of_its_own_sample(
    outputs: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    error = {"status": "error", "rating": None, "rating_expected": None, "wim": None}
    rows = [rating("a"), rating("b", **error, raw="No date.")]
    unanswered = {"b": "status 500", "b~2": "timed out"}
    write_samples("j", [rows, rows], unanswered, outputs)
    first, second = caplog.messages
    assert "ratings by j: 1 of 2 rows failed: 1 status 500; the first: status 500" in first
    assert "ratings by j~2: 1 of 2 rows failed: 1 timed out; the first: timed out" in second
    with pytest.raises(UserError, match=r"ratings by j~2: all 1 rows failed: 1 timed out"):
        write_samples("j", [rows[:1], rows[1:]], unanswered, outputs)


def test_tables_beyond_the_last_sample_have_no_row(outputs: list[Path]) -> None:
    write_samples("j", [[rating("a")]], {}, outputs)
    assert [read_table(path, RATINGS).num_rows for path in outputs] == [1, 0]


def test_each_sample_is_asked_by_an_id_of_its_own() -> None:
    ids = [row.candidate_id for row in each_sample([candidate("a"), candidate("b")], 3)]
    assert ids == ["a", "a~2", "a~3", "b", "b~2", "b~3"]
    assert [sample_of(each) for each in ids[:3]] == [("a", 1), ("a", 2), ("a", 3)]
