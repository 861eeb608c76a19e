"""A staged model of three files, one of them in a folder: enough to copy and to verify."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from wim.models.stage import stage_model
from wim.settings.models import ModelSource

WEIGHTS = "model.safetensors"


def stage_three_files(folder: Path, numbers: int) -> Path:
    """Stage a model with `numbers` float32 weights below `folder`; returns its manifest."""
    source, staged = folder / "source", folder / "results/models/own"
    (source / "additional_chat_templates").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "additional_chat_templates/tools.jinja").write_text("{{ messages }}")
    save_file({"weight": np.arange(numbers, dtype=np.float32)}, source / WEIGHTS)
    stage_model(ModelSource(source=f"path:{source}"), staged)
    return staged / "manifest.json"
