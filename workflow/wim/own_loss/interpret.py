"""Compute a formula: an interpreter of our own tree, with torch's functions and no others.

Importing this module loads torch.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from wim.errors import UserError
from wim.own_loss.formula import (
    BETA,
    LOG_PROBABILITIES,
    Apply,
    Expression,
    Formula,
    Number,
    Variable,
)
from wim.own_loss.vocabulary import FUNCTIONS

Value = float | Tensor
"""A number, or a tensor of shape () or (batch,)."""


class LossFailed(UserError):
    """A formula that could be read and has no value."""


def losses_of(formula: Formula, log_probabilities: Mapping[str, Tensor], beta: float) -> Tensor:
    """The loss of each pair, shape (batch,).

    Args:
        formula: The loss.
        log_probabilities: By the names of LOG_PROBABILITIES, each of shape (batch,), in nats.
        beta: The strength of the regularisation towards the reference.

    Raises:
        LossFailed: The formula has another shape, or a number in it cannot be computed.
    """
    like = log_probabilities[LOG_PROBABILITIES[0]]
    values: dict[str, Value] = {**formula.constants, **log_probabilities, BETA: beta}
    found: Value = 0.0
    for step in formula.steps:
        found = _value(step.value, values, like)
        if step.name is not None:
            values[step.name] = found
    if not isinstance(found, Tensor) or found.shape != like.shape:
        shape = tuple(found.shape) if isinstance(found, Tensor) else "of a number"
        raise LossFailed(
            f"{formula.name}: found the shape {shape} for {len(like)} pairs; return one loss for "
            f"each pair, of the shape ({len(like)},)."
        )
    if found.dtype == torch.bool:
        raise LossFailed(f"{formula.name}: found true and false; return numbers.")
    return found


def _value(node: Expression, values: Mapping[str, Value], like: Tensor) -> Value:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Variable):
        return values[node.name]
    arguments = [None if each is None else _value(each, values, like) for each in node.arguments]
    if all(not isinstance(each, Tensor) for each in arguments) and node.function in ARITHMETIC:
        return _number(node, arguments)
    plain = FUNCTIONS[node.function].plain | KEPT.get(node.function, frozenset())
    names = FUNCTIONS[node.function].parameters
    # Numbers become tensors of no dimension, which take the kind of those that have one.
    operands = [
        each if each is None or isinstance(each, Tensor) or name in plain else like.new_tensor(each)
        for name, each in zip(names, arguments, strict=False)
    ]
    try:
        return TORCH[node.function](*operands)
    except (RuntimeError, TypeError) as error:
        words = str(error).splitlines()[0]
        raise LossFailed(f"line {node.line}: {node.function}: {words}.") from None


def _number(node: Apply, arguments: list[Value | None]) -> float:
    """Arithmetic of numbers alone, as Python has it."""
    try:
        found = ARITHMETIC[node.function](*arguments)
    except ArithmeticError as error:
        raise LossFailed(f"line {node.line}: {node.function}: {error}.") from None
    if isinstance(found, complex):
        raise LossFailed(f"line {node.line}: a root of a number below 0; write torch.sqrt(...).")
    return float(found)


ARITHMETIC: Mapping[str, Callable[..., float]] = {
    "add": lambda left, right: left + right,
    "sub": lambda left, right: left - right,
    "mul": lambda left, right: left * right,
    "div": lambda left, right: left / right,
    "pow": lambda left, right: left**right,
    "neg": lambda value: -value,
}


KEPT: Mapping[str, frozenset[str]] = {
    "pow": frozenset({"input", "other"}),
    "clamp": frozenset({"min", "max"}),
    "where": frozenset({"input", "other"}),
}
"""Arguments that torch takes as plain numbers as well, and is then more precise or faster."""


def _option(given: Tensor | None, default: float) -> float:
    """One number for all pairs, through which no gradient would pass."""
    if given is None:
        return default
    if given.dim() or given.requires_grad:
        raise TypeError("an option is one number for all pairs, without a gradient")
    return float(given)


def _softplus(x: Tensor, beta: Tensor | None, threshold: Tensor | None) -> Tensor:
    return functional.softplus(x, _option(beta, 1.0), _option(threshold, 20.0))


def _elu(x: Tensor, alpha: Tensor | None) -> Tensor:
    return functional.elu(x, _option(alpha, 1.0))


def _leaky_relu(x: Tensor, slope: Tensor | None) -> Tensor:
    return functional.leaky_relu(x, _option(slope, 0.01))


def _clamp(x: Tensor, low: Value | None, high: Value | None) -> Tensor:
    if low is None and high is None:
        return x
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        low, high = (
            each if each is None or isinstance(each, Tensor) else x.new_tensor(each)
            for each in (low, high)
        )
        # Of other shapes than the bounds' torch has a value and no gradient.
        given = torch.broadcast_tensors(  # type: ignore[no-untyped-call]
            x, *(each for each in (low, high) if each is not None)
        )
        x, bounds = given[0], list(given[1:])
        low, high = (None if each is None else bounds.pop(0) for each in (low, high))
    return torch.clamp(x, min=low, max=high)  # type: ignore[arg-type]


def _mean(x: Tensor, *_: object) -> Tensor:
    return _kind(x).mean()


def _sum(x: Tensor, *_: object) -> Tensor:
    return x.sum()


def _logsumexp(x: Tensor, *_: object) -> Tensor:
    return torch.logsumexp(x.flatten(), 0)


def _divisor(unbiased: float | None, correction: float | None) -> float:
    given = correction if correction is not None else unbiased
    return 1.0 if given is None else given


def _var(
    x: Tensor, _dim: object, unbiased: float | None, correction: float | None, *_: object
) -> Tensor:
    """As in wim.training.losses a single pair varies by nothing."""
    less = _divisor(unbiased, correction)
    return x.var(correction=less) if x.numel() > less else x.new_zeros(())


def _std(
    x: Tensor, _dim: object, unbiased: float | None, correction: float | None, *_: object
) -> Tensor:
    less = _divisor(unbiased, correction)
    return x.std(correction=less) if x.numel() > less else x.new_zeros(())


def _kind(x: Tensor) -> Tensor:
    """A truth as a number; numbers stay as they are."""
    return x.to(torch.get_default_dtype()) if x.dtype == torch.bool else x


def _where(condition: Tensor, this: Tensor, that: Tensor) -> Tensor:
    return torch.where(condition.bool(), this, that)


def _truth(of: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *each: of(*(one.bool() for one in each))


def _of_numbers(of: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of numbers, and of truths as numbers: it has no gradient through a truth."""
    return lambda *each: of(*(_kind(one) if isinstance(one, Tensor) else one for one in each))


_NAMED: Mapping[str, Callable[..., Tensor]] = {
    "logsigmoid": functional.logsigmoid, "relu": torch.relu, "silu": functional.silu,
    "gelu": functional.gelu, "softsign": functional.softsign, "selu": functional.selu,
    "mish": functional.mish, "softplus": _softplus, "elu": _elu, "leaky_relu": _leaky_relu,
    "clamp": _clamp, "where": _where, "mean": _mean, "sum": _sum, "logsumexp": _logsumexp,
    "var": _var, "std": _std, "float": _kind, "detach": lambda x: x.detach(),
    "zeros_like": torch.zeros_like, "ones_like": torch.ones_like,
    "full_like": lambda x, value: torch.ones_like(x) * value,
    "softmax": lambda x, _: torch.softmax(x.flatten(), 0).reshape(x.shape),
    "log_softmax": lambda x, _: torch.log_softmax(x.flatten(), 0).reshape(x.shape),
    "logical_and": _truth(torch.logical_and), "logical_or": _truth(torch.logical_or),
    "logical_not": _truth(torch.logical_not),
    "pow": _of_numbers(torch.pow), "logaddexp": _of_numbers(torch.logaddexp),
}  # fmt: skip
_SAME_NAME = (
    *("abs", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "square", "sign"),
    *("sigmoid", "tanh", "erf", "sin", "cos", "atan", "sinh", "cosh", "neg", "reciprocal"),
    *("add", "sub", "mul", "div", "maximum", "minimum"),
    *("lt", "le", "gt", "ge", "eq", "ne", "max", "min", "median"),
)
TORCH: Mapping[str, Callable[..., Tensor]] = {
    **_NAMED,
    **{name: getattr(torch, name) for name in _SAME_NAME},
}
"""What each function of the vocabulary computes."""
