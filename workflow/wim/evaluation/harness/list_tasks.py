"""Find tasks of lm-eval and fetch their data.

python list_tasks.py TASKS.json OUTPUT.json

Run as a file by the Python that has lm-eval, so it imports nothing of this library. TASKS.json is a
list of names, patterns and paths of .yaml files. OUTPUT.json has what is described in `listing`.
"""

import difflib
import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def listing(wanted: list[str]) -> dict[str, Any]:
    """What tasks there are behind names, patterns and files.

    Returns:
        `unknown`: the names that there are not, each with those that are nearest; then nothing else.
        Or `lm_eval`: its version; `requested`: the groups and single tasks behind each of `wanted`;
        `tasks`: of each single task how many questions it has and their SHA-256.
    """
    from importlib.metadata import version

    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    manager = TaskManager()
    specs: dict[str, list[Any]] = {}
    for task in wanted:
        if task.endswith(".yaml"):
            specs[task] = [load_yaml(str(Path(task).absolute()), resolve_func=True)]
        else:
            specs[task] = manager.match_tasks([task])
    if unknown := [task for task, found in specs.items() if not found]:
        names = manager.all_tasks
        return {"unknown": {task: difflib.get_close_matches(task, names, n=3) for task in unknown}}
    requested, tasks = {}, {}
    for task, found in specs.items():
        loaded = manager.load(found)
        inner = {name for children in loaded["group_map"].values() for name in children}
        # A tag or a pattern stands for its tasks, a group for itself.
        requested[task] = sorted({*loaded["groups"], *loaded["tasks"]} - inner)
        for name, each in loaded["tasks"].items():
            tasks[name] = _questions(each)
    return {"lm_eval": version("lm-eval"), "requested": requested, "tasks": tasks}


def _questions(task: Any) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    for question in task.eval_docs:
        # What is no plain value, such as an image, counts by its kind alone: its text has addresses.
        text = json.dumps(question, sort_keys=True, default=lambda value: type(value).__name__)
        digest.update(text.encode() + b"\n")
        count += 1
    return {"questions": count, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    found = listing(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
