"""Read and write the tables: their schemas are enforced, and files are written whole or not.

The same rows always give the same bytes: rows are ordered by the table's key, the
compression is fixed, and nothing of the clock or the machine is stored. A table of rows that models
answer notes how many of them failed, where some did. Every table is sealed (wim.tables.seal), and a
file that is not as it was written is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.atomic import whole_file
from wim.errors import UserError
from wim.paths import made_anew
from wim.tables.schemas import DIALOGUES, Row, Table, embeddings_table
from wim.tables.seal import Damaged, check_footer, check_whole, seal

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 2**16
FAILED = b"wim.failed"


def as_arrow(table: Table, rows: Iterable[Row]) -> "pa.Table":
    """Rows as an Arrow table of the table's schema."""
    import pyarrow as pa

    return pa.Table.from_pylist([vars(row) for row in rows], schema=table.schema)


def write_table(path: str | Path, table: Table, content: "pa.Table", failed: int = 0) -> None:
    """Write a table, sorted by its key, whole or not at all.

    failed: how many of the rows that were wanted have no answer.
    """
    content = _checked(content, table, Path(path))
    ordered = content.sort_by([(name, "ascending") for name in table.key])
    write_sorted(path, table, [ordered], failed)


def write_sorted(
    path: str | Path, table: Table, pieces: Iterable["pa.Table"], failed: int = 0
) -> None:
    """Write a table as `write_table` does, from pieces of ROW_GROUP rows in the table's order."""
    import pyarrow.parquet as pq

    path, schema = Path(path), table.schema
    if failed:
        schema = schema.with_metadata({**(schema.metadata or {}), FAILED: str(failed).encode()})
    with whole_file(path) as partial:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for piece in pieces:
                writer.write_table(_checked(piece, table, path), row_group_size=ROW_GROUP)
        seal(partial)


def read_table(path: str | Path, table: Table, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read a table, or the named columns of it.

    Raises:
        UserError: The file is damaged, or does not fit the table; names file, column and what was
            expected.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    with _user_errors(path, f"the table '{table.name}'"):
        check_whole(path)
        content = pq.read_table(path, columns=list(columns) if columns else None)
    return _checked(content, table, path, columns)


def read_column(path: str | Path, name: str) -> list[Any]:
    """The values of a column of any table; raises as `read_table` does."""
    import pyarrow.parquet as pq

    with _user_errors(Path(path), "a table"):
        check_whole(Path(path))
        values: list[Any] = pq.read_table(path, columns=[name]).column(name).to_pylist()
    return values


def row_count(path: str | Path) -> int:
    """How many rows a table has, by its footer; raises as `read_table` does."""
    import pyarrow.parquet as pq

    with _user_errors(Path(path), "a table"):
        check_footer(Path(path))
        return int(pq.read_metadata(path).num_rows)


def failed_rows(path: str | Path, table: Table) -> int:
    """How many rows of a table have no answer, by its footer; raises as `read_table` does."""
    import pyarrow.parquet as pq

    with _user_errors(Path(path), f"the table '{table.name}'"):
        check_footer(Path(path))
        found = pq.read_schema(path).metadata or {}
    return int(found.get(FAILED, 0))


@contextmanager
def _user_errors(path: Path, expected: str) -> Iterator[None]:
    """Turn errors of reading a file into a UserError."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected {expected}.") from None
    except (pa.ArrowException, OSError, KeyError, Damaged) as error:
        raise UserError(
            f"{path}: not a readable Parquet file ({error}); expected {expected}. {made_anew(path)}"
        ) from None


def read_tables(
    paths: Iterable[str | Path], table: Table, columns: Sequence[str] | None = None
) -> "pa.Table":
    """The rows of several files of one table, in the files' order."""
    import pyarrow as pa

    none = table.schema.empty_table()
    none = none if columns is None else none.select(list(columns))
    tables = (read_table(path, table, columns) for path in paths)
    # A file has its columns in its own order, whatever order they are named in.
    return pa.concat_tables([none, *(each.select(none.column_names) for each in tables)])


def read_candidates(path: str | Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """The rows of a dialogues table that judges rate, all columns or the named ones."""
    wanted = None if columns is None else [*columns, "judged"]
    rows = read_table(path, DIALOGUES, wanted)
    rows = rows.filter(rows["judged"])
    return rows if columns is None else rows.select(list(columns))


def read_embeddings(path: str | Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """An embeddings table of whatever dimension the file has."""
    return read_table(path, _embeddings_table_of(path), columns)


def read_embeddings_in_pieces(
    path: str | Path, columns: Sequence[str], rows: int
) -> Iterator["pa.Table"]:
    """An embeddings table in pieces of at most `rows` rows; raises as `read_table` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, table = Path(path), _embeddings_table_of(path)
    with _user_errors(path, f"the table '{table.name}'"):
        check_whole(path)
        file = pq.ParquetFile(path, pre_buffer=False)
    with file:
        for batch in file.iter_batches(rows, columns=list(columns)):
            yield _checked(pa.Table.from_batches([batch]), table, path, columns)


def _embeddings_table_of(path: str | Path) -> Table:
    import pyarrow.parquet as pq

    try:
        kind = pq.read_schema(path).field("response_embedding").type
        return embeddings_table(kind.list_size)
    except (OSError, ValueError, LookupError, AttributeError):
        # Not such a table: reading it raises the error.
        return embeddings_table(1)


def _checked(
    content: "pa.Table", table: Table, path: Path, columns: Sequence[str] | None = None
) -> "pa.Table":
    for field in table.schema:
        if columns is not None and field.name not in columns:
            continue
        if field.name not in content.column_names:
            raise UserError(
                f"{path}: column '{field.name}' is missing from the table '{table.name}'; "
                f"expected {field.type}, found the columns {', '.join(content.column_names)}."
            )
        column = content.column(field.name)
        if column.type != field.type:
            raise UserError(
                f"{path}: column '{field.name}' of the table '{table.name}' has type "
                f"{column.type}; expected {field.type}."
            )
        if not field.nullable and column.null_count:
            raise UserError(
                f"{path}: column '{field.name}' of the table '{table.name}' has "
                f"{column.null_count} empty values; expected none."
            )
    names = [name for name in table.schema.names if columns is None or name in columns]
    schema = table.schema
    return content.select(names).cast(
        schema if columns is None else schema.empty_table().select(names).schema
    )
