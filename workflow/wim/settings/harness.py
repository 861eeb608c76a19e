"""Settings of evaluations by lm-evaluation-harness: its keys, and tasks that it can take."""

from collections.abc import Collection, Sequence
from pathlib import Path

from wim.errors import UserError

# The variable that names the Python with lm-eval, in place of the configuration's.
PYTHON = "WIM_HARNESS_PYTHON"
# The keys of the kind harness, and those of others that have no effect on it.
OF_HARNESS = {"tasks", "num_fewshot", "limit", "chat_template", "python"}
OF_ANSWERS = {
    *("prompts", "answers", "judge", "reward", "rewards", "sampling", "leaks"),
    *("kl", "instructions", "difficulties", "gamed"),
}


def check_harness(tasks: Sequence[str], written: Collection[str]) -> None:
    """Raise ValueError where an evaluation by the harness lacks something, or has what is in vain.

    Args:
        tasks: Its tasks.
        written: Its keys whose values are no defaults.
    """
    if not tasks:
        raise ValueError("the kind harness needs tasks; write tasks: [arc_easy, tasks/mine.yaml]")
    for key in sorted(OF_ANSWERS.intersection(written)):
        raise ValueError(
            f"{key} has no effect on the kind harness, whose tasks have prompts and scores of their "
            "own; leave it out"
        )
    if "system" in written and "chat_template" not in written:
        raise ValueError("system needs the chat template; write chat_template: true")
    if len(set(tasks)) < len(tasks):
        raise ValueError("a task is named twice; write each once")
    for task in tasks:
        if "," in task or task.endswith(".yml"):
            raise ValueError(
                f"found the task '{task}'; lm-eval takes names and files that end in .yaml, without "
                "commas"
            )


def check_environment(python: str, key: str) -> None:
    """Raise UserError where the Python of lm-eval is not there. key: what names it."""
    if not Path(python).is_file():
        raise UserError(
            f"{key}: found no Python at {python}; run `make harness-environment`, which installs "
            "lm-eval, or name the Python that has it there or in the environment variable "
            f"{PYTHON}."
        )
