"""AlpacaEval's files: model_outputs.json and annotations.json, and those of its length control.

github.com/tatsu-lab/alpaca_eval. A preference is a number from 1 to 2, where 2 means that output_2
wins; 1.5, and 0 in old files, is a draw, and null means that the judge failed. output_1 is the
reference's.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wim.display.json_files import write_json
from wim.errors import UserError
from wim.evaluation.formats.rows import FileRow, number, printable, read_rows

if TYPE_CHECKING:
    from wim.evaluation.compared.length_controlled import Gamed

ANNOTATIONS = "AlpacaEval's annotations.json: [{instruction, output_1, output_2, preference, ...}]"
OUTPUTS = "AlpacaEval's model_outputs.json: [{instruction, output, generator}]"
INSTRUCTIONS = "AlpacaEval's alpaca_eval.json, or any outputs: [{instruction, ...}]"
DIFFICULTIES = "AlpacaEval's instruction_difficulty.csv or df_gamed.csv"
GAMED = "AlpacaEval's df_gamed.csv: preference, std_delta_len, instruction_difficulty"
DRAW = 1.5
# Whose name a file without one has.
REFERENCE, MODEL, JUDGE = "output_1", "output_2", "unnamed judge"


@dataclass(frozen=True, kw_only=True)
class ModelOutput:
    """A model's answer to an instruction."""

    instruction: str
    output: str
    generator: str
    dataset: str | None = None


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A judge's preference between two models' answers to an instruction.

    Attributes:
        preference: 1 to 2, a draw as 1.5; None if there is none, and then why is in `cause`.
        annotator: The judge.
        output_1, output_2: The reference's answer and the model's; None where the file lacks them.
    """

    instruction: str
    output_1: str | None
    generator_1: str
    output_2: str | None
    generator_2: str
    annotator: str
    preference: float | None
    cause: str | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class Annotations:
    """A file's annotations, and the places of what is none."""

    rows: Sequence[Annotation]
    unreadable: Sequence[str] = ()


def read_annotations(path: Path) -> Annotations:
    """The annotations of a file, of one or of several models.

    Raises:
        UserError: There is no such file, or no row of it has a preference.
    """
    found = read_rows(path, ANNOTATIONS)
    if not any("preference" in row.values for row in found.rows):
        keys = printable(", ".join(sorted(found.rows[0].values)[:8]))
        raise UserError(
            f"{path}: no row has a preference; {found.rows[0].place} has {keys}. "
            f"Expected {ANNOTATIONS}."
        )
    return Annotations([_annotation(row) for row in found.rows], found.unreadable)


def _annotation(row: FileRow) -> Annotation:
    preference, cause = _preference(row)
    return Annotation(
        instruction=_instruction(row) or row.place,
        output_1=row.text("output_1"),
        generator_1=row.text("generator_1") or REFERENCE,
        output_2=row.text("output_2"),
        generator_2=row.text("generator_2") or MODEL,
        annotator=row.text("annotator", "annotator_name") or JUDGE,
        preference=preference,
        cause=cause,
        dataset=row.text("dataset"),
    )


def _preference(row: FileRow) -> tuple[float | None, str | None]:
    raw = row.values.get("preference")
    if raw is None or raw != raw:
        return None, "no preference"
    found = number(raw)
    if found is None:
        return None, "preference is no number"
    if found == 0:
        return DRAW, None
    return (found, None) if 1 <= found <= 2 else (None, "preference outside 1 to 2")


def _instruction(row: FileRow) -> str | None:
    """The instruction, followed by its input in files that have one."""
    instruction, given = row.text("instruction", "prompt"), row.text("input")
    if instruction is None:
        return None
    return f"{instruction}\n\n{given}" if given else instruction


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write annotations; one without preference is null, as AlpacaEval has it."""
    write_json(
        path,
        [
            {
                "instruction": one.instruction,
                "output_1": one.output_1,
                "generator_1": one.generator_1,
                "output_2": one.output_2,
                "generator_2": one.generator_2,
                "dataset": one.dataset,
                "annotator": one.annotator,
                "preference": one.preference,
                "price_per_example": None,
                "time_per_example": None,
                "raw_completion": None,
            }
            for one in annotations
        ],
    )


def read_model_outputs(path: Path) -> list[ModelOutput]:
    """A model's answers, or those of several.

    Raises:
        UserError: There is no such file, or a row lacks an instruction or an answer.
    """
    outputs = []
    for row in read_rows(path, OUTPUTS).rows:
        instruction, output = _instruction(row), row.text("output")
        if instruction is None or output is None:
            missing = "instruction" if instruction is None else "output"
            raise UserError(f"{path}: {row.place} has no {missing}; expected {OUTPUTS}.")
        outputs.append(
            ModelOutput(
                instruction=instruction,
                output=output,
                generator=row.text("generator") or path.stem,
                dataset=row.text("dataset"),
            )
        )
    return outputs


def read_instructions(path: Path) -> list[str]:
    """The instructions of any file whose rows have one, in its order.

    Raises:
        UserError: There is no such file, or a row has no instruction.
    """
    instructions = []
    for row in read_rows(path, INSTRUCTIONS).rows:
        instruction = _instruction(row)
        if instruction is None:
            raise UserError(f"{path}: {row.place} has no instruction; expected {INSTRUCTIONS}.")
        instructions.append(instruction)
    return instructions


def write_model_outputs(path: Path, outputs: Iterable[ModelOutput]) -> None:
    """Write a model's answers."""
    write_json(
        path,
        [
            {
                "dataset": one.dataset,
                "instruction": one.instruction,
                "output": one.output,
                "generator": one.generator,
            }
            for one in outputs
        ],
    )


def read_difficulties(path: Path) -> list[float]:
    """The instructions' difficulties, by their number in AlpacaEval's order, from 0.

    Raises:
        UserError: The file is missing, or has no such column, or its numbers leave one out.
    """
    found: dict[int, float] = {}
    for place, row in _csv(path, DIFFICULTIES, ["instruction_difficulty"]):
        index = number(row.get("index") or row.get("") or place - 1)
        difficulty = number(row["instruction_difficulty"])
        if index is None or difficulty is None:
            raise UserError(f"{path}: row {place} has no number of an instruction's difficulty.")
        found.setdefault(int(index), difficulty)
    if sorted(found) != list(range(len(found))):
        raise UserError(f"{path}: the instructions are not numbered from 0 to {len(found) - 1}.")
    return [found[index] for index in range(len(found))]


def read_gamed(path: Path) -> "Gamed":
    """The reference's judged rows against its concise and verbose self.

    Raises:
        UserError: The file is missing, or a row is of another form.
    """
    import numpy as np

    from wim.evaluation.compared.length_controlled import Gamed

    columns = ["preference", "std_delta_len", "instruction_difficulty"]
    rows = []
    for place, row in _csv(path, GAMED, columns):
        if (row.get("not_gamed_baseline") or "False").strip().lower() not in ("false", "0", "0.0"):
            raise UserError(f"{path}: row {place} is not of the gamed reference; expected {GAMED}.")
        values = [number(row[column]) for column in columns]
        if values[0] is None:
            continue
        if None in values or not 0 <= values[0] <= 1:
            raise UserError(f"{path}: row {place} has {row}; expected {GAMED}.")
        rows.append(values)
    scores, leads, difficulties = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Gamed(scores, leads, difficulties)


def _csv(path: Path, form: str, columns: Sequence[str]) -> list[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows: list[tuple[int, Mapping[str, str]]] = list(
                enumerate(csv.DictReader(file), start=1)
            )
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); write the path of {form}."
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: no CSV in UTF-8 ({error}); expected {form}.") from None
    missing = [name for name in columns if not rows or name not in rows[0][1]]
    if missing:
        raise UserError(f"{path}: found no column {', '.join(missing)}; expected {form}.")
    return rows
