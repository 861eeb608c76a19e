"""Read a loss from its text: straight-line arithmetic, and nothing else.

The text is taken apart by `ast`, which executes nothing, and rebuilt as a Formula of the vocabulary.
What is not in it is refused with its line and what to write.
"""

import ast
import builtins
import warnings
from collections.abc import Iterator

from wim.own_loss.expressions import LossRefused, Reader, refused, shortened
from wim.own_loss.formula import BETA, LOG_PROBABILITIES, Expression, Formula, Step
from wim.own_loss.vocabulary import ANNOTATIONS, BINARY, IMPORTS, MODULES

MAX_CHARACTERS = 20_000
MAX_NODES = 4_000
MAX_DEPTH = 60
# Of a number as a float; longer ones are no numbers of a loss, and very long ones cannot be shown.
MAX_BITS = 1024
SIGNATURE = f"def my_loss({', '.join(LOG_PROBABILITIES)}, {BETA})"
TAKEN = frozenset({*dir(builtins), *MODULES, "self"})

STATEMENTS: dict[type[ast.stmt], str] = {
    ast.If: "there is no branching; write torch.where(condition, this, that)",
    ast.For: "there are no loops; write the steps one after the other",
    ast.While: "there are no loops; write the steps one after the other",
    ast.Import: "nothing is imported; torch, F and math are there",
    ast.ImportFrom: "nothing is imported; torch, F and math are there",
    ast.FunctionDef: "there are no functions in functions; write its formula in its place",
    ast.Assert: "nothing is asserted; leave the line out",
    ast.Pass: "it does nothing; leave the line out",
    ast.With: "leave the block out; x.detach() stops a gradient",
}
OTHERS = "a loss is assignments and a return; write name = expression"


def parse_loss(text: str, function: str | None = None) -> Formula:
    """A loss as a formula.

    Args:
        text: One or several functions in Python, of the four log-probabilities and beta.
        function: The name of the one that is meant; it may be left out where there is one alone.

    Raises:
        LossRefused: The text is no such function.
    """
    formulas = {each.name: each for each in _functions(_tree(text), {})}
    if function is None and len(formulas) == 1:
        return next(iter(formulas.values()))
    if function in formulas:
        return formulas[function]
    names = ", ".join(formulas) or "none"
    if function is None:
        raise LossRefused(
            f"found {len(formulas)} functions ({shortened(names)}); write one, as {SIGNATURE}: "
            "..., or name the one that is meant in `function`."
        )
    raise LossRefused(
        f"found no function '{shortened(function)}'; there is: {shortened(names)}; write one of "
        "these names in `function`."
    )


def _tree(text: str) -> ast.Module:
    if len(text) > MAX_CHARACTERS:
        raise refused(None, f"{len(text):,} characters", f"write at most {MAX_CHARACTERS:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        line = min(error.lineno or 1, text.count("\n") + 1)
        raise refused(line, f"what is no Python ({error.msg})", "write a function") from None
    except (ValueError, MemoryError, RecursionError) as error:
        what = str(error) or "nested too deeply"
        raise refused(None, f"what is no Python ({what})", "write a function") from None
    _check_size(tree)
    return tree


def _check_size(tree: ast.Module) -> None:
    """Refuse a tree that is too large to walk; without recursion, however deep it is."""
    nodes, pending = 0, [(tree, 0, 1)]
    while pending:
        node, depth, line = pending.pop()  # type: ignore[assignment]
        nodes += 1
        line = getattr(node, "lineno", line)
        value = getattr(node, "value", None)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise refused(line, "a number that is too large", "write a smaller one")
        if depth > MAX_DEPTH:
            raise refused(line, "an expression nested too deeply", "name its parts in steps")
        if nodes > MAX_NODES:
            raise refused(line, "too long a function", "write a shorter one")
        pending += [(each, depth + 1, line) for each in ast.iter_child_nodes(node)]  # type: ignore[misc]


def _functions(tree: ast.Module, constants: dict[str, float]) -> Iterator[Formula]:
    """The functions of a module, which may also have a docstring, imports and constants."""
    known: set[str] = set()
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef):
            if node.name in known:
                raise refused(node, f"a second function {node.name}", "give it another name")
            known.add(node.name)
            yield _function(node, constants)
        elif (place == 0 and _is_text(node)) or _is_known_import(node):
            continue
        elif isinstance(node, ast.Assign):
            constants[_constant_name(_target(node), node)] = _constant(node.value)
        else:
            raise refused(
                node,
                f"`{_first_line(node)}`",
                STATEMENTS[type(node)]
                if isinstance(node, ast.Import | ast.ImportFrom)
                else f"write a function and nothing else, as {SIGNATURE}: ...",
            )


def _function(node: ast.FunctionDef, constants: dict[str, float]) -> Formula:
    if node.decorator_list:
        raise refused(node.decorator_list[0], "a decorator", "leave the line out")
    _check_name(node.name, node)
    if getattr(node, "type_params", None):
        raise refused(node, "type parameters", "leave them out")
    if node.returns is not None:
        _check_annotation(node.returns)
    own, has_self = _parameters(node.args)
    values = {**constants, **own}
    known = {*values, *LOG_PROBABILITIES} | ({BETA} if has_self != "no beta" else set())
    steps: list[Step] = []
    body = node.body[1:] if _is_text(node.body[0]) else node.body
    for place, statement in enumerate(body):
        reader = Reader(frozenset(known), has_self == "self")
        if isinstance(statement, ast.Return):
            if place < len(body) - 1:
                raise refused(body[place + 1], "a step behind the return", "leave it out")
            if statement.value is None:
                raise refused(statement, "a return of nothing", "write return <losses>")
            steps.append(Step(None, reader.read(statement.value)))
            return Formula(node.name, values, tuple(steps))
        name, value = _assignment(statement, reader)
        steps.append(Step(name, value))
        known.add(name)
    raise refused(node, "a function without a return", "end it with return <losses>")


def _parameters(arguments: ast.arguments) -> tuple[dict[str, float], str]:
    """Parameters with a constant as default, and how beta is given: self, beta, or no beta."""
    for extra, sign in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if extra is not None:
            raise refused(extra, f"{sign}{extra.arg}", f"write {SIGNATURE}: ...")
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    placed = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(placed) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults, *arguments.kw_defaults]
    own: dict[str, float] = {}
    how = "no beta"
    for place, (parameter, default) in enumerate(zip(named, defaults, strict=True)):
        if parameter.annotation is not None:
            _check_annotation(parameter.annotation)
        if parameter.arg == "self" and place == 0 and default is None:
            how = "self"
            continue
        _check_name(parameter.arg, parameter)
        if parameter.arg in LOG_PROBABILITIES and default is None:
            continue
        if parameter.arg == BETA:
            how = "beta" if how == "no beta" else how
            if default is not None:
                _constant(default)
            continue
        if default is None or parameter.arg in LOG_PROBABILITIES:
            raise refused(parameter, f"the parameter {parameter.arg}", f"write {SIGNATURE}: ...")
        own[parameter.arg] = _constant(default)
    names = [each.arg for each in named]
    for place, parameter in enumerate(named):
        if parameter.arg in names[:place]:
            raise refused(parameter, f"a second parameter {parameter.arg}", "leave it out")
    absent = [name for name in LOG_PROBABILITIES if name not in names]
    if absent:
        place_of = named[0] if named else None
        raise refused(
            place_of, f"no parameter {absent[0]}", f"write all of them, as {SIGNATURE}: ..."
        )
    return own, how


def _constant(node: ast.expr) -> float:
    return Reader.constant(Reader(frozenset(), False).read(node), node)


def _constant_name(name: str, node: ast.AST) -> str:
    if name in (*LOG_PROBABILITIES, BETA):
        raise refused(node, f"the name {name}, which is a parameter's", "write another name")
    return name


def _assignment(statement: ast.stmt, reader: Reader) -> tuple[str, Expression]:
    if isinstance(statement, ast.Assign):
        return _target(statement), reader.read(statement.value)
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        _check_annotation(statement.annotation)
        return _plain_name(statement.target), reader.read(statement.value)
    if isinstance(statement, ast.AugAssign) and type(statement.op) in BINARY:
        name = _plain_name(statement.target)
        before = ast.copy_location(ast.Name(name, ast.Load()), statement)
        joined = ast.copy_location(ast.BinOp(before, statement.op, statement.value), statement)
        return name, reader.read(joined)
    raise refused(statement, f"`{_first_line(statement)}`", STATEMENTS.get(type(statement), OTHERS))


def _target(node: ast.Assign) -> str:
    if len(node.targets) != 1:
        raise refused(node, "several names for one value", "write one assignment for each")
    return _plain_name(node.targets[0])


def _plain_name(node: ast.expr) -> str:
    if not isinstance(node, ast.Name):
        raise refused(node, f"an assignment to `{_first_line(node)}`", "assign to a plain name")
    _check_name(node.id, node)
    return node.id


def _check_name(name: str, node: ast.AST) -> None:
    if name in TAKEN or name.startswith("__"):
        raise refused(node, f"the name {name}, which means something else", "write another name")


def _check_annotation(node: ast.expr) -> None:
    if ast.unparse(node) not in ANNOTATIONS:
        raise refused(
            node, f"the annotation `{_first_line(node)}`", "leave it out, or write torch.Tensor"
        )


def _is_known_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) in IMPORTS


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _first_line(node: ast.AST) -> str:
    return shortened(ast.unparse(node).splitlines()[0])
