"""Read the expressions of a loss into trees of the vocabulary."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

from wim.errors import UserError
from wim.own_loss.formula import BETA, Apply, Expression, Number, Variable
from wim.own_loss.vocabulary import (
    ALSO,
    BINARY,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    MODULES,
    Function,
)

LONGEST_SHOWN = 60
EXPRESSIONS: Mapping[type[ast.expr], str] = {
    ast.IfExp: "write torch.where(condition, this, that)",
    ast.BoolOp: "write torch.logical_and(this, that), or & and |",
    ast.Subscript: "there is no indexing; a loss is computed for all pairs alike",
    ast.Tuple: "write one value",
    ast.List: "write one value",
    ast.Dict: "write one value",
    ast.Set: "write one value",
    ast.Lambda: "there are no functions in functions; write its formula in its place",
    ast.ListComp: "there are no loops; torch computes all pairs at once",
    ast.SetComp: "there are no loops; torch computes all pairs at once",
    ast.DictComp: "there are no loops; torch computes all pairs at once",
    ast.GeneratorExp: "there are no loops; torch computes all pairs at once",
    ast.NamedExpr: "write the assignment on a line of its own",
    ast.JoinedStr: "there are no texts in a formula",
    ast.Starred: "write each argument by itself",
}
OPERATORS = "write +, -, *, /, **, &, | or ~"
DEVICES = ("to", "type_as")
"""Methods that change no value here: all tensors are of the log-probabilities' kind."""


class LossRefused(UserError):
    """A text that is no loss: its line, what was found, and what to write."""


def refused(place: ast.AST | int | None, found: str, write: str) -> LossRefused:
    """The refusal of something at a node or line: what was found, and what to write."""
    line = place if isinstance(place, int) else getattr(place, "lineno", None)
    where = "" if line is None else f"line {line}: "
    return LossRefused(f"{where}found {found}; {write}.")


def shortened(text: str) -> str:
    """A text of the user's, on one line and not too long for a message."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= LONGEST_SHOWN else f"{plain[: LONGEST_SHOWN - 3]}..."


@dataclass(frozen=True)
class Reader:
    """Reads expressions in which some names are known.

    Attributes:
        known: The names that have a value so far.
        beta_of_self: Whether self.beta is beta.
    """

    known: frozenset[str]
    beta_of_self: bool

    def read(self, node: ast.expr) -> Expression:
        """An expression as a tree. Raises LossRefused."""
        if isinstance(node, ast.Constant):
            return Number(_number(node))
        if isinstance(node, ast.Name):
            return self._variable(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.BinOp):
            if type(node.op) not in BINARY:
                raise refused(node, "another operator", OPERATORS)
            return self._apply(BINARY[type(node.op)], [node.left, node.right], node)
        if isinstance(node, ast.Compare):
            if len(node.ops) != 1 or type(node.ops[0]) not in COMPARISONS:
                raise refused(node, "another comparison", "compare two values by <, <=, >, >=")
            return self._apply(
                COMPARISONS[type(node.ops[0])], [node.left, node.comparators[0]], node
            )
        if isinstance(node, ast.Call):
            return self._call(node)
        write = EXPRESSIONS.get(type(node), "write tensor arithmetic")
        raise refused(node, f"`{shortened(ast.unparse(node))}`", write)

    @staticmethod
    def constant(value: Expression, node: ast.AST) -> float:
        """The value of a number, or of one with a minus; anything else is refused."""
        if isinstance(value, Number):
            return value.value
        if isinstance(value, Apply) and value.function == "neg":
            (inner,) = value.arguments
            if isinstance(inner, Number):
                return -inner.value
        raise refused(node, "what is no constant", "write a number")

    def _variable(self, node: ast.Name) -> Variable:
        if node.id not in self.known:
            raise refused(
                node,
                f"the name {shortened(node.id)}, which has no value here",
                "use the parameters, and names that were assigned before",
            )
        return Variable(node.id)

    def _attribute(self, node: ast.Attribute) -> Expression:
        name = ast.unparse(node)
        if name in CONSTANTS:
            return Number(CONSTANTS[name])
        if name == f"self.{BETA}" and self.beta_of_self:
            return Variable(BETA)
        raise refused(
            node, f"`{shortened(name)}`", "no attribute is read but self.beta and math.pi"
        )

    def _unary(self, node: ast.UnaryOp) -> Expression:
        if isinstance(node.op, ast.UAdd):
            return self.read(node.operand)
        if isinstance(node.op, ast.USub):
            return self._apply("neg", [node.operand], node)
        if isinstance(node.op, ast.Invert):
            return self._apply("logical_not", [node.operand], node)
        raise refused(node, "`not`", "write ~(...) or torch.logical_not(...)")

    def _apply(self, function: str, arguments: list[ast.expr], node: ast.expr) -> Apply:
        return Apply(function, tuple(map(self.read, arguments)), node.lineno)

    def _call(self, node: ast.Call) -> Expression:
        of = node.func
        if not isinstance(of, ast.Attribute):
            raise refused(
                node,
                f"a call of `{shortened(ast.unparse(of))}`",
                f"call functions of torch or F alone: {', '.join(FUNCTIONS)}",
            )
        named = ast.unparse(of.value) in MODULES
        if not named and of.attr in DEVICES:
            return self.read(of.value)
        if named and of.attr == "tensor" and len(node.args) == 1 and not node.keywords:
            return Number(self.constant(self.read(node.args[0]), node))
        function, name = self._function(of, named), ALSO.get(of.attr, of.attr)
        given = [*([] if named else [of.value]), *node.args]
        if name in ("max", "min") and len(given) == 2 and not node.keywords:
            return self._apply({"max": "maximum", "min": "minimum"}[name], given, node)
        return Apply(name, self._arguments(function, given, node), node.lineno)

    def _function(self, of: ast.Attribute, named: bool) -> Function:
        function = FUNCTIONS.get(ALSO.get(of.attr, of.attr))
        if function is None or not (named or function.method):
            raise refused(
                of,
                f"`{shortened(ast.unparse(of))}`, which is not on the list of functions",
                f"use one of: {', '.join(FUNCTIONS)}",
            )
        return function

    def _arguments(
        self, function: Function, given: list[ast.expr], node: ast.Call
    ) -> tuple[Expression | None, ...]:
        names, found = function.parameters, dict(zip(function.parameters, given, strict=False))
        if len(given) > len(names):
            raise refused(node, f"{len(given)} arguments", f"write at most {len(names)}")
        for keyword in node.keywords:
            if keyword.arg not in names or keyword.arg in found:
                raise refused(
                    node,
                    f"the argument {shortened(str(keyword.arg))}",
                    f"write arguments among: {', '.join(names)}",
                )
            found[keyword.arg] = keyword.value
        missing = [name for name in names[: function.required] if name not in found]
        if missing:
            raise refused(node, f"no argument {missing[0]}", "write it")
        return tuple(
            None
            if name not in found
            else (
                Number(_plain(name, found[name]))
                if name in function.plain
                else self.read(found[name])
            )
            for name in names
        )


def _number(node: ast.Constant) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(node, f"`{shortened(ast.unparse(node))}`", "write a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise refused(node, "a number that is too large", "write a smaller one")
    return number


def _plain(name: str, node: ast.expr) -> float:
    """An option that is a constant: True and False as 1 and 0; dim may be 0 or -1 alone."""
    value: object = None
    if isinstance(node, ast.Constant):
        value = node.value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = node.operand
        value = -1 if isinstance(inner, ast.Constant) and inner.value == 1 else None
    if name == "dim" and value in (0, -1) and not isinstance(value, bool):
        return 0.0
    if name != "dim" and isinstance(value, bool | int) and value in (0, 1):
        return float(value)
    of_dim, of_switch = "write 0, as there are pairs and nothing else", "write True or False"
    write = of_dim if name == "dim" else of_switch
    raise refused(node, f"{name}={shortened(ast.unparse(node))}", write)
