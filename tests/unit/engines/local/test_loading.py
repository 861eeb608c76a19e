"""Models in 4 and 8 bits, with the attention asked for, and with adapters merged when staged."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from support.small_architectures import small_config
from wim.engines.base import Request
from wim.engines.local.engine import LocalEngine
from wim.engines.local.loading import context_length, open_model
from wim.errors import UserError
from wim.models.manifest import read_manifest
from wim.models.stage import stage_model
from wim.settings.models import ModelSource
from wim.settings.sampling import Sampling

GREEDY = Sampling(max_new_tokens=12, temperature=0)
TOKENS = torch.arange(5, 25)[None]


def questions() -> list[Request]:
    texts = ("Rain falls on the hills.", "Why does the train leave at noon?", "Name a river.")
    return [Request(text, ({"role": "user", "content": text},)) for text in texts]


def logits_of(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(TOKENS).logits.float().softmax(-1)
    return logits


@pytest.mark.parametrize(("quantization", "bits"), [("nf4", 4.5), ("int8", 8.1)])
def test_a_packed_model_takes_the_memory_of_its_bits_and_says_much_the_same(
    tiny_model: Path, quantization: Any, bits: float
) -> None:
    whole = open_model(tiny_model, torch.float32, "cpu")
    packed = open_model(tiny_model, torch.float32, "cpu", quantization)
    layers, held = (
        sum(tensor.numel() * tensor.element_size() for tensor in model.model.layers.parameters())
        for model in (whole, packed)
    )
    assert held < layers * bits / 32 * 1.2
    assert packed.lm_head.weight.dtype is torch.float32
    apart = (logits_of(packed) - logits_of(whole)).abs().sum(-1).mean()
    assert 0 < apart < 0.5

    engine = LocalEngine(tiny_model, "float32", quantization=quantization)
    answers = list(engine.generate(questions(), GREEDY))
    assert len(answers) == 3 and all(answer.text for answer in answers)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Mixtral of two layers and four experts."""
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=100,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=128,
    )
    folder = tmp_path_factory.mktemp("experts")
    MixtralForCausalLM(config).save_pretrained(folder)
    return folder


def test_experts_are_packed_too(experts: Path) -> None:
    whole = open_model(experts, torch.float32, "cpu")
    packed = open_model(experts, torch.float32, "cpu", "nf4")
    large = [
        name
        for name, tensor in packed.model.layers.named_parameters()
        if tensor.is_floating_point() and tensor.ndim > 1 and "gate." not in name
    ]
    assert large == [], "only norms and routers stay as they are"
    held = sum(each.numel() * each.element_size() for each in packed.model.layers.parameters())
    full = sum(each.numel() * each.element_size() for each in whole.model.layers.parameters())
    assert held < 0.2 * full
    assert (logits_of(packed) - logits_of(whole)).abs().sum(-1).mean() < 0.5


def test_experts_in_eight_bits_are_refused_with_what_to_write(experts: Path) -> None:
    with pytest.raises(UserError, match="write nf4"):
        open_model(experts, torch.float32, "cpu", "int8")


def test_attention_is_what_was_asked_for_and_changes_no_greedy_answer(tiny_model: Path) -> None:
    answers = []
    for attention in ("eager", "sdpa"):
        engine = LocalEngine(tiny_model, "float32", attention=attention)  # type: ignore[arg-type]
        assert engine.model.config._attn_implementation == attention
        answers.append({each.key: each.text for each in engine.generate(questions(), GREEDY)})
    assert answers[0] == answers[1]


def test_attention_that_is_not_installed_is_refused_with_what_to_write(tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"flash-attn.*write auto"):
        open_model(tiny_model, torch.bfloat16, "cpu", attention="flash_attention_2")


def test_only_what_decides_an_answer_is_part_of_its_identity() -> None:
    plain = ModelSource(source="path:model")
    assert plain.answering == {"dtype": "auto"}
    assert "adapter" not in plain.staging and "quantization" not in plain.staging
    assert ModelSource(source="path:model", attention="eager").answering == plain.answering
    packed = ModelSource(source="path:model", quantization="nf4")
    assert packed.answering == {"dtype": "auto", "quantization": "nf4"}
    assert packed.staging == plain.staging
    assert ModelSource(source="path:model", adapter="path:a").staging["adapter"] == "path:a"


# Adapters


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the tiny model with weights that change what it says."""
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter")
    model = open_model(tiny_model, torch.float32, "cpu")
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder)
    return folder


def test_an_adapter_is_merged_when_the_model_is_staged(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    settings = ModelSource(source=f"path:{tiny_model}", adapter=f"path:{adapter}")
    stage_model(settings, tmp_path / "model")
    stage_model(settings, tmp_path / "again")
    stage_model(ModelSource(source=f"path:{tiny_model}"), tmp_path / "plain")
    manifest, again, plain = (
        read_manifest(tmp_path / name / "manifest.json") for name in ("model", "again", "plain")
    )
    assert manifest == again and manifest.digest != plain.digest
    assert manifest.source == f"path:{tiny_model} + path:{adapter}"

    whole = open_model(tiny_model, torch.float32, "cpu")
    expected = logits_of(PeftModel.from_pretrained(whole, adapter).eval())
    found = logits_of(open_model(tmp_path / "model", torch.float32, "cpu"))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_an_adapter_of_another_model_is_refused(
    tiny_model: Path, adapter: Path, experts: Path, tmp_path: Path
) -> None:
    (tmp_path / "adapter").mkdir()
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(settings))
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    (tmp_path / "adapter/adapter_model.safetensors").write_bytes(weights)
    with pytest.raises(UserError, match="does not fit the model"):
        stage_model(
            ModelSource(source=f"path:{experts}", adapter=f"path:{tmp_path / 'adapter'}"),
            tmp_path / "model",
        )
    assert not (tmp_path / "model").exists()


def test_a_folder_without_an_adapter_is_refused_with_what_is_missing(
    tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"no adapter_model\.safetensors"):
        stage_model(
            ModelSource(source=f"path:{tiny_model}", adapter=f"path:{tiny_model}"),
            tmp_path / "model",
        )
    with pytest.raises(ValidationError, match="hf:<repo>@<revision> or path:<folder>"):
        ModelSource(source="path:model", adapter="adapter")


@pytest.mark.parametrize(
    ("model_type", "length"),
    [("gemma3", 256), ("qwen3_5", 256), ("mpt", 256), ("whisper", 256), ("bloom", None)],
)
def test_a_context_is_that_of_the_text_or_has_no_limit(model_type: str, length: int | None) -> None:
    assert context_length(small_config(model_type)) == length


def test_a_classifier_is_no_language_model(tmp_path: Path) -> None:
    from transformers import LlamaForSequenceClassification

    LlamaForSequenceClassification(small_config("llama")).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"lack 1 weights .* such as lm_head.weight; write a caus"):
        open_model(tmp_path, torch.float32, "cpu")


def test_a_type_that_writes_no_text_is_refused(tmp_path: Path) -> None:
    from transformers import AutoConfig

    AutoConfig.for_model("vit").save_pretrained(tmp_path)
    with pytest.raises(UserError, match="vit models write no text in this version of transformers"):
        open_model(tmp_path, torch.float32, "cpu")
