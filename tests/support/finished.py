"""Projects that have been run, kept for all tests that begin where a run has ended."""

import json
import os
from pathlib import Path

from support.kept import kept_once
from support.workflow_runs import REPOSITORY, Project, tiny_config

PROMPTS = [
    "Name a river.",
    "How is bread made?",
    "Why does it rain?",
    "When does the train leave?",
    "What does a ticket cost?",
    "Who wrote the answer?",
]
SHARDS = 2


def finished_in_two_shards(model: Path, encoder: Path) -> Project:
    """A project of two rewards and one arm, whose every target is there."""
    config = tiny_config(
        *(model, encoder),
        shards=SHARDS,
        rewards={
            "wim": {"judge": "tiny", "zeta": 1.0},
            "number": {"judge": "tiny", "zeta": 0.0, "rating": "rating_expected"},
        },
        arms={"wim": {"reward": "wim", "training": {"batch_size": 2}}},
    )
    config["models"]["encoder_too"] = dict(config["models"]["encoder"])  # type: ignore[index]
    return finished_project("finished", config, PROMPTS)


def finished_project(
    name: str,
    config: dict[str, object],
    prompts: list[str],
    *targets: str,
    flush_rows: int | None = None,
) -> Project:
    """A project that has made its targets, or all. Tests read it, and change copies of it.

    flush_rows: if given, what it keeps is noted, see Project.note_what_is_kept.
    """

    def make(folder: Path) -> None:
        project = Project.copied(folder / "project", config, prompts)
        if flush_rows is not None:
            project.note_what_is_kept(flush_rows)
        project.run("--", *targets)

    identity = [*_code_of_the_workflow(), json.dumps([config, prompts, targets, flush_rows])]
    return Project(kept_once(name, identity, make) / "project")


def _code_of_the_workflow() -> list[str]:
    """The text of every file that decides what a run of the workflow makes."""
    files = [REPOSITORY / "Snakefile", REPOSITORY / "constraints.txt"]
    for part in ("rules", "workflow", "profiles", "config"):
        for folder, inner, names in os.walk(REPOSITORY / part):
            inner[:] = [each for each in inner if each != "__pycache__"]
            files += [Path(folder) / each for each in names if not each.endswith(".pyc")]
    files.sort()
    return [
        f"{file.relative_to(REPOSITORY)}\0{file.read_text(encoding='utf-8', errors='replace')}"
        for file in files
    ]
