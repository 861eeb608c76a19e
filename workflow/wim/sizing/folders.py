"""The architecture of a model's folder, by its config.json and the headers of its weights."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.sizing.architecture import BYTES, Architecture

ENCODERS = ("bert", "mpnet", "roberta", "xlm-roberta", "electra", "camembert")
# The fields of config.json that give a shape, and their names in older types (GPT-2, Bloom, MPT).
NAMES = {
    "hidden_size": ("n_embd", "d_model", "n_embed"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_kv_heads", "kv_n_heads"),
    "intermediate_size": ("n_inner", "ffn_dim", "ffn_hidden_size"),
}
NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")

# What an encoder reads that has no positions.
UNLIMITED = 2**20


def model_of_folder(folder: Path, name: str) -> Architecture:
    """The architecture of a model folder: shape by its config.json, count by its safetensors.

    Raises UserError for a folder without them, or of a shape that is not given there.
    """
    path = folder / "config.json"
    if not path.is_file() and (folder / "modules.json").is_file():
        return _static_encoder(folder, name)
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the config.json of a model ({error}).") from None
    config = _plain(config.get("text_config", config))
    missing = [key for key in NEEDED if not isinstance(config.get(key), int)]
    if missing:
        raise UserError(
            f"{path}: found no {', '.join(missing)}; describe the model instead, with --parameters, "
            "--layers and --hidden."
        )
    sizes = {name: math.prod(shape) for name, shape in _shapes(folder).items()}
    if not sizes:
        raise UserError(f"{folder}: found config.json and no safetensors weights; stage the model.")
    return _of_config(config, name, sizes, _longest(folder, config))


def is_model(folder: Path) -> bool:
    """Whether a folder looks like a model's."""
    return any((folder / name).is_file() for name in ("config.json", "modules.json"))


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration under the names of NAMES; of sizes by layer the largest."""
    found = dict(config)
    for name, others in NAMES.items():
        values = (config.get(key) for key in (name, *others))
        value = next((value for value in values if value), None)
        found[name] = max(value) if isinstance(value, list) else value
    if isinstance(found["hidden_size"], int) and not found["intermediate_size"]:
        found["intermediate_size"] = 4 * found["hidden_size"]
    return found


def _static_encoder(folder: Path, name: str) -> Architecture:
    """A sentence encoder without a transformer: a vector for each token."""
    shapes = _shapes(folder) | _shapes(folder, "*/*.safetensors")
    if not shapes:
        raise UserError(
            f"{folder}: found modules.json and no safetensors weights; stage the model."
        )
    vocabulary, width = max((shape for shape in shapes.values() if len(shape) == 2), key=math.prod)
    return Architecture(
        name=name,
        parameters=sum(map(math.prod, shapes.values())),
        layers=0,
        hidden=width,
        intermediate=0,
        heads=1,
        kv_heads=1,
        head_dim=1,
        vocabulary=vocabulary,
        tied=True,
        gated=False,
        longest=UNLIMITED,
        file_dtype="float32",
    )


def _of_config(
    config: Mapping[str, Any], name: str, sizes: Mapping[str, int], longest: int
) -> Architecture:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    experts = next((config[key] for key in EXPERTS if config.get(key)), 1)
    encoder = config.get("model_type") in ENCODERS
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    return Architecture(
        name=name,
        parameters=sum(sizes.values()),
        layers=config["num_hidden_layers"],
        hidden=hidden,
        intermediate=config.get("moe_intermediate_size") or config["intermediate_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        vocabulary=config["vocab_size"],
        tied=encoder or not any("lm_head" in tensor for tensor in sizes),
        experts=experts,
        experts_used=config.get("num_experts_per_tok") or 1,
        gated=any("gate" in tensor for tensor in sizes),
        longest=longest,
        file_dtype=dtype if dtype in BYTES else "float32",
    )


def _shapes(folder: Path, pattern: str = "*.safetensors") -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a folder's safetensors files, from their headers."""
    from safetensors import SafetensorError, safe_open

    shapes = {}
    for path in sorted(folder.glob(pattern)):
        try:
            with safe_open(path, framework="np") as file:
                for tensor in file.keys():  # noqa: SIM118, the file is no mapping
                    shapes[tensor] = tuple(file.get_slice(tensor).get_shape())
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: not a safetensors file ({error}); stage it again.") from None
    return shapes


def _longest(folder: Path, config: Mapping[str, Any]) -> int:
    """Tokens that a sentence encoder reads of a text."""
    path = folder / "sentence_bert_config.json"
    given = json.loads(path.read_bytes()) if path.is_file() else {}
    return int(given.get("max_seq_length") or config.get("max_position_embeddings") or 512)
