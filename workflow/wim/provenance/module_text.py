"""What a module's text executes, written without the names of the project's modules."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

PROJECT = __name__.partition(".")[0]


@dataclass(frozen=True)
class ModuleText:
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
def read_module(text: str, data: tuple[str, ...], modules: frozenset[str]) -> ModuleText:
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
    return ModuleText(executed, names, tuple(runs), imports)


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
    node.module = PROJECT if imports_modules else mark(str(node.module))


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
        yield from (name for name in names if name.split(".")[0] == PROJECT)
