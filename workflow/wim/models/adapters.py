"""Merge low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) into their base models."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.fetch.hub import HubFiles, hub_snapshot
from wim.models.saving import save_weights
from wim.provenance.digest import digest_file, digest_of
from wim.settings.models import SOURCE

logger = logging.getLogger(__name__)
FILES = ("adapter_config.json", "adapter_model.safetensors")


def fetch_adapter(source: str) -> Path:
    """The folder of an adapter. Raises UserError if it cannot be fetched or lacks a file."""
    parts = SOURCE.fullmatch(source)
    if parts is None or parts["package"]:
        raise UserError(f"{source}: write hf:<repo>@<revision> or path:<folder> for an adapter.")
    if parts["path"]:
        folder = Path(parts["path"]).expanduser()
        _files(folder, source)
        return folder
    wanted = HubFiles("model", parts["repo"], parts["revision"], FILES)
    return hub_snapshot(wanted, source, lambda folder: _files(folder, source))[0]


def adapter_sha256(folder: Path) -> str:
    """The digest of an adapter's files."""
    return digest_of({name: digest_file(folder / name) for name in FILES})


def merge_adapter(model: Path, adapter: Path, source: str) -> None:
    """Merge an adapter into a model's folder, whose weights are rewritten in their precision.

    Raises:
        UserError: The adapter was made for another model.
    """
    from peft import PeftModel
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    logger.info("%s: merging", source)
    whole = AutoModelForCausalLM.from_pretrained(model, dtype="auto", trust_remote_code=False)
    try:
        adapted = PeftModel.from_pretrained(whole, adapter)
        with safe_open(adapter / FILES[1], framework="np") as weights:
            _check_all_used(adapted, set(weights.keys()))
        merged = adapted.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise UserError(
            f"{source}: does not fit the model that it shall be merged into ({reason}); write the "
            "base model that its adapter_config.json names as the model's source."
        ) from None
    for path in model.glob("model*.safetensors*"):
        path.unlink()
    save_weights(merged, model)


def _check_all_used(adapted: Any, weights: set[str]) -> None:
    """Raise ValueError for weights without a layer or a layer without weights: peft skips both."""
    from peft import get_peft_model_state_dict

    layers = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    apart = sorted(weights ^ layers)
    if apart:
        where = "the adapter" if apart[0] in weights else "the model"
        raise ValueError(f"{len(apart)} weights do not match, such as {apart[0]} of {where}")


def _files(folder: Path, source: str) -> Sequence[str]:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{source}: {folder} has no {' and no '.join(missing)}; expected the folder of an "
            "adapter as peft saves it (pickled weights, .bin, are refused)."
        )
    return FILES
