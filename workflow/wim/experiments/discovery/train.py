"""The training with a proposed loss, or the reason why there is none."""

import logging
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.atomic import whole_folder
from wim.display.json_files import read_json, write_json, write_json_lines
from wim.errors import UserError
from wim.models.manifest import write_manifest
from wim.models.opening import opened_folder
from wim.settings.own_loss import OwnLoss, PairTrainingSettings
from wim.training.own_loss import train_with_text
from wim.training.run.launch import write_checkpoint_on
from wim.training.run.setup import Run

logger = logging.getLogger(__name__)
# What a training says when its loss is to blame; anything else that it says ends the job.
OF_THE_LOSS = re.compile(r"training: the (loss|gradient) is |\w+: found the shape |line \d+: ")


def train_discovered(
    check: Path,
    pairs: Path,
    settings: PairTrainingSettings,
    names: Mapping[str, Any],
    upstream_settings: Mapping[str, Any],
    run: Run,
    gpus: int | None,
    log: Path,
    outcome: Path,
) -> None:
    """Train on an arm's pairs with the loss that a check let pass.

    Where there is none, or its training fails by the loss's fault, the checkpoint is the model that
    the training starts from, and `outcome` says why: {"trained": ..., "reason": ..., "seconds": ...}.

    Args:
        check: What check_loss wrote.
        pairs: The table of pairs.
        settings: Those of the arm's training, whose loss is replaced.
        names: What provenance.json says of the checkpoint: `arm`, `round`, `reward`.
        upstream_settings: Those that made the pairs, for the model card.
        run: Where the training starts from and goes to.
        gpus: See write_checkpoint_on.
        log: The job's.
        outcome: The file that says what became of the training.

    Raises:
        UserError: The training failed, and not by the loss's fault.
    """
    found = read_json(check)
    began, reason = time.monotonic(), found["problem"]
    if reason is None:
        loss = OwnLoss(text=found["code"])
        try:
            write_checkpoint_on(
                train_with_text,
                gpus=gpus,
                log=log,
                pairs=pairs,
                settings=settings.model_copy(update={"loss": loss}),
                names=dict(names),
                upstream_settings=dict(upstream_settings),
                run=run,
                reference=None,
                title=f"the loss of {names['arm']}",
            )
        except UserError as error:
            if not OF_THE_LOSS.match(str(error)):
                raise
            reason = str(error)
    if reason is not None:
        logger.warning("discovery: no training: %s", reason)
        _pass_start_on(opened_folder(run.manifest), reason, run.folder)
    seconds = round(time.monotonic() - began, 1)
    write_json(outcome, {"trained": reason is None, "reason": reason, "seconds": seconds})


def _pass_start_on(start: Path, reason: str, folder: Path) -> None:
    """Make the model that the training starts from its checkpoint, by links where that is possible."""
    with whole_folder(folder) as partial:
        for path in sorted(start.rglob("*")):
            if path.is_file() and path.name not in ("manifest.json", "metrics.jsonl", "README.md"):
                target = partial / path.relative_to(start)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    target.hardlink_to(path)
                except OSError:
                    shutil.copy2(path, target)
        write_json_lines(partial / "metrics.jsonl", [])
        (partial / "README.md").write_text(
            f"The model that the training starts from, as there was none: {reason}\n",
            encoding="utf-8",
        )
        write_manifest(partial, f"no training: {reason}")
