"""Read prompt files of any supported format as rows that know their place in the file."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from wim.errors import UserError
from wim.fetch.archives import SUFFIXES, is_archive, unpack
from wim.prompts.arrow_files import has_own_splits, is_saved, read_parquet, read_saved
from wim.prompts.named_splits import split_named, wanted_splits
from wim.prompts.rows import Placed, SourceRow
from wim.prompts.text_files import COMPRESSIONS, read_csv, read_json, read_jsonl

logger = logging.getLogger(__name__)

Reader = Callable[[Path, str], Iterator[Placed]]
READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
TEXTS = (".jsonl", ".json", ".csv")
ENDINGS = f"{', '.join(READERS)}, or one of the first three and {' or '.join(COMPRESSIONS)}"


def read_rows(source: str, split: str | None = None) -> Iterator[SourceRow]:
    """The rows of one of the prompt files, in order.

    Args:
        source: A .jsonl, .json, .csv or .parquet file, the first three also compressed; a folder
            saved by `datasets`; or a folder or an archive of these. Files of other kinds in it are
            left out with a warning.
        split: The split, or several joined by +, that is read of a source that has splits.

    Raises:
        UserError: A file, or what a link leads to, is missing; a file is empty, of another kind, damaged or not UTF-8, has two columns
            of one name or several splits of which none is wanted, or a row is not an object; names
            the place and what was expected.
    """
    path = Path(source)
    if not path.exists():
        raise UserError(
            f"prompts.files: {source}: no such file; write a path from the working directory, "
            f"which is {Path.cwd()}."
        )
    if is_archive(path):
        # Unpacked only while its rows are read.
        with TemporaryDirectory(prefix="wim-prompts-") as temporary:
            folder = Path(temporary, path.name)
            unpack(path, folder, f"prompts.files: {source}")
            yield from _rows_below(folder, source, split)
    elif path.is_dir():
        yield from _rows_below(path, source, split)
    else:
        if split is not None:
            _warn_of_no_splits(source, split)
        yield from _rows(path, source, split)


def _warn_of_no_splits(source: str, split: str) -> None:
    logger.warning(
        "prompts.files: %s: prompts.split: %s has no effect on it, as it does not say of which "
        "split it is; all of its rows are read",
        source,
        split,
    )


def _rows_below(folder: Path, source: str, split: str | None) -> Iterator[SourceRow]:
    """The rows of a folder's readable files, in order of their names, of a split if they name it."""
    if is_saved(folder):
        yield from _rows(folder, source, split)
        return
    members, others = _members(folder)
    for path in others:
        if path.is_symlink() and not path.exists() and _reader(path):
            raise UserError(
                f"prompts.files: {source}: {path.relative_to(folder)} is a link to "
                f"{path.readlink()}, which is not there; fetch that file, or remove the link."
            )
    if not members:
        names = ", ".join(_names(others, folder)[:5]) or "nothing"
        raise UserError(
            f"prompts.files: {source}: found {names} in it; write an archive or a "
            f"folder with files that end in {ENDINGS}, or a folder saved by datasets' save_to_disk."
        )
    if others:
        logger.warning("prompts.files: %s: left out: %s", source, ", ".join(_names(others, folder)))
    for path in _of_split(members, folder, source, split):
        yield from _rows(path, str(Path(source, path.relative_to(folder))), split)


def _members(folder: Path) -> tuple[list[Path], list[Path]]:
    """The readable files below a folder, and the others, both in order of their names.

    Hidden ones are neither, and links to folders are not followed: they may lead in circles.
    """
    members, others = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            readable, rest = ([path], []) if is_saved(path) else _members(path)
            members += readable
            others += rest
        else:
            (members if _reader(path) and path.is_file() else others).append(path)
    return members, others


def _names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def _of_split(members: list[Path], folder: Path, source: str, split: str | None) -> list[Path]:
    """The members whose names say that they are of a wanted split; all if no name says of which."""
    named = {
        path: None
        if has_own_splits(path)
        else split_named(PurePosixPath(path.relative_to(folder).as_posix()))
        for path in members
    }
    found = dict.fromkeys(name for name in named.values() if name is not None)
    if not found:
        if split is not None and not any(map(has_own_splits, members)):
            _warn_of_no_splits(source, split)
        return members
    wanted = wanted_splits(found, split, source)
    if split is None:
        return members
    kept = [path for path, name in named.items() if name in wanted or has_own_splits(path)]
    logger.info("prompts.files: %s: %d of %d files are of the split", source, len(kept), len(named))
    return kept


def _rows(path: Path, source: str, split: str | None) -> Iterator[SourceRow]:
    """The rows of a file, or of a folder saved by datasets, which errors call `source`."""
    if path.is_dir():
        rows = read_saved(path, source, split)
    else:
        reader = _reader(path)
        if reader is None:
            raise UserError(
                f"prompts.files: {source}: found the extension '{_ending(path)}'; write a file "
                f"that ends in {ENDINGS}; a folder saved by datasets' save_to_disk; or a folder or "
                f"an archive ({', '.join(SUFFIXES)}) of these."
            )
        rows = reader(path, source)
    empty = True
    for place, values in rows:
        empty = False
        yield SourceRow(path.name, place, values)
    if empty:
        raise UserError(f"{source}: found no rows; expected one prompt per row.")


def _reader(path: Path) -> Reader | None:
    """What reads a file, by the end of its name."""
    compressed = path.suffix.lower() in COMPRESSIONS
    kind = path.with_suffix("").suffix.lower() if compressed else path.suffix.lower()
    return None if compressed and kind not in TEXTS else READERS.get(kind)


def _ending(path: Path) -> str:
    return "".join(path.suffixes[-2 if path.suffix.lower() in COMPRESSIONS else -1 :])
