"""Fully sharded data-parallel training (FSDP2, Zhao et al. 2023, arXiv 2304.11277).

Each of several GPUs holds a share of the weights, gradients and optimizer states, so that together
they train a model that none of them could hold alone.
"""

from collections.abc import Mapping
from typing import Any

VERSION = 2
# accelerate reads these before a trainer's arguments are known.
ENVIRONMENT = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": str(VERSION)}


def sharding_arguments() -> dict[str, Any]:
    """The trainer's arguments: a unit for each of the model's layers, states saved in shares."""
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": VERSION,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "state_dict_type": "SHARDED_STATE_DICT",
            "reshard_after_forward": True,
        },
    }


def whole_weights(trainer: Any) -> Mapping[str, Any] | None:
    """The trained weights by name, gathered in the first process; None if they are not sharded.

    Every process must call this.
    """
    if not trainer.is_fsdp_enabled:
        return None
    weights = trainer.accelerator.get_state_dict(trainer.model)
    # Gathered one by one, tied weights would be saved twice.
    tied = getattr(trainer.accelerator.unwrap_model(trainer.model), "all_tied_weights_keys", {})
    return {name: weight for name, weight in weights.items() if name not in tied}
