"""What of a model's shape decides its memory and its time."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wim.errors import UserError

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
ENCODERS = ("bert", "mpnet", "roberta", "xlm-roberta", "electra", "camembert")
NEEDED = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads")


@dataclass(frozen=True)
class Architecture:
    """The shape of a transformer.

    parameters: all of them. intermediate: width of an MLP, of one expert where there are several.
    experts_used: experts that each token goes through. tied: the input embeddings are also the
    output's. gated: the MLP has a gate beside its way up. longest: tokens that an encoder reads.
    file_dtype: precision of the weights on disk.
    """

    name: str
    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = False
    experts: int = 1
    experts_used: int = 1
    gated: bool = True
    longest: int = 512
    file_dtype: str = "bfloat16"

    @property
    def attention(self) -> int:
        """Width of the queries over all heads."""
        return self.heads * self.head_dim

    @property
    def packable(self) -> int:
        """Parameters that a quantisation packs: all but embeddings and output head."""
        return self.parameters - self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def in_experts(self) -> int:
        """Parameters of all experts together; none where there is one MLP."""
        one = self.layers * 3 * self.hidden * self.intermediate
        return self.experts * one if self.experts > 1 else 0

    @property
    def multiplied(self) -> int:
        """Parameters that a token is multiplied by: the used experts', and no lookup table."""
        unused = self.in_experts * (self.experts - self.experts_used) // self.experts
        return self.parameters - unused - (0 if self.tied else self.vocabulary * self.hidden)

    @property
    def file_bytes(self) -> int:
        """Size of the weights on disk."""
        return self.parameters * BYTES[self.file_dtype]

    def linear_layers(self) -> dict[str, tuple[int, int, int]]:
        """(inputs, outputs, how many in a layer) of the linear layers, by their usual names."""
        key_value = self.kv_heads * self.head_dim
        shapes = {
            "q_proj": (self.hidden, self.attention, 1),
            "k_proj": (self.hidden, key_value, 1),
            "v_proj": (self.hidden, key_value, 1),
            "o_proj": (self.attention, self.hidden, 1),
            "gate_proj": (self.hidden, self.intermediate, self.experts),
            "up_proj": (self.hidden, self.intermediate, self.experts),
            "down_proj": (self.intermediate, self.hidden, self.experts),
        }
        return {name: shape for name, shape in shapes.items() if self.gated or name != "gate_proj"}


_SEVEN = Architecture(
    name="Mistral-7B",
    parameters=7_241_732_096,
    layers=32,
    hidden=4096,
    intermediate=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=32000,
)
# From the models' own config.json; the counts are of their weights.
KNOWN = (
    Architecture(
        name="SmolLM2-135M",
        parameters=134_515_008,
        layers=30,
        hidden=576,
        intermediate=1536,
        heads=9,
        kv_heads=3,
        head_dim=64,
        vocabulary=49152,
        tied=True,
    ),
    Architecture(
        name="Qwen3-4B-Instruct-2507",
        parameters=4_022_468_096,
        layers=36,
        hidden=2560,
        intermediate=9728,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocabulary=151936,
        tied=True,
    ),
    _SEVEN,
    replace(_SEVEN, name="Llama-3-8B-Instruct", parameters=8_030_261_248, vocabulary=128256),
    replace(
        _SEVEN,
        name="Mixtral-8x7B-Instruct",
        parameters=46_702_792_704,
        experts=8,
        experts_used=2,
    ),
    Architecture(
        name="all-mpnet-base-v2",
        parameters=109_486_464,
        layers=12,
        hidden=768,
        intermediate=3072,
        heads=12,
        kv_heads=12,
        head_dim=64,
        vocabulary=30527,
        tied=True,
        gated=False,
        longest=384,
        file_dtype="float32",
    ),
    Architecture(
        name="all-MiniLM-L6-v2",
        parameters=22_713_216,
        layers=6,
        hidden=384,
        intermediate=1536,
        heads=12,
        kv_heads=12,
        head_dim=32,
        vocabulary=30522,
        tied=True,
        gated=False,
        longest=256,
        file_dtype="float32",
    ),
)


def known_model(text: str) -> Architecture | None:
    """The known architecture whose name a text holds, whatever its case and separators."""
    plain = text.lower().replace("_", "-")
    found = [each for each in KNOWN if each.name.lower() in plain]
    return max(found, key=lambda each: len(each.name), default=None)


def model_of_folder(folder: Path, name: str) -> Architecture:
    """The architecture of a model folder: shape by its config.json, count by its safetensors.

    Raises UserError for a folder without them, or of a shape that is not given there.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the config.json of a model ({error}).") from None
    config = config.get("text_config", config)
    missing = [key for key in NEEDED if not isinstance(config.get(key), int)]
    if missing:
        raise UserError(
            f"{path}: found no {', '.join(missing)}; describe the model instead, with --parameters, "
            "--layers and --hidden."
        )
    sizes = _sizes_of_tensors(folder)
    if not sizes:
        raise UserError(f"{folder}: found config.json and no safetensors weights; stage the model.")
    return _of_config(config, name, sizes, _longest(folder, config))


def _of_config(
    config: Mapping[str, Any], name: str, sizes: Mapping[str, int], longest: int
) -> Architecture:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    experts = config.get("num_local_experts") or config.get("num_experts") or 1
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


def _sizes_of_tensors(folder: Path) -> dict[str, int]:
    """Numbers in each tensor of a folder's safetensors files, from their headers."""
    from safetensors import SafetensorError, safe_open

    sizes = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                for tensor in file.keys():  # noqa: SIM118, the file is no mapping
                    sizes[tensor] = math.prod(file.get_slice(tensor).get_shape())
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: not a safetensors file ({error}); stage it again.") from None
    return sizes


def _longest(folder: Path, config: Mapping[str, Any]) -> int:
    """Tokens that a sentence encoder reads of a text."""
    path = folder / "sentence_bert_config.json"
    given = json.loads(path.read_bytes()) if path.is_file() else {}
    return int(given.get("max_seq_length") or config.get("max_position_embeddings") or 512)


def described_model(
    parameters: float,
    layers: int,
    hidden: int,
    heads: int | None = None,
    kv_heads: int | None = None,
    intermediate: int | None = None,
    vocabulary: int = 128256,
) -> Architecture:
    """A dense, gated model with untied embeddings, for which not every size is given.

    Heads are 128 wide; without kv_heads every head has keys and values of its own; the MLP is as
    wide as the count of parameters leaves. Raises UserError if nothing is left for it.
    """
    heads = heads or max(1, hidden // 128)
    kv_heads, head_dim = kv_heads or heads, hidden // heads
    in_attention = 2 * hidden * (heads + kv_heads) * head_dim
    left = (parameters - 2 * vocabulary * hidden) / layers - in_attention
    width = intermediate or round(left / (3 * hidden))
    if width < 1:
        raise UserError(
            f"--parameters: found {parameters:g}, fewer than {layers} layers of width {hidden} and "
            f"a vocabulary of {vocabulary} take; correct one of them."
        )
    return Architecture(
        name="as described",
        parameters=int(parameters),
        layers=layers,
        hidden=hidden,
        intermediate=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
    )
