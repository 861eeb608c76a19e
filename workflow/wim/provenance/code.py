"""The digest of the code that a rule really executes."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wim.provenance.digest import digest_of
from wim.provenance.kept_digests import KeptDigests
from wim.provenance.module_text import ModuleText, read_module

PACKAGE = Path(__file__).parents[1]


def code_digest(*entries: Path, without: tuple[str, ...] = (), within: tuple[str, ...] = ()) -> str:
    """Digest of the code that running some files would execute, whatever its modules are called.

    It is made of the texts of the entries and of every project module that they import, directly
    or not. In place of a project module's name an import has the digest of that module's own text,
    so moving or renaming a module changes nothing, while importing a name from another module does.
    Modules that do not count are imported under one name without a digest.
    The YAML files in a package that is imported count with it. Comments, docstrings (of attributes
    too), formatting, imports for type checking only and empty modules leave the digest unchanged.

    Args:
        entries: Python files.
        without: Dotted names of modules, or of packages, that are left out, with what only they
            import.
        within: If given, only modules of these names or packages count, besides the entries.

    Returns:
        64 hex digits.
    """
    texts = [[_place(path), _text(path)] for path in entries]
    return _kept(PACKAGE).digest(
        digest_of([texts, without, within]),
        lambda: _computed(entries, _Selection(without, within)),
    )


@cache
def _texts(package: Path) -> dict[Path, str]:
    """The text of every file of a package, read at one moment: all digests are of that state."""
    paths = sorted(_files(package))
    # What cannot be read as UTF-8 is an error only where it is imported.
    return {path: path.read_text(encoding="utf-8", errors="surrogateescape") for path in paths}


def _files(package: Path) -> Iterator[Path]:
    """The files that may be imported, or lie beside those, also in folders that are linked to."""
    for folder, inner, names in os.walk(package, followlinks=True):
        above = Path(folder).resolve()
        inner[:] = [
            each
            for each in inner
            if each.isidentifier() and not above.is_relative_to((above / each).resolve())
        ]
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            may_count = path.suffix == ".yaml" or (
                path.suffix == ".py" and path.stem.isidentifier()
            )
            if may_count and path.is_file():
                yield path


def _place(path: Path) -> str:
    return str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else path.name


@cache
def _text(path: Path) -> str:
    texts = _texts(PACKAGE)
    return texts[path] if path in texts else path.read_text(encoding="utf-8")


@cache
def _kept(package: Path) -> KeptDigests:
    texts = {str(path.relative_to(package)): text for path, text in _texts(package).items()}
    return KeptDigests.of(texts)


def _computed(entries: Sequence[Path], selection: "_Selection") -> str:
    texts: set[str] = set()
    seen: set[Path] = set()
    pending = list(entries)
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        texts.add(_nameless(path, selection))
        for imported in _parsed(path).imports:
            pending += [place for name, place in _package_files(imported) if selection.counts(name)]
    return digest_of(sorted(texts - {""}))


@dataclass(frozen=True)
class _Selection:
    """Which modules count for a digest of code; see `code_digest`."""

    without: tuple[str, ...]
    within: tuple[str, ...]

    def counts(self, name: str) -> bool:
        return not _is_in(name, self.without) and (not self.within or _is_in(name, self.within))


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of these, or in one of these packages."""
    return any(name == each or name.startswith(f"{each}.") for each in packages)


@cache
def _parsed(path: Path) -> ModuleText:
    return read_module(_text(path), tuple(_data_beside(path)), _project_modules(PACKAGE))


@cache
def _project_modules(package: Path) -> frozenset[str]:
    """The dotted names of a package's modules and packages."""
    places = (path.relative_to(package.parent).with_suffix("") for path in _texts(package))
    return frozenset(".".join(place.parts).removesuffix(".__init__") for place in places)


_COMMENT = re.compile(r"\s*(#.*)?")


def _data_beside(path: Path) -> Iterator[str]:
    """The texts of the YAML files of the package that a file initialises, without comments."""
    if path.name == "__init__.py":
        for data, text in _texts(PACKAGE).items():
            if data.parent != path.parent or data.suffix != ".yaml":
                continue
            lines = text.splitlines()
            yield "\n".join(line for line in lines if not _COMMENT.fullmatch(line))


@cache
def _own_text(path: Path) -> str:
    """A module's text with no word on which project modules it imports from."""
    return _parsed(path).text_with(lambda name: "")


@cache
def _nameless(path: Path, selection: _Selection) -> str:
    """A module's text with the digests of imported modules that count in place of their names."""
    return _parsed(path).text_with(
        lambda name: _digest_of_module(name) if selection.counts(name) else ""
    )


@cache
def _digest_of_module(name: str) -> str:
    paths = [path for _, path in _package_files(name)]
    return digest_of(_own_text(paths[-1])) if paths else name


@cache
def _package_files(name: str) -> tuple[tuple[str, Path], ...]:
    """The files that importing a dotted name runs: each package on the way, then the module."""
    parts, files = name.split("."), []
    for depth in range(1, len(parts) + 1):
        place = PACKAGE.joinpath(*parts[1:depth])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path in _texts(PACKAGE) and (depth > 1 or path.name == "__init__.py"):
                files.append((".".join(parts[:depth]), path))
    return tuple(files)
