"""A loss as a tree: what is left of its text."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wim.own_loss.vocabulary import FUNCTIONS

LOG_PROBABILITIES = (
    "policy_chosen_logps",
    "policy_rejected_logps",
    "reference_chosen_logps",
    "reference_rejected_logps",
)
BETA = "beta"


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Variable:
    """What a step before, or a parameter, has named."""

    name: str


@dataclass(frozen=True)
class Apply:
    """A function of the vocabulary, applied to arguments; an option that is not given is None."""

    function: str
    arguments: "tuple[Expression | None, ...]"
    line: int


Expression = Number | Variable | Apply


@dataclass(frozen=True)
class Step:
    """An assignment; `name` is None for what is returned."""

    name: str | None
    value: Expression


@dataclass(frozen=True)
class Formula:
    """A loss of the log-probabilities of a batch of pairs.

    Attributes:
        name: That of the function.
        constants: Values that names have before the first step.
        steps: In their order; the last one is returned.
    """

    name: str
    constants: Mapping[str, float]
    steps: tuple[Step, ...]

    @property
    def over_batch(self) -> bool:
        """Whether a pair's loss may depend on the other pairs: a function of all is in use."""
        return any(FUNCTIONS[each].over_batch for each in self._used())

    @property
    def depends_on(self) -> frozenset[str]:
        """The parameters that the returned value is made of."""
        found: dict[str, frozenset[str]] = {}
        for step in self.steps:
            names = {name for name in _variables(step.value)}
            of = frozenset().union(*(found.get(name, frozenset({name})) for name in names))
            found[step.name or ""] = of - set(self.constants)
        return found[""]

    @property
    def digest(self) -> str:
        """64 hex digits, equal for equal formulas: whatever the names, the order or idle steps."""
        known = {name: _hash("constant", repr(value)) for name, value in self.constants.items()}
        for step in self.steps:
            known[step.name or ""] = _digest(step.value, known)
        return known[""]

    def _used(self) -> Iterator[str]:
        for step in self.steps:
            pending: list[Expression | None] = [step.value]
            while pending:
                node = pending.pop()
                if isinstance(node, Apply):
                    yield node.function
                    pending += node.arguments


def _variables(value: Expression) -> Iterator[str]:
    pending: list[Expression | None] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, Variable):
            yield node.name
        elif isinstance(node, Apply):
            pending += node.arguments


def _digest(node: Expression | None, known: Mapping[str, str]) -> str:
    if node is None:
        return ""
    if isinstance(node, Number):
        return _hash("constant", repr(node.value))
    if isinstance(node, Variable):
        return known.get(node.name) or _hash("parameter", node.name)
    return _hash(node.function, *(_digest(each, known) for each in node.arguments))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
