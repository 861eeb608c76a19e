"""Logits and scores summed up in float32, of a model in fewer bits.

A bfloat16 number has 8 significant bits, so that logits around 20 are rounded to eighths: choices that
differ by less are tied. The states that the head reads are those of the model's precision.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch

# Rows of the head that are converted at once: the vocabulary of a large model has 2 GB in float32.
AT_ONCE = 16_384


@contextmanager
def float32_logits(model: Any) -> Iterator[None]:
    """Within the context a causal language model's head gives float32; other heads stay as they are."""
    import torch

    head: Any = model.get_output_embeddings()
    halved = (torch.bfloat16, torch.float16)
    if not isinstance(head, torch.nn.Linear) or head.weight.dtype not in halved:
        yield
        return
    head = cast("Any", head)
    before = vars(head).get("forward")
    head.forward = lambda states: _product(head, states)
    try:
        yield
    finally:
        if before is None:
            del head.forward
        else:
            head.forward = before


def _product(head: Any, states: "torch.Tensor") -> "torch.Tensor":
    """Logits (..., vocabulary) of states (..., width)."""
    import torch

    states = states.float()
    parts = [states @ weights.float().T for weights in head.weight.split(AT_ONCE)]
    logits = torch.cat(parts, dim=-1)
    return logits if head.bias is None else logits + head.bias.float()


def score_in_float32(model: Any) -> None:
    """Have the last layer of a reward model, which gives the one number, compute in float32."""
    import torch

    layers = [each for each in model.modules() if isinstance(each, torch.nn.Linear)]
    ends = [each for each in layers if each.out_features == 1]
    if ends:
        ends[-1].float()
        ends[-1].register_forward_pre_hook(lambda _, given: (given[0].float(), *given[1:]))
