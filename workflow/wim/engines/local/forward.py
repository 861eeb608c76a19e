"""A model's forward pass, with the arguments that its architecture knows."""

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def forward(model: Any, tokens: "torch.Tensor", **given: Any) -> Any:
    """A model's output; arguments that its architecture does not know are left out."""
    names, takes_others = _arguments(type(model).forward)
    known = given if takes_others else {name: given[name] for name in given if name in names}
    return model(tokens, **known)


def cache_argument(model: Any) -> str | None:
    """The name of the argument that takes a cache; None where a model takes none."""
    names, _ = _arguments(type(model).forward)
    return next((name for name in ("past_key_values", "cache_params") if name in names), None)


@cache
def _arguments(function: Any) -> tuple[frozenset[str], bool]:
    """The names of the arguments of an architecture's pass, and whether it takes others too."""
    parameters = inspect.signature(function).parameters
    others = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return frozenset(parameters), others
