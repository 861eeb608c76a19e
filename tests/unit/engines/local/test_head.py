"""Numbers of models in bfloat16 are read from float32 logits."""

from pathlib import Path

import pytest
import torch

from wim.engines.base import Request
from wim.engines.local.engine import LocalEngine
from wim.engines.local.head import AT_ONCE, float32_logits, score_in_float32

CHOICES = [str(number) for number in range(1, 11)]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> LocalEngine:
    return LocalEngine(tiny_model, "bfloat16")


def test_logits_are_the_products_of_rounded_states_and_weights_in_float32(
    engine: LocalEngine,
) -> None:
    model = engine.model
    tokens = torch.arange(5, 30)[None]
    states: list[torch.Tensor] = []
    head = model.get_output_embeddings()
    assert head.weight.shape[0] > AT_ONCE
    hook = model.base_model.register_forward_hook(lambda *given: states.append(given[-1][0]))
    with torch.inference_mode():
        rounded = model(tokens).logits
        with float32_logits(model):
            found = model(tokens).logits
        again = model(tokens).logits
    hook.remove()
    assert (rounded.dtype, found.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(rounded, again)
    expected = states[0].double() @ head.weight.double().T
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    assert (rounded.double() - expected).abs().max() > 1e-4


def test_choices_are_not_tied_by_rounding(engine: LocalEngine) -> None:
    asked = [Request("a", ({"role": "user", "content": "How good is it, from 1 to 10?"},))]
    (found,) = engine.choice_logprobs(asked, CHOICES)
    prompt = engine.chat.tokens(engine.chat.prompt(asked[0].messages, answer=True))
    digits = [engine.chat.tokens(each)[-1] for each in CHOICES[:9]]
    with torch.inference_mode(), float32_logits(engine.model):
        logits = engine.model(torch.tensor([prompt])).logits[0, -1].double()
    expected = logits.log_softmax(-1)[digits][1:]
    # "1" may go on to "10". States differ by the order of sums in bfloat16.
    torch.testing.assert_close(
        torch.tensor(found.logprobs[1:9]).double(), expected, atol=2e-2, rtol=0
    )
    # Numbers of eight bits would lie on a grid.
    assert len({round(each, 6) for each in found.logprobs}) == len(CHOICES)


def test_a_text_has_the_same_logits_whether_it_was_the_beginning_of_another(
    engine: LocalEngine,
) -> None:
    from wim.engines.local.blocks import BLOCK, ReadBlocks

    text = list(range(10, 10 + 2 * BLOCK))
    alone = ReadBlocks(engine.model, "cpu").read(text).logits
    blocks = ReadBlocks(engine.model, "cpu")
    blocks.read([*text, 5])
    assert torch.equal(blocks.read(text).logits, alone)
    assert blocks.passes == 4 and torch.equal(blocks.read(text).logits, alone)
    assert blocks.passes == 4


def test_a_reward_models_score_is_summed_up_in_float32() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    model.to(torch.bfloat16)
    states, last = model[:2](torch.randn(5, 8, dtype=torch.bfloat16)), model[2]
    expected = states.double() @ last.weight.double().T + last.bias.double()
    score_in_float32(model)
    found = last(states)
    assert found.dtype is torch.float32 and model[0].weight.dtype is torch.bfloat16
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-6)
