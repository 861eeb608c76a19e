"""Trackers of a training's metrics: TensorBoard, Comet, Weights & Biases, trackio."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wim.trackers import PROJECT, check_installed, start_anew, work_offline
from wim.training.processes import is_first_process


def trackers(folder: Path, wanted: Sequence[str], step: int) -> list[Any]:
    """Callbacks that write a training's metrics into a folder, in the first of several processes.

    Args:
        folder: Where TensorBoard's event files go, and offline runs of the other trackers.
        wanted: The other trackers: comet, wandb, trackio. They work offline unless the environment
            is configured otherwise.
        step: The step that training resumes from; what TensorBoard has of later steps is discarded.

    Raises:
        UserError: A tracker's package is not installed.
    """
    from transformers.integrations import (
        CometCallback,
        TensorBoardCallback,
        TrackioCallback,
        WandbCallback,
    )

    check_installed(wanted)
    if not is_first_process():
        return []
    from torch.utils.tensorboard import SummaryWriter

    class InProject(TrackioCallback):  # type: ignore[misc]
        """Names the project, which the callback takes from the trainer's arguments."""

        def setup(self, args: Any, state: Any, model: Any, **kwargs: Any) -> None:
            args.project = PROJECT
            super().setup(args, state, model, **kwargs)

    if not step:
        start_anew(folder)
    folder.mkdir(parents=True, exist_ok=True)
    work_offline(folder)
    writer = SummaryWriter(folder, purge_step=step + 1)
    others = {"comet": CometCallback, "wandb": WandbCallback, "trackio": InProject}
    return [TensorBoardCallback(writer), *(others[name]() for name in wanted)]
