"""Arms: enough candidates to make pairs of, and settings of their own that are valid."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.settings.section import Section

if TYPE_CHECKING:
    from wim.settings.config import Config


def problems(config: "Config") -> Iterator[str]:
    """One line for each arm or policy whose settings are not valid with those it overrides."""
    if any(arm.reward for arm in config.arms.values()) and config.dialogues.candidates < 2:
        yield (
            "dialogues.candidates: found 1, of which the arms can make no pairs; write at least "
            "2, or `arms: {}` to end with the rewards."
        )
    for policy in config.policies:
        yield from _error_of(config.policy_dialogues, policy)
    overlays: tuple[Callable[[str], Section], ...] = (
        config.arm_pairs,
        config.arm_training,
        config.arm_rounds,
    )
    for settings_of in overlays:
        for arm in config.arms:
            yield from _error_of(settings_of, arm)


def _error_of(settings_of: Callable[[str], Section], name: str) -> Iterator[str]:
    try:
        settings_of(name)
    except UserError as error:
        yield str(error)
