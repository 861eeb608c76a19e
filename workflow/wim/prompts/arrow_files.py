"""Read rows of Parquet files and of folders that datasets' `save_to_disk` wrote."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.prompts.arrow_text import not_utf8_in
from wim.prompts.named_splits import wanted_splits
from wim.prompts.rows import Placed, found_text, repeated

if TYPE_CHECKING:
    import pyarrow as pa

AGAIN = "fetch or write it again"
SAVED = ("state.json", "dataset_dict.json")


def read_parquet(path: Path, source: str) -> Iterator[Placed]:
    """The rows of a Parquet file; raises UserError where it, or one of its pages, is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(
            f"{source}: not a readable Parquet file ({_line(error)}); {AGAIN}."
        ) from None
    with file:
        # Group by group, so that of a damaged one the rows before it are known.
        groups = range(file.num_row_groups)
        batches = (batch for group in groups for batch in file.iter_batches(row_groups=[group]))
        yield from _placed(source, file.schema_arrow, batches)


def is_saved(folder: Path) -> bool:
    """Whether datasets' save_to_disk wrote a folder."""
    return any((folder / name).is_file() for name in SAVED)


def has_own_splits(folder: Path) -> bool:
    """Whether datasets' save_to_disk wrote a folder of several splits, a DatasetDict."""
    return (folder / "dataset_dict.json").is_file()


def read_saved(folder: Path, source: str, split: str | None) -> Iterator[Placed]:
    """The rows of a folder that datasets' save_to_disk wrote; of a DatasetDict those of a split.

    Raises:
        UserError: The folder is damaged, has several splits and none is wanted, or lacks it.
    """
    import datasets
    import pyarrow as pa

    try:
        saved = datasets.load_from_disk(str(folder))
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        pa.ArrowException,
    ) as error:
        raise UserError(
            f"{source}: not a readable datasets folder ({_line(error)}); {AGAIN}."
        ) from None
    if not isinstance(saved, datasets.DatasetDict):
        yield from _placed_of(saved, source)
        return
    for name in wanted_splits(saved, split, source):
        yield from _placed_of(saved[name], f"{source}, split {name}")


def _placed_of(dataset: Any, source: str) -> Iterator[Placed]:
    # As Arrow, so that images and audio among the other columns are not decoded.
    batches = dataset.with_format("arrow").iter(batch_size=1000)
    yield from _placed(source, dataset.features.arrow_schema, batches)


def _placed(
    source: str, schema: "pa.Schema", batches: "Iterable[pa.RecordBatch] | Iterable[pa.Table]"
) -> Iterator[Placed]:
    _check_names(schema, source)
    number = 0
    for batch in _undamaged(source, batches):
        for values in _rows(batch, source, number):
            number += 1
            yield f"{source}, row {number}", _without_index(values)


def _undamaged(source: str, batches: "Iterable[Any]") -> Iterator[Any]:
    """The same batches; raises UserError with the number of rows that could be read before."""
    import pyarrow as pa

    number = 0
    try:
        for batch in batches:
            yield batch
            number += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(_damaged(source, number, error)) from None


def _rows(batch: Any, source: str, before: int) -> list[dict[str, object]]:
    """A batch's rows in plain Python; `before` is the number of rows in earlier batches.

    Raises:
        UserError: The batch is damaged, or a value has no form in Python; names row and column.
    """
    import pyarrow as pa

    try:
        # What comes from a file may point outside of its own memory.
        batch.validate(full=True)
        rows: list[dict[str, object]] = batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise UserError(
            not_utf8_in(batch, source, before) or _damaged(source, before, error)
        ) from (None)
    except (ValueError, OverflowError) as error:
        place, reason = _first_without_form(batch, source, before, error)
        raise UserError(
            f"{place}: not readable ({reason}); take it out, or write it as a string."
        ) from None
    return rows


def _first_without_form(batch: Any, source: str, before: int, error: Exception) -> tuple[str, str]:
    """The place of the first value that plain Python has no form for, and what it says of it."""
    for row in range(batch.num_rows):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column[row].as_py()
            except (ValueError, OverflowError) as own:
                return f"{source}, row {before + row + 1}: column '{name}'", _line(own)
    return f"{source}, after row {before}", _line(error)


def _damaged(source: str, before: int, error: Exception) -> str:
    return f"{source}: damaged after row {before} ({_line(error)}); {AGAIN}."


def _check_names(schema: "pa.Schema", source: str) -> None:
    """Raise UserError for two columns, or two fields of a column, of one name."""
    places = [("", list(schema))]
    while places:
        column, fields = places.pop()
        try:
            twice = repeated(field.name for field in fields)
        except UnicodeDecodeError as error:
            raise UserError(f"{source}: damaged names of columns ({error}); {AGAIN}.") from None
        if twice is not None:
            what = (
                f"fields {found_text(twice)} of the column '{column}'"
                if column
                else (f"columns {found_text(twice)}")
            )
            raise UserError(f"{source}: found two {what}; rename one, or take it out.")
        for field in fields:
            below = [field.type.field(index) for index in range(field.type.num_fields)]
            places.append((column or field.name, below))


def _without_index(values: Mapping[str, object]) -> Mapping[str, object]:
    """A row without the pandas index, which is the row's number and no property of the prompt."""
    return {name: value for name, value in values.items() if not name.startswith("__index_level_")}


def _line(error: Exception) -> str:
    """An error of a library on one line."""
    return " ".join(str(error).split()) or type(error).__name__
