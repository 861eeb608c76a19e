"""Is a loss one that can be trained with? Tried in a process of its own, under limits.

The process computes the formula on pairs that are made up, and has no file, no network and no more
time and memory than it is given.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.own_loss.parse import parse_loss

# Seconds that a machine may take to load torch and run a check, however busy it is.
WAITED = 1800.0
PACKAGES = Path(__file__).parents[2]
# What a process needs of its environment to start Python and load torch; no key is among them.
KEPT = ("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True)
class Limits:
    """Of a check, besides what the libraries take: seconds of processor time, and memory in MB."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Check:
    """What a check has found.

    Attributes:
        problem: Why the loss cannot be trained with, and None of one that can.
        over_batch: Whether a pair's loss depends on the other pairs, as measured.
        slope: The derivative by the difference of log-ratios at 0, of one pair.
        curve: The difference of log-ratios (nats), and the loss of one pair.
    """

    problem: str | None
    over_batch: bool | None = None
    slope: float | None = None
    curve: tuple[tuple[float, float], ...] = ()


def check_text(text: str, function: str | None, beta: float, limits: Limits) -> Check:
    """Check a loss that is a text; see own_loss/trial.py for what is tried.

    Args:
        text: The function.
        function: Its name; None where there is one alone.
        beta: The beta that it is to be trained with.
        limits: Of the process.

    Raises:
        UserError: The process could not be started, or did not get to run.
    """
    try:
        parse_loss(text, function)
    except UserError as error:
        return Check(str(error))
    asked = {"text": text, "function": function, "beta": beta, **vars(limits)}
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"PYTHONPATH": str(PACKAGES), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wim.own_loss.trial"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            env=environment,
            timeout=WAITED,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(
            f"the check of a loss did not run ({error}); that says nothing of the loss. Run again."
        ) from None
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        return Check(f"it took more than {limits.seconds:g} seconds or {limits.memory} MB")
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return Check(f"the check ended with status {done.returncode}: {last[:300]}")
    curve = tuple((float(rho), float(loss)) for rho, loss in found.pop("curve", []))
    return Check(**found, curve=curve)
