"""The discovery of losses: an arm that trains on a table, and a fitness that can be measured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each setting with which no loss can be tried."""
    found = config.discovery
    if found is None:
        return
    if config.arms[found.arm].method != "dpo":
        yield (
            f"discovery.arm: found '{found.arm}', which makes its pairs while it trains; write an arm "
            "of the method dpo."
        )
    if found.fitness.evaluation is None:
        return
    settings = config.evaluations[found.fitness.evaluation]
    if settings.by_harness:
        yield (
            f"discovery.fitness.evaluation: found '{found.fitness.evaluation}' of the kind harness; "
            "write one of answers to prompts."
        )
    area, frontier = found.fitness.figure == "area", settings.kind == "frontier"
    if area and (not frontier or settings.kl_limit is None or len(settings.rewards) != 1):
        yield (
            f"discovery.fitness.figure: found 'area', which is that under a frontier; write kind: "
            f"frontier, rewards: [<one reward>] and kl_limit: <nats> under "
            f"evaluations.{found.fitness.evaluation}."
        )
