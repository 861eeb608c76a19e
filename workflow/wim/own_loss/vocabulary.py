"""What a loss may be written with: functions, constants, operators and names."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A function of the vocabulary.

    Attributes:
        parameters: Their names, those that are needed first.
        required: How many are needed.
        plain: Parameters that are constants of Python: numbers, or True and False.
        over_batch: Whether its value for a pair depends on the other pairs.
        method: Whether it may be called on a tensor, as x.mean().
    """

    parameters: tuple[str, ...]
    required: int
    plain: frozenset[str] = frozenset()
    over_batch: bool = False
    method: bool = True


def _elementwise(*names: str) -> dict[str, Function]:
    return {name: Function(("input",), 1) for name in names}


_OVER_BATCH = Function(("input", "dim", "keepdim"), 1, frozenset({"dim", "keepdim"}), True)
_SPREAD = Function(
    ("input", "dim", "unbiased", "correction", "keepdim"),
    1,
    frozenset({"dim", "unbiased", "correction", "keepdim"}),
    True,
)
_ALONG = Function(("input", "dim"), 1, frozenset({"dim"}), True)
_TWO = Function(("input", "other"), 2)

FUNCTIONS: Mapping[str, Function] = {
    **_elementwise(
        *("abs", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "square"),
        *("sign", "sigmoid", "tanh", "relu", "logsigmoid", "erf", "sin", "cos", "atan", "sinh"),
        *("cosh", "neg", "reciprocal", "silu", "gelu", "softsign", "selu", "mish", "detach"),
        *("float", "logical_not"),
    ),
    "softplus": Function(("input", "beta", "threshold"), 1, method=False),
    "elu": Function(("input", "alpha"), 1, method=False),
    "leaky_relu": Function(("input", "negative_slope"), 1, method=False),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "maximum", "minimum", "logaddexp"), _TWO),
    **dict.fromkeys(("logical_and", "logical_or"), _TWO),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), _TWO),
    "clamp": Function(("input", "min", "max"), 1),
    "where": Function(("condition", "input", "other"), 3, method=False),
    "zeros_like": Function(("input",), 1, method=False),
    "ones_like": Function(("input",), 1, method=False),
    "full_like": Function(("input", "fill_value"), 2, method=False),
    **dict.fromkeys(("mean", "sum", "logsumexp"), _OVER_BATCH),
    **dict.fromkeys(("std", "var"), _SPREAD),
    **dict.fromkeys(("max", "min", "median"), Function(("input",), 1, over_batch=True)),
    **dict.fromkeys(("softmax", "log_softmax"), _ALONG),
}
"""The functions by their names in torch, where not told otherwise in ALSO."""

ALSO: Mapping[str, str] = {
    "absolute": "abs", "clip": "clamp", "multiply": "mul", "divide": "div", "true_divide": "div",
    "subtract": "sub", "negative": "neg", "greater": "gt", "less": "lt", "greater_equal": "ge",
    "less_equal": "le", "power": "pow", "fabs": "abs", "double": "float",
}  # fmt: skip
"""Other names of the same functions."""

CONSTANTS: Mapping[str, float] = {
    f"{module}.{name}": value
    for module in ("math", "torch")
    for name, value in (("pi", math.pi), ("e", math.e))
}

MODULES = ("torch", "F", "torch.nn.functional", "math")
"""Where functions may be named to come from, as in F.logsigmoid(x)."""

IMPORTS = frozenset({
    "import torch",
    "import math",
    "import torch.nn.functional as F",
    "from torch import Tensor",
    "from torch.nn import functional as F",
})  # fmt: skip
"""Imports that a file may open with; they are read over, as nothing is imported."""

ANNOTATIONS = frozenset(
    {"torch.Tensor", "torch.FloatTensor", "Tensor", "float", "'torch.Tensor'", "'Tensor'"}
)

BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.BitAnd: "logical_and",
    ast.BitOr: "logical_or",
}
COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
