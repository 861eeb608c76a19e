"""Callbacks of the trainers. Importing this module loads transformers."""

import logging
import sys
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

logger = logging.getLogger("wim.training")
SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "eval_loss", "learning_rate")


class ProgressLog(TrainerCallback):  # type: ignore[misc]
    """A bar on a terminal, and a line in the log for each logged step."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the bar."""
        self.bar = tqdm(
            total=state.max_steps, desc="training", unit="step", disable=not sys.stderr.isatty()
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Write the figures that tell whether training goes well."""
        values = [f"{key} {float(logs[key]):.4g}" for key in SHOWN if logs and key in logs]
        if values:
            logger.debug("step %d of %d: %s", state.global_step, state.max_steps, ", ".join(values))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()
