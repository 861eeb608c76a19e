"""Samples tokens so that a row's sample depends on the row's own seed alone.

Sampling takes the largest of log-probability plus Gumbel noise (Gumbel-max; Maddison et al.
2014, arXiv 1411.0030). The noise is a pure function of (seed, step, token): neither the
neighbours in a batch nor its size changes it.
"""

from typing import TYPE_CHECKING

from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import torch

# Constants of the SplitMix64 generator (Steele, Lea and Flood 2014), as signed 64-bit numbers.
GOLDEN = -7046029254386353131
MIX_1 = -4658895280553007687
MIX_2 = -7723592293110705685


def choose_tokens(
    logits: "torch.Tensor", seeds: "torch.Tensor", steps: "torch.Tensor", sampling: Sampling
) -> "torch.Tensor":
    """The next token of each row.

    Args:
        logits: (rows, vocabulary).
        seeds: (rows,) int64.
        steps: (rows,) int64, the number of tokens that each row has sampled before.
        sampling: The settings.

    Returns:
        (rows,) int64.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    scores, tokens = _kept(logits.float() / sampling.temperature, sampling)
    return tokens.gather(-1, (scores + gumbel(seeds, steps, tokens)).argmax(-1, keepdim=True))[:, 0]


def _kept(scores: "torch.Tensor", sampling: Sampling) -> "tuple[torch.Tensor, torch.Tensor]":
    """Scores and ids of the tokens that may be sampled, both (rows, kept)."""
    import torch

    vocabulary = scores.shape[-1]
    if 0 < sampling.top_k < vocabulary or sampling.top_p < 1:
        kept = sampling.top_k if 0 < sampling.top_k < vocabulary else vocabulary
        scores, tokens = scores.topk(kept, dim=-1)
    else:
        tokens = torch.arange(vocabulary, device=scores.device).expand_as(scores)
    if sampling.top_p < 1:
        probabilities = scores.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        scores = scores.masked_fill(before >= sampling.top_p, float("-inf"))
    return scores, tokens


def gumbel(seeds: "torch.Tensor", steps: "torch.Tensor", tokens: "torch.Tensor") -> "torch.Tensor":
    """Standard Gumbel noise for each (row, token), float32 of the shape of `tokens`."""
    import torch

    row = _mixed(_mixed(seeds) + steps * GOLDEN)
    bits = _mixed(row[:, None] + (tokens + 1) * GOLDEN)
    # The 52 upper bits, shifted by a half so that neither 0 nor 1 occurs; a half after 53
    # bits would be rounded up to 1.
    uniform = (((bits >> 12) & (2**52 - 1)).double() + 0.5) / 2**52
    noise: torch.Tensor = -torch.log(-torch.log(uniform))
    return noise.float()


def _mixed(numbers: "torch.Tensor") -> "torch.Tensor":
    """SplitMix64's finaliser, with wrapping signed arithmetic and logical shifts."""
    numbers = (numbers ^ _shifted(numbers, 30)) * MIX_1
    numbers = (numbers ^ _shifted(numbers, 27)) * MIX_2
    mixed: torch.Tensor = numbers ^ _shifted(numbers, 31)
    return mixed


def _shifted(numbers: "torch.Tensor", bits: int) -> "torch.Tensor":
    shifted: torch.Tensor = (numbers >> bits) & (2 ** (64 - bits) - 1)
    return shifted
