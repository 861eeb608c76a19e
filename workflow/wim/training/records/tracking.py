"""Where a training's metrics go besides metrics.jsonl. Importing this module loads transformers."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.training.run.processes import is_first_process

PACKAGES = {"comet": "comet_ml", "wandb": "wandb"}


def trackers(folder: Path, wanted: Sequence[str], step: int) -> list[Any]:
    """Callbacks that write TensorBoard's event files into a folder, and what else is wanted.

    wanted: of comet and wandb, which write there too, to be sent later, unless the environment says
    otherwise. step: that from which training goes on; what was written after it is void.

    Of several processes the first one writes. Raises UserError for a package that is missing.
    """
    from transformers.integrations import CometCallback, TensorBoardCallback, WandbCallback

    for name in wanted:
        if find_spec(PACKAGES[name]) is None:
            raise UserError(
                f"tracking: {name} is asked for and not installed; run pip install 'wim[{name}]' in "
                f"the environment of the jobs, or take {name} out of `tracking:`."
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
    """What both trackers read from the environment; what the user has set there stays."""
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
