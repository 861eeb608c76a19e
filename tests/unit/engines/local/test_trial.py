"""How rows are run together is found out by trying the model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from support.small_architectures import write_small_model
from wim.engines.local.decoder import Batching
from wim.engines.local.loading import open_model
from wim.engines.local.trial import TOKENS, batching_of
from wim.errors import UserError


def tried(model: Any) -> Batching:
    return batching_of(model, list(range(10, 10 + TOKENS)), "cpu", "reader")


@pytest.mark.parametrize(
    ("model_type", "batching"),
    [
        ("llama", Batching.SHARED),
        ("gpt_neo", Batching.PADDED),  # Its windows are those of its layers alone.
        ("mpt", Batching.PADDED),  # Its biases count places.
        ("lfm2", Batching.PADDED),
        ("bart", Batching.ALONE),  # Its positions are places.
        ("deepseek_v4", Batching.ALONE),  # Its cache groups places.
        ("recurrent_gemma", Batching.UNCACHED),  # Its states are in its layers.
    ],
)
def test_a_way_is_chosen_by_what_the_model_computes(
    model_type: str, batching: Batching, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_small_model(model_type, tmp_path)
    assert tried(open_model(tmp_path, torch.float32, "cpu")) is batching
    said = [record.message for record in caplog.records if "one by one" in record.message]
    assert len(said) == (batching in (Batching.ALONE, Batching.UNCACHED))


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_a_model_that_reads_in_both_directions_is_refused(model_type: str, tmp_path: Path) -> None:
    write_small_model(model_type, tmp_path, is_decoder=False)
    model = open_model(tmp_path, torch.float32, "cpu")
    with pytest.raises(UserError, match=r"^model reader: \w+ does not continue a text .*causal"):
        tried(model)


def test_a_model_whose_logits_overflow_is_refused(tmp_path: Path) -> None:
    write_small_model("llama", tmp_path)
    model = open_model(tmp_path, torch.float16, "cpu")
    with torch.no_grad():
        model.lm_head.weight.fill_(6e4)
    with pytest.raises(UserError, match=r"not finite in torch.float16; write dtype: float32"):
        tried(model)


def test_half_precision_and_experts_keep_their_batches(tmp_path: Path) -> None:
    for model_type in ("llama", "qwen3_moe", "qwen3_5"):
        write_small_model(model_type, tmp_path / model_type)
        model = open_model(tmp_path / model_type, torch.bfloat16, "cpu")
        assert tried(model) in (Batching.SHARED, Batching.PADDED)
