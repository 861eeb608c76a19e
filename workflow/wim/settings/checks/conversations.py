"""Judges of whole conversations, where dialogues.judged wants them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.settings.config import Config

# Methods that have templates about whole conversations.
OF_CONVERSATIONS = ("structured", "single_call")


def problems(config: "Config") -> Iterator[str]:
    """One line for each judge whose method cannot read a whole conversation."""
    if config.dialogues.judged != "conversations":
        return
    for name, judge in config.judges.items():
        if judge.method not in OF_CONVERSATIONS:
            yield (
                f"judges.{name}.method: found '{judge.method}', which reads single turns; write "
                "structured or single_call, or dialogues.judged: turns."
            )
