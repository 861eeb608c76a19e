"""Trackers of a training's metrics: TensorBoard, Comet, Weights & Biases."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.training.processes import is_first_process

PACKAGES = {"comet": "comet_ml", "wandb": "wandb"}


def trackers(folder: Path, wanted: Sequence[str], step: int) -> list[Any]:
    """Callbacks that write a training's metrics into a folder, in the first of several processes.

    Args:
        folder: Where TensorBoard's event files go, and offline runs of the other trackers.
        wanted: The other trackers: comet, wandb. They work offline unless the environment is
            configured otherwise.
        step: The step that training resumes from; what was written of later steps is discarded.

    Raises:
        UserError: A tracker's package is not installed.
    """
    from transformers.integrations import CometCallback, TensorBoardCallback, WandbCallback

    for name in wanted:
        if find_spec(PACKAGES[name]) is None:
            raise UserError(
                f"tracking: {name} is configured and not installed; run pip install "
                f"'wim[{name}]' in the environment of the jobs, or remove {name} from `tracking:`."
            )
    if not is_first_process():
        return []
    from torch.utils.tensorboard import SummaryWriter

    folder.mkdir(parents=True, exist_ok=True)
    if not step:
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
    _work_offline(folder)
    writer = SummaryWriter(folder, purge_step=step + 1)
    others = {"comet": CometCallback, "wandb": WandbCallback}
    return [TensorBoardCallback(writer), *(others[name]() for name in wanted)]


def _work_offline(folder: Path) -> None:
    """Configure both trackers by the environment, where the user has not."""
    for name, value in {
        "COMET_START_ONLINE": "0",
        "COMET_OFFLINE_DIRECTORY": str(folder),
        "COMET_PROJECT_NAME": "wim",
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": "wim",
        "WANDB_SILENT": "true",
    }.items():
        os.environ.setdefault(name, value)
