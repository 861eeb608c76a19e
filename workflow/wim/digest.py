"""Identity by content: digests of values, files, and of the code a rule really executes."""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


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
    """A row's own seed (60 bits), from the run's seed and the row's place in it."""
    return int(digest_of([seed, *place])[:15], 16)


def code_digest(*entries: Path, without: tuple[str, ...] = ()) -> str:
    """Digest of the code that running the entry files would execute.

    Covers the entries and every module of this package that they import, directly or not, but
    for the modules named in `without` and what only those import. Comments, docstrings (of
    attributes too) and formatting leave it unchanged, and so do imports made for type checking
    only. The text is that of the syntax tree, so the digest does not depend on a file's path or
    time.
    """
    modules: dict[str, str] = {}
    pending = [(path.name, path) for path in entries]
    while pending:
        name, path = pending.pop()
        if name not in modules and name not in without:
            modules[name], imported = _parsed(path)
            pending += imported
    return digest_of(modules)


@cache
def _parsed(path: Path) -> tuple[str, tuple[tuple[str, Path], ...]]:
    """A module's normalised text, and the project modules it imports by name and path."""
    tree = _Executed().visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return ast.unparse(tree), tuple(_project_imports(tree))


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
    """The files that importing a dotted name runs: each package on the way, and the module."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return
    for depth in range(1, len(parts) + 1):
        place = PACKAGE.joinpath(*parts[1:depth])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file() and (depth > 1 or path.name == "__init__.py"):
                yield ".".join(parts[:depth]), path
