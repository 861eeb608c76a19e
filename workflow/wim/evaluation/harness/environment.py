"""The environment of lm-eval, and running its Python in a child process."""

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wim.engines.transport import server_guard as guard
from wim.errors import UserError
from wim.fetch.hub import user_is_offline
from wim.settings.harness import check_environment

logger = logging.getLogger(__name__)
LAST_LINES = 12
# What a Hugging Face library reads to know that it must not query the hub.
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE", "TRANSFORMERS_OFFLINE")


def run_python(python: str, arguments: Sequence[str], log: Path, online: bool) -> None:
    """Run the Python of lm-eval to its end, without a shell.

    It ends with this process, however that ends.

    Args:
        python: Its path.
        arguments: Those of Python itself, such as -m and a module.
        log: Where all that it prints goes.
        online: Whether it may query the hub; never where the user has set HF_HUB_OFFLINE.

    Raises:
        UserError: The Python is not there, has no lm-eval, or the child failed: its last lines.
    """
    check_environment(python, "evaluations: python")
    offline = "0" if online and not user_is_offline() else "1"
    log.parent.mkdir(parents=True, exist_ok=True)
    # -I: nothing of this environment, such as PYTHONPATH, reaches the other one.
    command = [sys.executable, "-I", guard.__file__, python, "-I", *arguments]
    logger.debug("running %s", command[3:])
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=os.environ | dict.fromkeys(OFFLINE, offline),
            # Signals to the job's group must not end the guard before its child.
            start_new_session=True,
        )
        assert child.stdin is not None
        try:
            status = child.wait()
        finally:
            # The guard ends its child when this closes.
            child.stdin.close()
            child.wait()
    if status:
        raise UserError(_failure(python, log, status))


def _failure(python: str, log: Path, status: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if lines and "No module named" in lines[-1] and "lm_eval" in lines[-1]:
        return f"{python} has no lm-eval; run `make harness-environment`, which installs it."
    last = "".join(f"\n  {line[:300]}" for line in lines[-LAST_LINES:])
    return f"lm-eval ended with exit status {status}; its log: {log}.{last}"
