"""Prices: of models that are there and that a server runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each price that is of no model behind a server."""
    priced = [name for name, model in config.models.items() if model.engine != "local"]
    for name in config.prices:
        if name not in priced:
            those = f"one of {', '.join(sorted(priced))}" if priced else "no price"
            found = "which runs in the jobs themselves" if name in config.models else "no model"
            yield f"prices.{name}: found '{name}', {found}; write {those}."
