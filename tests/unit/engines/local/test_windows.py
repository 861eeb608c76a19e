"""Models with sliding windows: rows that share a beginning, and choices of several tokens."""

from typing import Any

import pytest
import torch

from wim.engines.local.decoder import Decoder

WINDOW = 8
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 128,
    "sliding_window": WINDOW,
}
LAYERS = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
# The beginning that all share, and what each adds: more and less than a window.
ROWS = [[*range(5, 11), *range(20, 20 + own)] for own in (1, 4, 7, 13)]


@pytest.fixture(scope="module", params=["mistral", "gemma3_text"])
def model(request: pytest.FixtureRequest) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    layers = LAYERS if request.param == "gemma3_text" else {}
    config = AutoConfig.for_model(request.param, **SIZES, **layers, pad_token_id=0)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, weight.shape[-1] ** -0.5)
    return model


def alone(model: Any, row: list[int], count: int = 1) -> torch.Tensor:
    """The last logits of a row by itself, without a cache."""
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([row]), use_cache=False).logits[0, -count:]
    return logits


def test_rows_that_share_a_beginning_have_the_logits_they_have_alone(model: Any) -> None:
    decoder = Decoder(model, ROWS, "cpu")
    rows = [list(row) for row in ROWS]
    for token in (3, 11, 40):
        for place, row in enumerate(rows):
            torch.testing.assert_close(
                decoder.logits[place], alone(model, row)[0], atol=1e-4, rtol=1e-4
            )
        decoder.advance(torch.full((len(rows),), token))
        rows = [[*row, token] for row in rows]


def test_a_look_ahead_beyond_the_window_leaves_the_rows_as_they_are(model: Any) -> None:
    decoder, plain = Decoder(model, ROWS, "cpu"), Decoder(model, ROWS, "cpu")
    for ahead in ([30], [31, 32, 33]):
        found = decoder.lookahead(ahead)
        for place, row in enumerate(ROWS):
            expected = alone(model, row + ahead, len(ahead))
            torch.testing.assert_close(found[place], expected, atol=1e-4, rtol=1e-4)
    for token in range(12, 12 + WINDOW):
        for each in (decoder, plain):
            each.advance(torch.full((len(ROWS),), token))
        torch.testing.assert_close(decoder.logits, plain.logits)
