"""A tiny random model of each causal architecture of transformers, from its configuration.

Sizes are set by the names of a configuration's fields, and one layer of each kind is kept.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

HEADS, HEAD, VOCABULARY, WINDOW, POSITIONS = 4, 8, 64, 16, 256
WIDTH = HEADS * HEAD
SIZES = [
    (
        WIDTH,
        """hidden_size d_model n_embd embed_dim attention_hidden_size embedding_size lru_width
        backbone_hidden_size emb_dim embedding_dim word_embed_proj_dim input_embedding_size
        output_embedding_size hidden_size_global hidden_dim""",
    ),
    (
        2 * WIDTH,
        """intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim moe_intermediate_size
        shared_expert_intermediate_size shared_intermediate_size ffn_hidden_size d_inner dff dim_ff
        n_inner dense_intermediate_size intermediate_size_mlp expert_ffn_hidden_size
        moe_shared_expert_intermediate_size feed_forward_size mamba_d_ssm""",
    ),
    (VOCABULARY, "vocab_size vocab_size_per_layer_input decoder_vocab_size"),
    (
        POSITIONS,
        """max_position_embeddings n_positions n_ctx model_max_length max_seq_len
        context_length max_target_positions""",
    ),
    (
        WINDOW,
        """sliding_window sliding_window_size local_attention_window_len window_size
        attention_window_size keep_window_size attention_chunk_size qk_head_dim kv_lora_rank
        q_lora_rank index_n_heads""",
    ),
    (
        HEADS,
        """num_attention_heads num_key_value_heads n_head n_heads num_heads num_kv_heads
        decoder_attention_heads encoder_attention_heads swa_num_attention_heads
        swa_num_key_value_heads attention_heads num_decoder_attention_heads
        num_encoder_attention_heads linear_num_value_heads num_query_groups linear_num_heads
        mamba_chunk_size chunk_size block_size index_block_size mamba_dt_rank time_step_rank""",
    ),
    (
        HEAD,
        """head_dim linear_key_head_dim linear_value_head_dim v_head_dim qk_nope_head_dim
        qk_rope_head_dim kv_channels dim_head attention_head_size swa_head_dim rotary_dim d_head
        index_head_dim d_kv attention_head_dim mamba_d_state mamba_n_heads mamba_d_head state_size
        mamba_num_heads mamba_head_dim ssm_state_size index_topk query_pre_attn_scalar laurel_rank
        hidden_size_per_layer_input adapter_rank linear_head_dim""",
    ),
    (5, "num_experts num_local_experts n_routed_experts moe_num_experts"),
    (3, "conv_L_cache"),
    (
        2,
        """num_experts_per_tok num_experts_per_token moe_topk moe_k mamba_expand linear_num_key_heads
        index_topk_blocks""",
    ),
    (
        1,
        """first_k_dense_replace num_dense_layers n_group topk_group num_expert_group n_groups
        mamba_n_groups num_kv_shared_layers max_window_layers""",
    ),
]
SIZE_OF = {name: size for size, names in SIZES for name in names.split()}
LAYERS = (
    *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"),
    *("encoder_layers", "num_decoder_layers", "num_encoder_layers"),
)
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
ROPE = {"rope_type": "default", "rope_theta": 1e4}
MIXED = ["sliding_attention", "full_attention"]
SHARING = {"num_hidden_layers": 4, "layer_types": MIXED * 2, "num_kv_shared_layers": 2}
# What the fields' names alone do not say, by the type of the model.
FURTHER: dict[str, dict[str, Any]] = {
    "bamba": {"num_hidden_layers": 3, "attn_layer_indices": [1]},
    "blt": {"encoder_hash_byte_group_vocab": VOCABULARY},
    "cohere_compass_text": {"layer_types": MIXED, "rope_parameters": dict.fromkeys(MIXED, ROPE)},
    "dbrx": {
        "attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8},
        "ffn_config": {"hidden_size": WIDTH, "ffn_hidden_size": 64},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 5, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "dots3_note_audio_encoder": {"adapter_input_size": WIDTH, "adapter_out_dim": WIDTH},
    "dots3_note_vision_encoder": {"adapter_in_dim": WIDTH, "adapter_out_dim": WIDTH},
    "dots3_note_text": {
        f"swa_{name}": size
        for name, size in {
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "head_dim": 16,
            "qk_nope_head_dim": HEAD,
            "qk_rope_head_dim": HEAD,
            "v_head_dim": HEAD,
        }.items()
    },
    "emu3": {
        "vocabulary_map": {"<|extra_200|>": 60, "<image>": 61}
        | {f"<|visual token {place:06}|>": 3 + place for place in range(4)}
    },
    "emu3_vqgan": {"base_channels": 32, "channel_multiplier": [1], "attn_resolutions": []},
    "gemma3n_text": {**SHARING, "intermediate_size": 64, "activation_sparsity_pattern": [0.0] * 4},
    "gemma4_text": SHARING,
    "gemma4_unified_text": SHARING,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "hunyuan_v1_dense": {"head_dim": HEAD},
    "hunyuan_v1_moe": {"head_dim": HEAD},
    "jamba": {
        "num_hidden_layers": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": HEAD, "expand": 2},
    "mimo_v2_flash": {"head_dim": 24, "v_head_dim": HEAD, "num_key_value_heads": 2},
    "ministral": {"head_dim": HEAD},
    # Its window is as long as its context: the whole pass has none.
    "moshi": {"sliding_window": POSITIONS},
    "nemotron": {"num_key_value_heads": 2},
    "qwen4_exp_text": {
        "layer_types": ["linear_attention", "indexed_attention"],
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": HEAD,
        "indexer_budget": HEAD,
        "indexer_compress_ratio": 2,
        "ngram_vocab_size_base": VOCABULARY,
        "hc_lowrank": HEAD,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {"axial_pos_embds_dim": [8, 24], "axial_pos_shape": [16, 16]},
    "roc_bert": {
        "pronunciation_embed_dim": HEAD,
        "pronunciation_vocab_size": VOCABULARY,
        "shape_embed_dim": HEAD,
        "shape_vocab_size": VOCABULARY,
    },
    "xlstm": {"num_blocks": 2, "hidden_size": 128, "embedding_dim": 128, "chunk_size": 16},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 5,
        "attention_head_dim": 16,
        "attention_hidden_size": 64,
        "layers_block_type": [
            *("linear_attention", "linear_attention", "hybrid", "linear_attention", "hybrid")
        ],
    },
    "zamba2": {"attention_hidden_size": 64, "attention_head_dim": 16, "head_dim": HEAD},
    "zaya": {"num_experts_per_tok": 1},
}
MOST_PARAMETERS = 20_000_000


def model_types() -> list[str]:
    """The types of all causal language models of the installed transformers."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def small_config(model_type: str, **changes: Any) -> Any:
    """A configuration of a type with small sizes, windows, and a layer of each kind."""
    from transformers import CONFIG_MAPPING

    return _small(CONFIG_MAPPING[model_type], model_type, changes)


def _small(kind: Any, model_type: str, changes: Mapping[str, Any] = MappingProxyType({})) -> Any:
    whole = kind()
    fields = whole.to_dict()
    parts = {
        name: getattr(whole, name)
        for name in getattr(kind, "sub_configs", {})
        if hasattr(getattr(whole, name, None), "to_dict")
    }
    kept = _kept_layers(fields)
    chosen: dict[str, Any] = {
        name: _small(type(part), part.model_type).to_dict() for name, part in parts.items()
    }
    for name, value in fields.items():
        if name in LAYERS and isinstance(value, int):
            chosen[name] = max(2, len(kept))
        elif isinstance(value, list) and len(value) == _layer_count(fields) and kept:
            chosen[name] = [value[place] for place in kept]
        elif name in TOKENS and value is not None:
            chosen[name] = TOKENS[name]
        elif name in SIZE_OF and isinstance(value, int) and not isinstance(value, bool):
            chosen[name] = SIZE_OF[name]
    chosen |= _windows(fields, chosen)
    if "is_decoder" in fields:
        chosen["is_decoder"] = True
    return kind(**chosen | FURTHER.get(model_type, {}) | changes)


def _windows(fields: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """A window, and a layer that has it, for a type that may have one."""
    if "sliding_window" not in fields:
        return {}
    found: dict[str, Any] = {"sliding_window": WINDOW}
    if "use_sliding_window" in fields:
        found["use_sliding_window"] = True
    if set(chosen.get("layer_types", ())) == {"full_attention"}:
        found["layer_types"] = MIXED
    return found


def _layer_count(fields: dict[str, Any]) -> int:
    return next((fields[name] for name in LAYERS if isinstance(fields.get(name), int)), 0)


def _kept_layers(fields: dict[str, Any]) -> list[int]:
    """The places of the first layer of each kind, at least two."""
    count = _layer_count(fields)
    kinds = [
        value
        for name, value in fields.items()
        if isinstance(value, list) and len(value) == count and name.endswith(("types", "_type"))
    ]
    layers = [tuple(map(str, each)) for each in zip(*kinds, strict=True)]
    kept = sorted({layers.index(layer) for layer in layers})
    return sorted({*kept, 0, 1}) if len(kept) == 1 else kept


def write_small_model(model_type: str, folder: Path, **changes: Any) -> None:
    """Write a model of random weights, large enough that no two tokens are as likely.

    A type that also reads images is written with that part, as its models come.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as WITH_IMAGES,
    )

    config = small_config(model_type, **changes)
    kind = AutoModelForImageTextToText if model_type in WITH_IMAGES else AutoModelForCausalLM
    with torch.device("meta"):
        size = sum(each.numel() for each in kind.from_config(config).parameters())
    if size > MOST_PARAMETERS:
        raise ValueError(f"{size:,} parameters although its sizes are small")
    torch.manual_seed(0)
    model = kind.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Embedding):
                scale = 3 if isinstance(layer, torch.nn.Embedding) else 1.5
                layer.weight.normal_(0, scale * layer.weight.shape[-1] ** -0.5)
    model.save_pretrained(folder)


def word_tokenizer() -> Any:
    """A tokenizer of VOCABULARY words, w3, w4, ..., with a template that joins contents."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", *(f"w{place}" for place in range(3, VOCABULARY))]
    places = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(places, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template="{% for each in messages %}{{ each.content }} {% endfor %}",
    )
