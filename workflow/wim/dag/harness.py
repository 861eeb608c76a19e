"""What evaluations by the harness read: models, task files with their data, and an environment."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wim import paths
from wim.dag.inputs import Inputs, Wildcards, one_of
from wim.errors import UserError
from wim.paths import at
from wim.settings.evaluated import measured_by_harness, speakers_of
from wim.settings.harness import PYTHON


@dataclass(frozen=True)
class Harness:
    """The evaluations of the configuration whose kind is harness."""

    inputs: Inputs

    @property
    def names(self) -> list[str]:
        """The evaluations."""
        return [name for name, each in self.inputs.config.evaluations.items() if each.by_harness]

    @property
    def speaker_pattern(self) -> str:
        """A regular expression of those who are measured."""
        found = {each.speaker: None for each in measured_by_harness(self.inputs.config)}
        return one_of(found)

    def tasks(self, name: str) -> list[str]:
        """The tasks of an evaluation: names, and the paths of task files."""
        key = f"evaluations.{name}.tasks"
        return [
            self.inputs.file_at(task, key) if is_task_file(task) else task
            for task in self.inputs.config.evaluations[name].tasks
        ]

    def task_files(self, wildcards: Wildcards) -> list[str]:
        """The task files of an evaluation, each with what it includes and reads on this machine."""
        return self._task_files(wildcards.evaluation)

    def check_tasks(self) -> None:
        """Raise UserError for a task file that is not there, or lacks a file.

        Called before planning, where the message stands alone.
        """
        for name in self.names:
            self._task_files(name)

    def _task_files(self, name: str) -> list[str]:
        key = f"evaluations.{name}.tasks"
        found = {
            self.inputs.file_at(file, key): None
            for task in self.tasks(name)
            if is_task_file(task)
            for file in read_by_task(Path(task))
        }
        return list(found)

    def manifest(self, wildcards: Wildcards) -> str:
        """The manifest of the model or checkpoint that is measured."""
        return self.inputs.manifest_of_speaker(wildcards.speaker)

    def results(self, wildcards: Wildcards) -> list[str]:
        """How each speaker of an evaluation did, the reference first."""
        return self._of_speakers(paths.HARNESS, wildcards)

    def scores(self, wildcards: Wildcards) -> list[str]:
        """The scores of each speaker question by question, the reference first."""
        return self._of_speakers(paths.HARNESS_SCORES, wildcards)

    def _of_speakers(self, pattern: str, wildcards: Wildcards) -> list[str]:
        name = wildcards.evaluation
        return [
            at(pattern, evaluation=name, speaker=speaker)
            for speaker in speakers_of(self.inputs.config, name)
        ]

    def python(self, name: str) -> str:
        """The Python that has lm-eval: a path, whether it is there or not."""
        named = os.environ.get(PYTHON) or self.inputs.config.evaluations[name].python
        places = [Path(named).expanduser(), self.inputs.folder / named]
        # A link is not followed: it is by its own place that Python knows its environment.
        found = next((place for place in places if place.exists()), places[0])
        return str(found.absolute())


def is_task_file(task: str) -> bool:
    """Whether a task is a file of the user's own, and not a name."""
    return task.endswith(".yaml")


def read_by_task(path: Path) -> Iterator[str]:
    """The files of this machine that a task file is made of, itself first.

    These are what it includes, the modules of its functions, and its data. Raises UserError for a
    file that is not there, or that is no task.
    """
    yield str(path)
    task = _load(path)
    if isinstance(task.get("task"), list):
        raise UserError(
            f"{path}: task: found a group, which lm-eval does not take from a file that is named; write "
            "a file for each task."
        )
    for name in _listed(task.get("include")):
        yield from read_by_task(_there(path, path.parent / name, "include"))
    for module in sorted(_modules(task)):
        # Functions of the harness itself are named alike, and are no files here.
        if (file := path.parent / f"{module}.py").is_file():
            yield str(file)
    options = task.get("dataset_kwargs")
    files = options.get("data_files") if isinstance(options, dict) else None
    for name in _listed(files):
        if "://" not in name and not set(name) & set("*?["):
            yield str(_there(path, Path(name), "dataset_kwargs.data_files"))


class _Function(str):
    """A function of Python that a task file names by !function."""


class _TaskLoader(yaml.SafeLoader):
    """YAML with the tag !function, whose functions are not imported here."""


def _function(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> _Function:
    return _Function(loader.construct_scalar(node))


_TaskLoader.add_constructor("!function", _function)


def _load(path: Path) -> dict[str, Any]:
    try:
        # A loader of plain values: what it adds to the safe one is a text.
        task = yaml.load(path.read_text(encoding="utf-8"), Loader=_TaskLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: not a task file ({error}); write YAML as lm-eval reads it."
        ) from None
    if not isinstance(task, dict):
        raise UserError(f"{path}: not a task file; expected keys such as task and dataset_path.")
    return task


def _there(task: Path, path: Path, key: str) -> Path:
    if not path.exists():
        raise UserError(
            f"{task}: {key}: found '{path}', and there is no such file; write its path from "
            + ("the task file." if key == "include" else "the working directory.")
        )
    return path


def _modules(value: object) -> set[str]:
    """The modules of all functions in a task."""
    if isinstance(value, _Function):
        return {value.rpartition(".")[0]}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {module for each in inner for module in _modules(each)}


def _listed(value: object) -> list[str]:
    """The texts in a text, a list or a mapping."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _listed(each)]
