"""Trackers of figures: TensorBoard, and Comet, Weights & Biases and trackio, offline."""

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from wim.errors import UserError

PACKAGES = {"comet": "comet_ml", "wandb": "wandb", "trackio": "trackio"}
PROJECT = "wim"
# What trackio keeps of a run, in the run's folder: jobs may not write to one file on a shared disk.
TRACKIO = "trackio"


def check_installed(wanted: Sequence[str]) -> None:
    """Raise UserError for a tracker whose package is not installed."""
    for name in wanted:
        if find_spec(PACKAGES[name]) is None:
            raise UserError(
                f"tracking: {name} is configured and not installed; run pip install "
                f"'wim[{name}]' in the environment of the jobs, or remove {name} from `tracking:`."
            )


def start_anew(folder: Path) -> None:
    """Make a run's folder, without what a former run of the same name has written there."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    shutil.rmtree(folder / TRACKIO, ignore_errors=True)


def work_offline(folder: Path) -> None:
    """Configure the trackers by the environment, where the user has not."""
    for name, value in {
        "COMET_START_ONLINE": "0",
        "COMET_OFFLINE_DIRECTORY": str(folder),
        "COMET_PROJECT_NAME": PROJECT,
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": PROJECT,
        "WANDB_SILENT": "true",
        "TRACKIO_DIR": str(folder.resolve() / TRACKIO),
    }.items():
        os.environ.setdefault(name, value)


def write_figures(
    figures: Mapping[str, float], name: str, folder: Path, wanted: Sequence[str]
) -> None:
    """Write figures that have no steps, as a run of their own.

    Args:
        figures: By their names, in which a / makes groups.
        name: The run's.
        folder: Where TensorBoard's event files go, and offline runs of the other trackers.
        wanted: The other trackers.

    Raises:
        UserError: A tracker's package is not installed.
    """
    from torch.utils.tensorboard import SummaryWriter

    check_installed(wanted)
    start_anew(folder)
    if wanted:
        work_offline(folder)
    with SummaryWriter(folder) as writer:
        for figure, value in figures.items():
            writer.add_scalar(figure, value, 0)
    for tracker in wanted:
        WRITERS[tracker](figures, name)


def _write_to_wandb(figures: Mapping[str, float], name: str) -> None:
    import wandb

    with wandb.init(project=os.environ["WANDB_PROJECT"], name=name) as run:
        run.log(dict(figures))


def _write_to_comet(figures: Mapping[str, float], name: str) -> None:
    import comet_ml

    experiment = comet_ml.start(experiment_config=comet_ml.ExperimentConfig(name=name))
    experiment.log_metrics(dict(figures))
    experiment.end()


def _write_to_trackio(figures: Mapping[str, float], name: str) -> None:
    import trackio

    trackio.init(project=PROJECT, name=name, auto_log_cpu=False, auto_log_gpu=False)
    trackio.log(dict(figures))
    trackio.finish()


WRITERS = {"comet": _write_to_comet, "wandb": _write_to_wandb, "trackio": _write_to_trackio}
