"""Stage the tasks of an evaluation: their names are known, and their data are on this machine."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from wim.display.json_files import write_json
from wim.errors import UserError
from wim.evaluation.harness import list_tasks
from wim.evaluation.harness.environment import run_python

logger = logging.getLogger(__name__)


def stage_harness(tasks: Sequence[str], python: str, log: Path, output: Path) -> None:
    """Fetch the data of tasks into the cache of Hugging Face libraries, where it is not there yet.

    Args:
        tasks: Names, and paths of task files.
        python: The Python that has lm-eval.
        log: Where all that lm-eval prints goes.
        output: JSON; see `list_tasks.listing`. Other data have another digest there.

    Raises:
        UserError: A task is not known, or its data cannot be fetched.
    """
    with TemporaryDirectory() as folder:
        wanted, found = Path(folder, "tasks.json"), Path(folder, "found.json")
        wanted.write_text(json.dumps(list(tasks)), encoding="utf-8")
        run_python(python, [list_tasks.__file__, str(wanted), str(found)], log, online=True)
        listing = json.loads(found.read_text(encoding="utf-8"))
    if unknown := listing.get("unknown"):
        raise UserError("\n".join(_unknown(task, near) for task, near in unknown.items()))
    write_json(output, listing)
    for name, task in listing["tasks"].items():
        logger.info("%s: %d questions", name, task["questions"])


def _unknown(task: str, near: Sequence[str]) -> str:
    hint = f"did you mean {' or '.join(near)}?" if near else "`lm-eval ls tasks` lists them."
    return f"evaluations: tasks: lm-eval knows no task '{task}'; {hint}"
