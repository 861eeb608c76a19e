"""The verdict on every arm, from the figures of all evaluations, for a check in a pipeline."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json, write_json

logger = logging.getLogger(__name__)


def verdict(evaluations: Sequence[Path], arms: Sequence[str], output: Path) -> None:
    """Write what every evaluation has shown of every speaker.

    Args:
        evaluations: The figures of the evaluations.
        arms: The names of the arms.
        output: JSON, by evaluation and speaker, of rewards and of tasks of the harness by these
            too: `verdict` (better, worse or not shown), the `arm` that the speaker is of, and the figures behind it.
    """
    found: dict[str, Any] = {}
    for path in evaluations:
        figures = read_json(path)
        for of, speakers in _speakers(figures).items():
            name = " ".join([figures["evaluation"], *([of] if of else [])])
            said = {
                speaker: {**one["verdict"], "arm": _arm(speaker, arms)}
                for speaker, one in speakers.items()
                if "verdict" in one
            }
            found[name] = said
            for one in said.values():
                logger.info("%s: %s", name, one["words"])
    write_json(output, found)


def _speakers(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of speakers, by the reward or task that they are of; "" where there is but one."""
    if "tasks" in figures:
        return {task: each["speakers"] for task, each in figures["tasks"].items()}
    found: dict[str, Any] = figures.get("rewards", {"": figures.get("speakers", {})})
    return found


def _arm(speaker: str, arms: Sequence[str]) -> str | None:
    arm = speaker if speaker in arms else speaker.rpartition("-round")[0]
    return arm if arm in arms else None
