"""Reads critiques that someone else's judge has written, with the number of each.

A row is a judgement: {prompt, response, critique, number}, or prometheus-eval's {instruction,
response, feedback, score} (Kim et al. 2024, arXiv 2405.01535), also with `orig_` before the names.
Where critique and number are lists, a row has several judgements. prometheus-eval's benchmarks have
the response within the judge's prompt, between headings; it is taken out of it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.evaluation.formats.rows import FileRow, FileRows, number, read_rows, readable, some
from wim.settings.study import RecordedSettings

NAMES: Mapping[str, Sequence[str]] = {
    "prompt": ("orig_instruction", "prompt", "instruction", "question", "input"),
    "response": ("orig_response", "response", "completion", "output", "answer"),
    "critique": ("orig_feedback", "critique", "feedback", "gpt4_feedback", "wim"),
    "number": ("orig_score", "number", "score", "gpt4_score", "rating"),
    "label": ("label", "human_score", "gold_score", "reference_score"),
    "subset": ("subset", "category"),
    "tokens": ("tokens",),
}
FORM = (
    "rows of {prompt, response, critique, number}, or of {instruction, response, feedback, score}"
)
# The headings of a judge's prompt in prometheus-eval's benchmarks, and its mark before the number.
ASKED, ANSWERED = "###The instruction to evaluate:", "###Response to evaluate:"
RESULT = re.compile(r"\[RESULT\]\s*\(?(\S*?)\)?\s*$")


@dataclass(frozen=True)
class Judgement:
    """A judgement of a response as it was recorded.

    Attributes:
        critique, number: None where the judge gave none that can be read.
        label: What is right, a number where the higher is better; None where the row has none.
        tokens: What the judge wrote, in tokens; None where the row does not say.
        place: The file and row, for errors.
    """

    prompt: str
    response: str
    critique: str | None
    number: float | None
    label: float | None
    subset: str
    tokens: int | None
    place: str


def read_recorded(settings: RecordedSettings, files: Sequence[Path]) -> list[Judgement]:
    """The judgements of the files, in their order.

    Args:
        settings: The columns' names, and the scale.
        files: settings.ratings, as paths that exist.

    Raises:
        UserError: With file and rows, for rows without a prompt or a response, for numbers that are
            off the scale, and for a file without critiques.
    """
    found = []
    for path in files:
        content = read_table_rows(path, FORM)
        problems = [f"{each} is no object" for each in content.unreadable]
        for row in content.rows:
            judgements = list(_judgements(row, settings, path))
            if not judgements:
                problems.append(f"{row.place} has no text of a prompt and of a response")
            found += judgements
        if problems:
            columns = ", ".join(sorted({key for row in content.rows[:50] for key in row.values}))
            raise UserError(
                f"{path}: {some(problems)}; found the columns {columns}, expected {FORM}. Name "
                "other columns under study.recorded.<name>.columns."
            )
    if not any(one.critique for one in found):
        raise UserError(
            f"{', '.join(map(str, files))}: no row has the text of a critique; expected {FORM}. "
            "Name its column under study.recorded.<name>.columns.critique."
        )
    if settings.scale:
        low, high = settings.scale
        off = [one for one in found if one.number is not None and not low <= one.number <= high]
        if off:
            numbers = sorted({one.number for one in off if one.number is not None})
            raise UserError(
                f"{some([one.place for one in off])}: found the numbers "
                f"{some([f'{value:g}' for value in numbers])}, off the scale of {low:g} to {high:g};"
                " correct study.recorded.<name>.scale."
            )
    return found


def read_table_rows(path: Path, form: str) -> FileRows:
    """The rows of a JSON, JSON lines, CSV or Parquet file; raises UserError as `read_rows` does."""
    if path.suffix not in (".parquet", ".csv"):
        return read_rows(path, form)
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
        else:
            options = pyarrow.csv.ParseOptions(newlines_in_values=True)
            table = pyarrow.csv.read_csv(path, parse_options=options)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; write the path of {form}.") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected {form}.") from None
    rows = [FileRow(f"row {place}", row) for place, row in enumerate(table.to_pylist(), start=1)]
    if not rows:
        raise UserError(f"{path}: found no row; expected {form}.")
    return FileRows(path, rows)


def _judgements(row: FileRow, settings: RecordedSettings, path: Path) -> Iterator[Judgement]:
    """The judgements of a row; none where it has no prompt or no response."""
    prompt, response = texts_of(row, settings.columns)
    if prompt is None or response is None:
        return
    critiques, numbers = (_listed(_value(row, name, settings)) for name in ("critique", "number"))
    label, tokens = (number(_value(row, name, settings)) for name in ("label", "tokens"))
    count = max(len(critiques), len(numbers))
    for critique, value in zip(
        critiques + [None] * (count - len(critiques)),
        numbers + [None] * (count - len(numbers)),
        strict=True,
    ):
        text, marked = _without_result(critique)
        yield Judgement(
            prompt=prompt,
            response=response,
            critique=text,
            number=marked if value is None else number(value),
            label=label,
            subset=str(_value(row, "subset", settings) or ""),
            tokens=None if tokens is None or count > 1 else int(tokens),
            place=f"{path.name}, {row.place}",
        )


def texts_of(row: FileRow, columns: Mapping[Any, str]) -> tuple[str | None, str | None]:
    """The prompt and the response of a row; None for what it lacks.

    An `input` beside an instruction follows it, as in Alpaca's rows.
    """
    names = [columns["prompt"]] if "prompt" in columns else NAMES["prompt"]
    prompt, response = (
        row.text(*([columns[name]] if name in columns else NAMES[name]))
        for name in ("prompt", "response")
    )
    if prompt is not None and ASKED in prompt and ANSWERED in prompt:
        asked, _, answered = prompt.partition(ANSWERED)
        within = answered.partition("\n###")[0].strip()
        return asked.rpartition(ASKED)[2].strip(), within if response is None else response
    about = row.text("input") or ""
    used = next((name for name in names if isinstance(row.values.get(name), str)), None)
    joined = used is not None and used != "input" and about.strip()
    if prompt is not None and joined:
        prompt = f"{prompt}\n\n{about}"
    return prompt, response


def _value(row: FileRow, name: str, settings: RecordedSettings) -> Any:
    """The first value of a row under the names of a column that is there."""
    names = [settings.columns[name]] if name in settings.columns else NAMES[name]  # type: ignore[index]
    return next((row.values[key] for key in names if row.values.get(key) is not None), None)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _without_result(critique: Any) -> tuple[str | None, float | None]:
    """A critique without the number that it ends with as `[RESULT] 4`, and that number."""
    if not isinstance(critique, str) or not critique.strip():
        return None, None
    critique = readable(critique)
    marked = RESULT.search(critique)
    if marked is None:
        return critique.strip(), None
    return critique[: marked.start()].strip() or None, number(marked[1])
