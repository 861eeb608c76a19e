"""Models written by their libraries: the same model has the same bytes, whichever process wrote it.

The libraries write notes about the process among what decides the model's answers: their version,
whether the hub was reachable, a tokenizer's last padding, and sets in an order that differs from one
process to the next. The files are part of the model's identity (wim.models.manifest), so these
notes are left out and sets are sorted.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.display.json_files import write_json

# By the file; transformers takes each key's absence as it takes these values.
NOTES = {
    "config.json": ("transformers_version",),
    "generation_config.json": ("transformers_version",),
    "tokenizer_config.json": ("is_local", "local_files_only"),
}


def save_weights(model: Any, folder: Path, weights: Mapping[str, Any] | None = None) -> None:
    """Write a model's weights (safetensors) and configuration.

    Args:
        model: A model of transformers.
        folder: Where it is written.
        weights: The weights, if the model does not hold them itself.
    """
    model.save_pretrained(folder, state_dict=weights)
    _drop_notes(folder)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer, with its chat template, as if no text had been tokenised with it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_padding()
        backend.no_truncation()
    tokenizer.save_pretrained(folder)
    _drop_notes(folder)


def save_adapter(
    model: Any, base: Path, folder: Path, weights: Mapping[str, Any] | None = None
) -> None:
    """Write a model's low-rank adapter.

    Args:
        model: A model of peft.
        base: The folder that is recorded as the adapter's base model path.
        folder: Where it is written.
        weights: The adapter's weights, if the model does not hold them itself.
    """
    for adapter in model.peft_config.values():
        adapter.base_model_name_or_path = str(base)
        for name, value in list(vars(adapter).items()):
            if isinstance(value, set | frozenset):
                setattr(adapter, name, sorted(value))
    inner = model.get_base_model()
    inner.name_or_path = inner.config.name_or_path = str(base)
    model.save_pretrained(folder, state_dict=weights)


def _drop_notes(folder: Path) -> None:
    for file, keys in NOTES.items():
        path = folder / file
        if path.is_file():
            written = json.loads(path.read_text(encoding="utf-8"))
            if any(key in written for key in keys):
                write_json(path, {key: written[key] for key in written if key not in keys})
