"""Models written by their libraries: equal to the byte, whichever process wrote them."""

import json
from pathlib import Path
from typing import Any

import pytest

from wim.models.saving import save_adapter, save_tokenizer, save_weights


def llama(**options: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 32}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, **options))


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_adapters_modules_are_written_in_one_order(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj"]
    for name, order in (("a", modules), ("b", modules[::-1])):
        adapted = get_peft_model(llama(), LoraConfig(target_modules=order, r=2))
        save_adapter(adapted, Path("results/models/base"), tmp_path / name)
    written = json.loads((tmp_path / "a/adapter_config.json").read_text())
    assert written["target_modules"] == sorted(modules)
    assert written["base_model_name_or_path"] == "results/models/base"
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_librarys_version_is_no_part_of_a_written_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM, configuration_utils
    from transformers.generation import configuration_utils as generation

    model = llama(max_position_embeddings=64)
    save_weights(model, tmp_path / "now")
    for module in (configuration_utils, generation):
        monkeypatch.setattr(module, "__version__", "99.0.0")
    save_weights(model, tmp_path / "then")
    assert files(tmp_path / "now") == files(tmp_path / "then")
    opened = LlamaForCausalLM.from_pretrained(tmp_path / "now")
    assert opened.config.max_position_embeddings == 64


def test_a_tokenizers_last_use_and_the_hub_are_no_part_of_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    unused = AutoTokenizer.from_pretrained(tiny_model, local_files_only=True)
    save_tokenizer(unused, tmp_path / "unused")
    used = AutoTokenizer.from_pretrained(tiny_model)
    # As it is where the hub may be reached.
    used.init_kwargs["local_files_only"] = False
    used(["One.", "Two texts."], padding=True, truncation=True, max_length=2)
    save_tokenizer(used, tmp_path / "used")
    assert files(tmp_path / "unused") == files(tmp_path / "used")
    opened = AutoTokenizer.from_pretrained(tmp_path / "used")
    assert opened("Two texts.").input_ids == unused("Two texts.").input_ids
    assert opened.chat_template == unused.chat_template
