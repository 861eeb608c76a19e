"""Memory and time, as they are worked out, are those of the published facts and of the code."""

import re
from typing import Any

import pytest

from support.workflow_runs import REPOSITORY
from wim.dag.resources import BATCH_SIZES
from wim.errors import UserError
from wim.sizing.architecture import KNOWN, Architecture, described_model
from wim.sizing.hours import GPUS, Speed, decoding_seconds, training_seconds
from wim.sizing.memory import (
    LOSS_TOKENS,
    LOSS_VOCABULARY,
    PACKED,
    PREFILL_TOKENS,
    REFILL_ROOM,
    _kept_of_layer,
    adapter_parameters,
    cache_bytes,
    generation_memory,
    training_memory,
    weights_bytes,
)

MODELS = {model.name: model for model in KNOWN}
LLAMA, MIXTRAL = MODELS["Llama-3-8B-Instruct"], MODELS["Mixtral-8x7B-Instruct"]
RULES = REPOSITORY / "rules"


def test_mixtral_in_four_bits_takes_about_27_gb() -> None:
    assert weights_bytes(MIXTRAL, quantization="nf4") == pytest.approx(27e9, rel=0.02)


def test_llama_3_8b_takes_16_gb_in_bfloat16() -> None:
    assert weights_bytes(LLAMA) == pytest.approx(16e9, rel=0.01)


def test_a_token_of_llama_3_8b_takes_128_kib_of_cache() -> None:
    assert cache_bytes(LLAMA, rows=1, tokens=1) == 128 * 1024


def test_adapters_of_rank_16_on_all_layers_of_llama_3_8b_are_41_9_million_numbers() -> None:
    assert adapter_parameters(LLAMA, 16, "all-linear") == 41_943_040
    assert adapter_parameters(LLAMA, 16, ["q_proj", "v_proj"]) == 6_815_744


def test_mixtral_multiplies_a_token_by_13_billion_parameters() -> None:
    assert MIXTRAL.multiplied == pytest.approx(12.9e9, rel=0.02)


@pytest.mark.parametrize("model", KNOWN, ids=lambda model: model.name)
def test_the_shape_of_a_known_model_accounts_for_its_parameters(model: Architecture) -> None:
    in_layers = sum(count * ins * outs for ins, outs, count in model.linear_layers().values())
    # The rest are norms, biases, routers and positions.
    assert model.layers * in_layers == pytest.approx(model.packable, rel=0.04)


def test_what_nf4_takes_is_what_bitsandbytes_makes() -> None:
    import torch
    from bitsandbytes.functional import quantize_4bit

    packed, state = quantize_4bit(torch.randn(256, 256), quant_type="nf4")
    held = packed.nbytes + state.absmax.nbytes
    assert held == PACKED["nf4"] * 256 * 256


def test_what_is_counted_in_the_engine_and_in_trl_is_still_so() -> None:
    from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE
    from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

    from wim.engines.local import engine

    assert (PREFILL_TOKENS, REFILL_ROOM) == (engine.PREFILL_TOKENS, engine.REFILL_ROOM)
    assert LOSS_TOKENS == TOKEN_CHUNK_SIZE
    assert LOSS_VOCABULARY == _CHUNKED_LOGPROB_CHUNK_SIZE


def test_every_rule_with_a_batch_takes_its_own_of_the_batches_that_are_sized() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in RULES.glob("*.smk"))
    of_rule = (
        r'\nrule (\w+):(?:(?!\nrule ).)*?batch_size=(?:BATCH_SIZES\[|falling_batch_size\()"(\w+)"'
    )
    found = re.findall(of_rule, text, flags=re.DOTALL)
    assert found and all(rule == sized for rule, sized in found)
    assert {rule for rule, _ in found} == set(BATCH_SIZES)


@pytest.mark.parametrize("adapted", [True, False], ids=["adapters", "all weights"])
@pytest.mark.parametrize("half", [True, False], ids=["bfloat16", "float32"])
def test_a_layer_keeps_for_the_backward_pass_what_is_counted(half: bool, adapted: bool) -> None:
    tokens = 2 * 64
    (model, shallow), (_, deep) = (_kept_bytes(layers, half, adapted) for layers in (2, 4))
    assert (deep - shallow) / (2 * tokens) == pytest.approx(
        _kept_of_layer(model, half, adapted), rel=0.03
    )


def _kept_bytes(layers: int, half: bool, adapted: bool) -> tuple[Architecture, int]:
    """The shape of a small Llama, and the bytes that autograd keeps of one forward pass."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 192, "intermediate_size": 512, "vocab_size": 64}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 2}
    config = LlamaConfig(num_hidden_layers=layers, **shape, **heads)
    dtype = torch.bfloat16 if half and adapted else torch.float32
    network: Any = LlamaForCausalLM(config).to(dtype)
    if adapted:
        lora = LoraConfig(task_type="CAUSAL_LM", r=1, target_modules="all-linear")
        network = get_peft_model(network, lora)
    tokens = torch.ones(2, 64, dtype=torch.long)
    mask = tokens.clone()
    mask[0, -1] = 0
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    autocast = torch.autocast("cpu", torch.bfloat16, enabled=half)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast:
        output = network(tokens, attention_mask=mask, use_cache=False).logits
    weights = {each.untyped_storage().data_ptr() for each in network.parameters()}
    # Autocast's copies of weights are counted with the weights.
    copied = sum(each.numel() * 2 for each in network.parameters() if each.dim() > 1 and half)
    del output
    size = sum(count for place, count in kept.items() if place not in weights)
    model = Architecture(
        *("small", 10**6, layers, 192, 512, 6, 2, 32, 64),
    )
    return model, size - (0 if adapted else copied)


def test_memory_grows_with_the_batch_and_shrinks_with_checkpointing() -> None:
    batches = [generation_memory(LLAMA, rows, 500, 256).total for rows in (1, 16, 64)]
    assert batches == sorted(batches)
    plain, checkpointed = (
        training_memory(LLAMA, 8, 512, adapter=10**7, checkpointing=each).total
        for each in (False, True)
    )
    assert checkpointed < plain


def test_a_batch_beyond_what_is_read_at_once_adds_its_cache_alone() -> None:
    prompt, new = 512, 128
    few, many = (generation_memory(LLAMA, rows, prompt, new) for rows in (64, 256))
    assert many.cache == 4 * few.cache == cache_bytes(LLAMA, 256, prompt + new + REFILL_ROOM)
    assert many.activations == few.activations
    assert few.activations > generation_memory(LLAMA, 8, prompt, new).activations


def test_training_all_weights_holds_16_bytes_a_parameter_and_a_reference() -> None:
    memory = training_memory(LLAMA, 2, 512, half=False)
    assert memory.weights + memory.training == pytest.approx((16 + 4) * LLAMA.parameters)


def test_decoding_is_bound_by_reading_the_weights() -> None:
    gpu = GPUS["a100-80"]
    seconds = decoding_seconds(LLAMA, 1, 1, 100, 10, "bfloat16", "none", Speed(gpu, 0.1))
    assert seconds == pytest.approx(10 * weights_bytes(LLAMA) / gpu.bandwidth / 0.1, rel=0.01)


def test_training_frozen_weights_takes_6_operations_and_all_of_them_8() -> None:
    speed = Speed(GPUS["a100-80"], 1.0)
    seconds = [
        training_seconds(LLAMA, 1e6, 0, adapted, False, True, speed) for adapted in (True, False)
    ]
    operations = [each * 312e12 / LLAMA.multiplied / 1e6 for each in seconds]
    assert operations == [pytest.approx(6), pytest.approx(8)]


def test_a_model_described_by_its_shape_is_about_that_model() -> None:
    described = described_model(8.03e9, 32, 4096, kv_heads=8)
    assert described.intermediate == pytest.approx(LLAMA.intermediate, rel=0.001)
    assert cache_bytes(described, 1, 1) == cache_bytes(LLAMA, 1, 1)


def test_a_model_of_fewer_parameters_than_its_layers_is_refused() -> None:
    with pytest.raises(UserError, match="fewer than 32 layers"):
        described_model(1e9, 32, 4096)
