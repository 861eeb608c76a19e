"""Convert GGUF files to model folders: weights, configuration, tokenizer, chat template."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from wim.errors import UserError
from wim.models.saving import save_tokenizer, save_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


def convert_gguf(file: Path, folder: Path, scratch: Path, source: str) -> None:
    """Write a GGUF file's model into `folder` as from_pretrained opens it.

    The weights are float32: a dequantised value is a sum or product of 16-bit scales, and most
    of SmolLM2's Q4_1 and Q8_0 values would be rounded by float16 and bfloat16.

    Raises:
        UserError: The file or its architecture cannot be read; names `source`.
    """
    # Alone in a folder, as transformers would also read a tokenizer or configuration beside it.
    alone = scratch / "gguf"
    alone.mkdir()
    (alone / "model.gguf").symlink_to(file.resolve())
    logger.info("%s: dequantising %s to float32", source, file.name)
    try:
        loaded, tokenizer = _load(alone)
    except (ValueError, KeyError, IndexError, NotImplementedError, OSError) as error:
        raise UserError(
            f"{source}: {file.name} could not be read as a GGUF model "
            f"({type(error).__name__}: {error}). Fetch it again if it is cut off; an architecture "
            "that transformers does not take from GGUF needs the original: write "
            "hf:<repo>@<revision> or path:<folder>."
        ) from None
    save_weights(_unquantised(loaded), folder)
    save_tokenizer(tokenizer, folder)
    for weights in folder.glob("*.safetensors"):
        # safetensors writes for its owner alone, and a staged model is often shared.
        weights.chmod((folder / "config.json").stat().st_mode)


def _load(alone: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        alone, gguf_file="model.gguf", trust_remote_code=False
    )
    _restore_pre_tokenizer(tokenizer, _pre_tokenizer_name(alone / "model.gguf"))
    model = AutoModelForCausalLM.from_pretrained(
        alone,
        gguf_file="model.gguf",
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
    )
    return model, tokenizer


def _pre_tokenizer_name(file: Path) -> str:
    """The name by which llama.cpp knows how the text is split before byte-pair encoding."""
    from gguf import GGUFReader

    field = GGUFReader(file).get_field("tokenizer.ggml.pre")
    return "default" if field is None else str(field.contents())


def _restore_pre_tokenizer(tokenizer: "PreTrainedTokenizerBase", name: str) -> None:
    """Split text as the model was trained: transformers gives every GGUF file GPT-2's way.

    SmolLM splits off each digit first, which changes the white space before a number, as in
    a numbered list (LLAMA_VOCAB_PRE_TYPE_SMOLLM in llama.cpp's src/llama-vocab.cpp).
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    if name == "smollm":
        steps = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(steps)
    elif name not in ("default", "gpt-2"):
        logger.warning(
            "the GGUF file splits text as '%s'; transformers may split it otherwise, so prefer "
            "the original model (hf:<repo>@<revision>) where you can",
            name,
        )


def _unquantised(loaded: "PreTrainedModel") -> "PreTrainedModel":
    """The same weights in a fresh model: one loaded from GGUF refuses to be saved."""
    import torch
    from transformers import AutoModelForCausalLM

    config = loaded.config
    del config.quantization_config
    # On the meta device the fresh model takes no memory and draws no random weights.
    with torch.device("meta"):
        fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict(), assign=True)
    fresh.tie_weights()
    fresh.generation_config = loaded.generation_config
    return fresh
