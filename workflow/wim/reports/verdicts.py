"""The summary's last part: what the evaluations have shown of each arm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim import paths
from wim.display.json_files import read_json

TEXT = """
## Verdict

{lines}

Each is of an evaluation, `{page}`, which has the figures and their limits.
"""


def read_verdicts(path: Path | None) -> dict[str, Any]:
    """The verdicts by evaluation and speaker; empty where there is no evaluation."""
    if path is None:
        return {}
    found: dict[str, Any] = read_json(path)
    return found


def verdict_text(verdicts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A line for each evaluation and speaker; empty where there is none."""
    lines = [
        f"- `{evaluation}`: {said['words']}"
        for evaluation, speakers in verdicts.items()
        for said in speakers.values()
    ]
    return (
        TEXT.format(
            lines="\n".join(lines), page=paths.at(paths.EVALUATION_TEXT, evaluation="<name>")
        )
        if lines
        else ""
    )
