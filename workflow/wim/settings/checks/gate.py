"""The gate: what is tuned is there to be measured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each name under gate.tuned that is no reward and no judge of pairs."""
    judges = [f"pairs/{name}" for name, each in config.judges.items() if each.method == "pairwise"]
    known = [*config.rewards, *judges]
    for name in config.gate.tuned:
        if name not in known:
            yield (
                f"gate.tuned: found '{name}'; write rewards, or judges of pairs as pairs/<judge>: "
                f"{', '.join(known)}."
            )
