"""Saved states of a training, by which a killed one resumes."""

from pathlib import Path

COMPLETE = "complete"


def last_saved(working: Path) -> Path | None:
    """The newest complete saved state of a working folder, None if there is none."""
    steps = {
        int(path.parent.name.removeprefix("checkpoint-")): path.parent
        for path in working.glob(f"checkpoint-*/{COMPLETE}")
    }
    return steps[max(steps)] if steps else None
