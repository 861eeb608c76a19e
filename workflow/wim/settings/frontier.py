"""The curves of a frontier: arms that differ in beta, or in the seed, and in nothing else."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wim.settings.discovery import speaker_of
from wim.settings.evaluated import checkpoint_of, speakers_of
from wim.settings.grid import axes_of_arms

if TYPE_CHECKING:
    from wim.settings.config import Config

BETA, LOSS = "training.beta", "training.loss"
WITHIN = (BETA, "seed")
"""What may differ between the arms of one curve."""

Curve = dict[str, Any]
"""The name of a trained speaker's curve, as `curve`, and its `beta`."""


def curves_of(config: "Config", name: str) -> dict[str, Curve]:
    """The curve and the beta of each trained speaker of an evaluation, by speaker.

    Arms of a grid are on one curve if they differ in beta or the seed alone; other arms if their loss
    is the same. A loss that is discovered is a curve of its own.
    """
    placed = {
        arm: (grid, axes)
        for grid, arms in axes_of_arms(config.grid).items()
        for arm, axes in arms.items()
    }
    trained = {
        speaker: checkpoint
        for speaker in speakers_of(config, name)
        if (checkpoint := checkpoint_of(config, speaker))
    }
    grids = {placed[arm][0] for arm, _ in trained.values() if arm in placed}
    found = {}
    for speaker, (arm, number) in trained.items():
        training = config.arm_training(arm, number)
        label = training.loss_label
        if arm in placed:
            grid, axes = placed[arm]
            label = _label(axes, training.loss_label) or grid
            label = f"{grid}: {label}" if len(grids) > 1 else label
        found[speaker] = {"curve": label, "beta": training.beta}
    return found | _discovered(config, name)


def _discovered(config: "Config", name: str) -> dict[str, Curve]:
    """The curves of losses that are discovered, where the evaluation is their fitness."""
    if config.discovery is None or config.discovery.fitness.evaluation != name:
        return {}
    beta = config.arm_training(config.discovery.arm).beta
    speakers = map(speaker_of, config.discovery.candidates)
    return {speaker: {"curve": speaker, "beta": beta} for speaker in speakers}


def _label(axes: Mapping[str, Any], loss: str) -> str:
    """What tells an arm's curve from the others of its grid; empty where nothing does."""
    parts = [
        loss if key == LOSS else f"{key.split('.')[-1]} {value}"
        for key, value in axes.items()
        if key not in WITHIN
    ]
    return ", ".join(parts)
