"""Callbacks of the trainers. Importing this module loads transformers."""

import logging
import math
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from wim.cluster.requeue import work_was_kept
from wim.settings.optimization import OptimizationSettings
from wim.training.run.trl_internals import restore_counters
from wim.training.saved_states import PREFIX, put_state_in_place
from wim.training.steps import not_finite

logger = logging.getLogger("wim.training")
SHOWN = (
    "loss",
    "rewards/margins",
    "rewards/accuracies",
    "mean_token_accuracy",
    "accuracy",
    "eval_loss",
    "learning_rate",
)


class ProgressLog(TrainerCallback):  # type: ignore[misc]
    """A progress bar on a terminal, and a line in the log file for each logged step."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the bar."""
        self.bar = tqdm(
            total=state.max_steps, desc="training", unit="step", disable=not sys.stderr.isatty()
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Advance the bar by a step."""
        if self.bar is not None:
            self.bar.update()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Log the metrics that show whether training goes well."""
        values = [f"{key} {float(logs[key]):.4g}" for key in SHOWN if logs and key in logs]
        if values:
            logger.debug("step %d of %d: %s", state.global_step, state.max_steps, ", ".join(values))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


class StopOnNonFinite(TrainerCallback):  # type: ignore[misc]
    """Ends training when a loss or a gradient is not finite, before its weights are saved."""

    def __init__(self, settings: OptimizationSettings) -> None:
        self.settings = settings

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Check the values logged for a step. Raises UserError."""
        for name, what in (("loss", "loss"), ("grad_norm", "gradient")):
            value = float((logs or {}).get(name, 0.0))
            if not math.isfinite(value):
                raise not_finite(f"{what} is {value} at step {state.global_step}", self.settings)


class RestoreCounters(TrainerCallback):  # type: ignore[misc]
    """Restores sums that a trainer's saved state has only in what was logged.

    They are the tokens that TRL counts, and the losses whose mean is the last row's train_loss.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the sums from the logged steps."""
        before = [row for row in state.log_history if "loss" in row]
        if before:
            restore_counters(
                self.trainer,
                tokens=int(before[-1].get("num_tokens", 0)),
                summed_loss=sum(row["loss"] for row in before),
            )


class Resumable(TrainerCallback):  # type: ignore[misc]
    """Saves the trainer every few seconds, and once more when the job is signalled to stop.

    SIGTERM and SIGUSR1 end training after the current step; `stopped_by` is then the signal's
    number. A state saved at the end of an epoch includes that epoch's evaluation. The trainer
    writes states into its output folder; those that are whole are moved to the working folder.

    Args:
        seconds: The time between two saves.
        working: The training's working folder.
        is_awaited: Whether another job waits to do the same training: the last step is then saved
            too, from which that job makes its checkpoint.
    """

    def __init__(self, seconds: float, working: Path, is_awaited: Callable[[], bool]) -> None:
        self.seconds = seconds
        self.working = working
        self.is_awaited = is_awaited
        self.saved = time.monotonic()
        self.stopped_by = 0
        self.saves_epoch = False
        self.began = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Handle the signals while training runs."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGUSR1, self._stop)
        self.saved = time.monotonic()
        self.began = True

    def _stop(self, number: int, _frame: object) -> None:
        self.stopped_by = number

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Request a save when one is due, and for the end when the job must stop."""
        last = state.global_step >= state.max_steps
        due = self.is_awaited() if last else time.monotonic() - self.saved >= self.seconds
        self.stopped_by, due = agreed(self.stopped_by or 0, due)
        wanted = bool(self.stopped_by) or due
        self.saves_epoch = wanted and _ends_epoch(state)
        control.should_training_stop |= bool(self.stopped_by)
        control.should_save |= wanted and not self.saves_epoch

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save after the epoch's evaluation; evaluate no epoch that was interrupted."""
        control.should_save |= self.saves_epoch
        if self.stopped_by and not _ends_epoch(state):
            control.should_evaluate = False

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put the saved state in place, once every process has written its part of it."""
        agreed(0, False)
        if state.is_world_process_zero:
            written = Path(args.output_dir) / f"{PREFIX}{state.global_step}"
            put_state_in_place(written, self.working)
        self.saved = time.monotonic()
        work_was_kept()
        logger.debug("step %d of %d: trainer saved", state.global_step, state.max_steps)


def _ends_epoch(state: Any) -> bool:
    return state.global_step >= state.max_steps or float(state.epoch).is_integer()


class CallAtEnd(TrainerCallback):  # type: ignore[misc]
    """Calls a function in every process when training ends or is stopped.

    No process continues before all have called it.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Call it, and wait for the other processes."""
        self.function()
        agreed(0, False)


def agreed(signal_number: int, due: bool) -> tuple[int, bool]:
    """The largest values over all processes of a training, so that all stop and save together."""
    import torch
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return signal_number, due
    device = "cuda" if processes.get_backend() == "nccl" else "cpu"
    seen = torch.tensor([signal_number, int(due)], device=device)
    processes.all_reduce(seen, op=processes.ReduceOp.MAX)
    return int(seen[0]), bool(seen[1])
