"""Identity by content: digests of values, files, and of the code a rule really executes."""

import ast
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
SEED_BITS = 60  # Whole hex digits, and below the 63 bits of a positive int64.


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of(value: object) -> str:
    """SHA-256 (64 hex digits) of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def row_id(value: object) -> str:
    """The first 32 hex digits (128 bits) of a value's digest, the ids of all tables."""
    return digest_of(value)[:32]


def digest_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seed_of(seed: int, *place: object) -> int:
    """A row's own seed (SEED_BITS bits), from the run's seed and the row's place in it."""
    return int(digest_of([seed, *place])[: SEED_BITS // 4], 16)


def code_digest(*entries: Path, without: tuple[str, ...] = (), within: tuple[str, ...] = ()) -> str:
    """Digest of the code that running some files would execute, whatever its modules are called.

    It is made of the texts of the entries and of every project module that they import, directly
    or not. In place of a project module's name an import has the digest of that module's own text,
    so moving or renaming a module changes nothing, while importing a name from another module does.
    Modules that do not count are imported under one name without a digest.
    Comments, docstrings (of attributes too), formatting, imports for type checking only and empty
    modules leave the digest unchanged.

    Args:
        entries: Python files.
        without: Dotted names of modules, or of packages, that are left out, with what only they
            import.
        within: If given, only modules of these names or packages count, besides the entries.

    Returns:
        64 hex digits.
    """
    selection = _Selection(without, within)
    texts: set[str] = set()
    seen: set[Path] = set()
    pending = list(entries)
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        texts.add(_nameless(path, selection))
        pending += [place for name, place in _parsed(path).imports if selection.counts(name)]
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
    """A module's executed code; `imports` has the name and file of each project module it imports."""

    tree: ast.Module
    imports: tuple[tuple[str, Path], ...]


@cache
def _parsed(path: Path) -> _Module:
    tree = _Executed().visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return _Module(tree, tuple(_project_imports(tree)))


@cache
def _own_text(path: Path) -> str:
    """A module's text with no word on which project modules it imports from."""
    return _text_with(_parsed(path).tree, lambda name: "")


@cache
def _nameless(path: Path, selection: _Selection) -> str:
    """A module's text with the digests of imported modules that count in place of their names."""
    return _text_with(
        _parsed(path).tree, lambda name: _digest_of_module(name) if selection.counts(name) else ""
    )


def _digest_of_module(name: str) -> str:
    paths = [path for _, path in _package_files(name)]
    return digest_of(_own_text(paths[-1])) if paths else name


def _text_with(tree: ast.Module, shown: Callable[[str], str]) -> str:
    return ast.unparse(_Renamed(shown).visit(copy.deepcopy(tree)))


class _Renamed(ast.NodeTransformer):
    """Shows project modules by other names, where they are imported and where they are used."""

    def __init__(self, shown: Callable[[str], str]) -> None:
        self.shown = shown
        # What a module is called where it is imported whole, and what stands for it.
        self.modules: dict[str, str] = {}

    def visit_Module(self, node: ast.Module) -> ast.AST:
        for each in ast.walk(node):
            if isinstance(each, ast.ImportFrom) and each.level == 0:
                for alias in each.names:
                    name = f"{each.module}.{alias.name}"
                    if _is_module(name):
                        self.modules[alias.asname or alias.name] = self._name_of(name)
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, _with_sorted_imports(block))
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            if _is_module(alias.name) and alias.asname:
                alias.name = self._name_of(alias.name)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.level or not _is_module(node.module or ""):
            return node
        for alias in node.names:
            if (alias.asname or alias.name) in self.modules:
                alias.name, alias.asname = self.modules[alias.asname or alias.name], None
        imports_modules = all(alias.name.startswith(_PREFIX) for alias in node.names)
        node.module = PACKAGE.name if imports_modules else self._name_of(str(node.module))
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.modules.get(node.id, node.id)
        return node

    def _name_of(self, module: str) -> str:
        return f"{_PREFIX}{self.shown(module)}"


def _with_sorted_imports(block: list[ast.stmt]) -> list[ast.stmt]:
    """Statements with each run of imports in the order of their texts: formatters sort by name."""
    ordered: list[ast.stmt] = []
    for imports, run in groupby(block, lambda each: isinstance(each, ast.Import | ast.ImportFrom)):
        statements = list(run)
        ordered += sorted(statements, key=ast.unparse) if imports else statements
    return ordered


# Begins the name that stands for a module; no module of the project is called so.
_PREFIX = "module_"


def _is_module(name: str) -> bool:
    """Whether a dotted name is one of the project's modules or packages."""
    parts = name.split(".")
    place = PACKAGE.joinpath(*parts[1:])
    return parts[0] == PACKAGE.name and (place.is_dir() or place.with_suffix(".py").is_file())


class _Executed(ast.NodeTransformer):
    """Removes what never runs: bare strings and imports under TYPE_CHECKING."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            otherwise: list[ast.AST] = self.visit(ast.Module(node.orelse, [])).body
            return otherwise
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _project_imports(tree: ast.AST) -> Iterator[tuple[str, Path]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _package_files(name)


def _package_files(name: str) -> Iterator[tuple[str, Path]]:
    """The files that importing a dotted name runs: each package on the way, then the module."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return
    for depth in range(1, len(parts) + 1):
        place = PACKAGE.joinpath(*parts[1:depth])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file() and (depth > 1 or path.name == "__init__.py"):
                yield ".".join(parts[:depth]), path
