"""Opening a causal language model: its precision, its quantisation and its attention."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.settings.precision import Attention, Quantization

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)
# The fields of configurations with the most positions, in the order of their precedence.
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions")
# The fields of configurations with the number of a layer's experts.
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


def open_model(
    folder: Path,
    dtype: "torch.dtype",
    device: str,
    quantization: Quantization = "none",
    attention: Attention = "auto",
) -> Any:
    """The model of a folder on a device.

    quantization: nf4 packs the weights of linear layers and of experts into 4 bits (QLoRA, Dettmers
    et al. 2023, arXiv 2305.14314), int8 those of linear layers into 8 (LLM.int8(), Dettmers et al.
    2022, arXiv 2208.07339); embeddings and head stay in `dtype`, in which nf4 is multiplied.
    Raises UserError for what is no causal language model, for attention that is not installed here,
    and for experts in int8.
    """
    from transformers import AutoModelForCausalLM

    config = causal_config(folder)
    options: dict[str, Any] = dict(attention_options(attention, dtype))
    if quantization != "none":
        options["quantization_config"] = bits_and_bytes(quantization, dtype)
    packed = quantization != "none" and _has_experts(config)
    if packed and quantization == "int8":
        raise UserError(
            "models: quantization: found int8 for a model of experts, which bitsandbytes would "
            "leave as they are; write nf4."
        )
    # Experts are packed one layer at a time: unpacked they may not all fit on the device.
    model, loading = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map="cpu" if packed else device,
        output_loading_info=True,
        trust_remote_code=False,
        **options,
    )
    check_whole(folder, loading, "a causal language model")
    if packed:
        _pack_experts(model, device)
        model.to(device)
    return model.eval()


def causal_config(folder: Path) -> Any:
    """The configuration of a model. Raises UserError where it is not that of a language model."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: not a language model that transformers opens "
            f"({str(error).splitlines()[0]}); write a causal language model."
        ) from None
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UserError(
            f"{folder}: {config.model_type} models write no text in this version of transformers; "
            "write a causal language model."
        )
    return config


def check_whole(folder: Path, loading: Mapping[str, Any], kind: str) -> None:
    """Raise UserError where weights are missing, which would be random numbers.

    Args:
        folder: The model's folder.
        loading: What from_pretrained reports of the weights.
        kind: What the model should be.
    """
    if missing := sorted(loading["missing_keys"]):
        raise UserError(
            f"{folder}: its files lack {len(missing)} weights that {kind} has, such as "
            f"{missing[0]}; write {kind}."
        )


def context_length(config: Any) -> int | None:
    """The most tokens that a model reads, by its configuration; None where nothing limits them.

    A configuration of several parts, as of a model that also reads images, has it in that of its
    text. Models without positions, as recurrent ones and those of ALiBi (Press et al. 2022, arXiv
    2108.12409), have no limit.
    """
    text = config.get_text_config(decoder=True)
    found = (getattr(text, name, None) for name in POSITIONS)
    return next((int(length) for length in found if length), None)


def bits_and_bytes(quantization: Quantization, dtype: "torch.dtype") -> Any:
    """transformers' settings of a quantisation; nf4 is multiplied in `dtype`."""
    from transformers import BitsAndBytesConfig

    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def attention_options(attention: Attention, dtype: "torch.dtype") -> dict[str, str]:
    """from_pretrained's options of an attention; dtype: the precision that it is computed in.

    Raises UserError for one that is not installed here, or not for this precision.
    """
    if attention == "flash_attention_2":
        _check_flash_attention(dtype)
    return {} if attention == "auto" else {"attn_implementation": attention}


def _check_flash_attention(dtype: "torch.dtype") -> None:
    import torch
    from transformers.utils import is_flash_attn_2_available

    if not is_flash_attn_2_available():
        raise UserError(
            "models: attention: found flash_attention_2, which needs a GPU and the package "
            "flash-attn, and one of them is not here; install it, or write auto."
        )
    if dtype is torch.float32:
        raise UserError(
            "models: attention: flash_attention_2 knows no float32; write dtype: bfloat16, or "
            "attention: auto."
        )


def _has_experts(config: Any) -> bool:
    text = config.get_text_config(decoder=True)
    return any((getattr(text, name, None) or 0) > 1 for name in EXPERTS)


def _pack_experts(model: Any, device: str) -> None:
    """Replace the tensor of a layer's experts by 4-bit weights, unpacked while the layer runs.

    transformers keeps experts as (experts, out, in), which bitsandbytes' own linear layers cannot
    replace.
    """
    import torch
    from bitsandbytes.nn.parametrize import replace_parameter_4bit

    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.ndim == 3 and weight.is_floating_point():
                moved = torch.nn.Parameter(weight.data.to(device), requires_grad=False)
                setattr(module, name, moved)
                replace_parameter_4bit(module, name, quant_type="nf4")
