"""All checks of a configuration that go beyond a single section."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.settings.checks import (
    arms,
    comparisons,
    conversations,
    discovery,
    evaluations,
    gate,
    models,
    names,
    no_effect,
    online,
    prices,
    rewards,
    rounds,
    sharded,
    trained,
)

if TYPE_CHECKING:
    from wim.settings.config import Config

Check = Callable[["Config"], Iterator[str]]
# A group runs only if the groups before it found nothing: it relies on what they check.
GROUPS: tuple[tuple[Check, ...], ...] = (
    (
        rewards.problems,
        names.problems,
        arms.problems,
        conversations.problems,
        models.problems,
        prices.problems,
        trained.problems,
        evaluations.problems,
    ),
    (comparisons.problems, no_effect.problems, gate.problems),
    (online.problems, discovery.problems, sharded.problems),
    (rounds.problems,),
)


def check(config: "Config") -> None:
    """Check a configuration whose sections are valid by themselves.

    Raises:
        UserError: One line for each problem: the key, what was found, and what to write.
    """
    for group in GROUPS:
        problems = [line for problems_of in group for line in problems_of(config)]
        if problems:
            raise UserError("\n".join(problems))
