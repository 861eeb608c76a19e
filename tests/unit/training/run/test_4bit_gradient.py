"""Gradients pass through weights of 4 bits, also after a forward pass that needed none."""

import bitsandbytes
import torch

from wim.training.run.weights import keep_4bit_differentiable


def test_a_gradient_passes_through_weights_that_were_used_without_one() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        bitsandbytes.nn.Linear4bit(
            64, 128, bias=False, quant_type="nf4", compute_dtype=torch.bfloat16
        )
    )
    model.to("cpu")
    keep_4bit_differentiable(model)
    model.eval()
    with torch.no_grad():
        model(torch.randn(3, 64))
    model.train()
    inputs, upstream = torch.randn(3, 64, requires_grad=True), torch.randn(3, 128)
    (model(inputs) * upstream).sum().backward()
    weight = model[0].weight
    whole = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state).float()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, upstream @ whole.reshape(128, 64), atol=5e-2, rtol=5e-2)
