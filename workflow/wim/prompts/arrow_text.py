"""Find the text in Arrow data that is not UTF-8, without following what points outside of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def not_utf8_in(batch: Any, source: str, before: int) -> str | None:
    """What is wrong with the first text that is not UTF-8; None if something else is wrong.

    Args:
        batch: A record batch or a table, possibly damaged.
        source: What errors begin with.
        before: The number of rows in earlier batches.
    """
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        found = _first_in(column)
        if found is not None:
            row, error = found
            return (
                f"{source}, row {before + row + 1}: column '{name}': not UTF-8: found the byte "
                f"0x{error.object[error.start]:02x} at byte offset {error.start} of a text; write "
                "the file again as UTF-8."
            )
    return None


def _first_in(column: Any) -> tuple[int, UnicodeDecodeError] | None:
    """The row of a column's first text that is not UTF-8; None if there is none to be found."""
    import pyarrow as pa

    try:
        column.validate()
        content = column.cast(_as_bytes(column.type))
        content.validate(full=True)
    except pa.ArrowException:
        return None
    for row in range(len(content)):
        try:
            _decode(content[row].as_py(), column.type)
        except UnicodeDecodeError as error:
            return row, error
        except (ValueError, OverflowError):  # Of another kind than text.
            return None
    return None


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_bytes(kind: "pa.DataType") -> "pa.DataType":
    """A type with bytes in place of texts, in lists and structs too."""
    import pyarrow as pa

    if _is_text(kind):
        return pa.binary() if pa.types.is_string(kind) else pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_bytes(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_as_bytes(kind.value_type)))
    return kind


def _decode(value: object, kind: "pa.DataType") -> None:
    """Decode the bytes that stand for texts; raises UnicodeDecodeError."""
    import pyarrow as pa

    if isinstance(value, bytes) and _is_text(kind):
        value.decode("utf-8")
    elif isinstance(value, Mapping) and pa.types.is_struct(kind):
        for field in kind:
            _decode(value[field.name], field.type)
    elif isinstance(value, list) and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        for each in value:
            _decode(each, kind.value_type)
