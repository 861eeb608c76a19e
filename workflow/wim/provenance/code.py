"""The digest of the code that a rule really executes."""

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from wim.provenance.digest import digest_of
from wim.provenance.kept_digests import KeptDigests

PACKAGE = Path(__file__).parents[1]
_COUNTED = (".py", ".yaml")


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
    paths = sorted(path for path in _files(package) if path.suffix in _COUNTED)
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
        paths = (Path(folder, name) for name in names)
        yield from (path for path in paths if path.stem.isidentifier() and path.is_file())


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


@dataclass(frozen=True)
class _Module:
    """A module's executed code, read once and written out for any choice of modules that count.

    Attributes:
        text: The code, with a mark in place of each project module's name, and one in place of
            each run of imports that has such marks.
        names: The dotted names of project modules, by the number in their mark.
        runs: The statements of each run of imports, by the number in its mark.
        imports: The dotted names in the project that it imports, of modules or of what is in them.
    """

    text: str
    names: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    imports: tuple[str, ...]

    def text_with(self, shown: Callable[[str], str]) -> str:
        """The code with modules' names shown otherwise, and imports sorted, as formatters do."""

        def named(text: str) -> str:
            return _NAME.sub(lambda mark: f"{_PREFIX}{shown(self.names[int(mark[1])])}", text)

        def sorted_run(mark: re.Match[str]) -> str:
            statements = sorted(named(each) for each in self.runs[int(mark[2])])
            return "\n".join(f"{mark[1]}{each}" for each in statements)

        return named(_RUN.sub(sorted_run, self.text))


@cache
def _parsed(path: Path) -> _Module:
    return _read(_text(path), tuple(_data_beside(path)), _project_modules(PACKAGE))


@cache
def _project_modules(package: Path) -> frozenset[str]:
    """The dotted names of a package's modules and packages."""
    places = (path.relative_to(package.parent).with_suffix("") for path in _texts(package))
    return frozenset(".".join(place.parts).removesuffix(".__init__") for place in places)


@cache
def _read(text: str, data: tuple[str, ...], modules: frozenset[str]) -> _Module:
    """A module of a text, with the texts of data beside it, in a project of these modules."""
    tree = ast.parse(text)
    tree.body = _executed(tree.body)
    nodes = list(ast.walk(tree))
    imports = tuple(dict.fromkeys(_project_imports(nodes)))
    names = _mark_modules(nodes, modules)
    runs: list[tuple[str, ...]] = []
    for node in nodes:
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, _with_marked_runs(block, runs))
    executed = "\n".join([ast.unparse(tree), *data]).strip()
    return _Module(executed, names, tuple(runs), imports)


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


def _mark_modules(nodes: Sequence[ast.AST], project: frozenset[str]) -> tuple[str, ...]:
    """Put marks in place of project modules' names, where they are imported and where used.

    Returns:
        The dotted names, by the number in their mark.
    """
    names: dict[str, str] = {}

    def mark(name: str) -> str:
        return names.setdefault(name, f"{_PREFIX}{len(names)}_")

    # What a module is called where it is imported whole, and its mark.
    modules: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in project:
                    modules[alias.asname or alias.name] = mark(name)
    for node in nodes:
        if isinstance(node, ast.Name):
            node.id = modules.get(node.id, node.id)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in project and alias.asname:
                    alias.name = mark(alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module in project:
            _mark_import(node, modules, mark)
    return tuple(names)


def _mark_import(
    node: ast.ImportFrom, modules: Mapping[str, str], mark: Callable[[str], str]
) -> None:
    for alias in node.names:
        if (alias.asname or alias.name) in modules:
            alias.name, alias.asname = modules[alias.asname or alias.name], None
    imports_modules = all(alias.name.startswith(_PREFIX) for alias in node.names)
    node.module = PACKAGE.name if imports_modules else mark(str(node.module))


def _with_marked_runs(block: list[ast.stmt], runs: list[tuple[str, ...]]) -> list[ast.stmt]:
    """Statements with runs of imports sorted by their texts, or marked to be sorted once named."""
    ordered: list[ast.stmt] = []
    for imports, run in groupby(block, lambda each: isinstance(each, ast.Import | ast.ImportFrom)):
        statements = list(run)
        if imports and any(_NAME.search(text) for text in map(ast.unparse, statements)):
            ordered.append(ast.Expr(ast.Name(f"{_RUN_PREFIX}{len(runs)}_", ast.Load())))
            runs.append(tuple(map(ast.unparse, statements)))
        else:
            ordered += sorted(statements, key=ast.unparse) if imports else statements
    return ordered


# Begins the name that stands for a module; no module of the project is called so.
_PREFIX = "module_"
_NAME = re.compile(rf"\b{_PREFIX}(\d+)_\b")
_RUN_PREFIX = "run_of_imports_"
_RUN = re.compile(rf"^( *){_RUN_PREFIX}(\d+)_$", re.MULTILINE)


def _executed(block: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without what never runs: bare strings and imports under TYPE_CHECKING."""
    kept: list[ast.stmt] = []
    for node in block:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if not isinstance(node.value.value, str):
                kept.append(node)
        elif isinstance(node, ast.If) and _is_for_type_checking(node.test):
            kept += _executed(node.orelse)
        else:
            for part in (node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                for field in ("body", "orelse", "finalbody"):
                    inner = getattr(part, field, None)
                    if isinstance(inner, list):
                        setattr(part, field, _executed(inner))
                if getattr(part, "body", None) == []:
                    part.body = [ast.Pass()]
            kept.append(node)
    return kept


def _is_for_type_checking(test: ast.expr) -> bool:
    if isinstance(test, ast.Attribute):
        return test.attr == "TYPE_CHECKING" and getattr(test.value, "id", None) == "typing"
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _project_imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE.name)


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
