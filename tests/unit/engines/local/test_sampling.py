"""Draws that follow the model's distribution and depend on the row's own seed alone."""

import math

import pytest
import torch
from scipy.stats import chisquare

from wim.engines.local.sampling import GOLDEN, MIX_1, MIX_2, choose_tokens, gumbel
from wim.settings.sampling import Sampling

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -2.0, 1.5])
SEEDS = 20_000


def draws(sampling: Sampling, step: int = 0) -> torch.Tensor:
    return choose_tokens(
        LOGITS.expand(SEEDS, -1), torch.arange(SEEDS), torch.tensor(step), sampling
    )


def test_noise_has_the_mean_and_variance_of_the_standard_gumbel_distribution() -> None:
    tokens = torch.arange(1000).expand(1000, -1)
    noise = gumbel(torch.arange(1000), torch.tensor(3), tokens).double()
    assert noise.mean() == pytest.approx(0.5772, abs=0.005)
    assert noise.var() == pytest.approx(math.pi**2 / 6, abs=0.01)


def test_noise_of_neighbouring_seeds_steps_and_tokens_is_uncorrelated() -> None:
    tokens = torch.arange(2001).expand(200, -1)
    noise = gumbel(torch.arange(200), torch.tensor(0), tokens)
    later = gumbel(torch.arange(200), torch.tensor(1), tokens)
    other = gumbel(torch.arange(200) + 1, torch.tensor(0), tokens)
    for shifted in (later, other, noise.roll(1, dims=-1)):
        both = torch.stack([noise.flatten(), shifted.flatten()])
        assert abs(torch.corrcoef(both)[0, 1].item()) < 0.01


def test_no_two_seeds_steps_or_tokens_share_their_noise() -> None:
    tokens = torch.arange(40).expand(40, -1)
    rows = [gumbel(torch.arange(40), torch.tensor(step), tokens) for step in range(40)]
    values = torch.stack(rows).flatten()
    # 64,000 float32 numbers: a few of them meet by chance, none in a pattern.
    assert len(values.unique()) > 0.99 * len(values)
    lines = torch.stack(rows).reshape(-1, 40)
    assert len(lines.unique(dim=0)) == len(lines)


def undone(number: int) -> int:
    """The number that SplitMix64's finaliser maps to this one."""
    for bits, factor in ((31, MIX_2), (27, MIX_1), (30, None)):
        shifted = number
        while shifted:
            shifted >>= bits
            number ^= shifted
        if factor is not None:
            number = number * pow(factor % 2**64, -1, 2**64) % 2**64
    return number


def seed_with_bits(bits: int) -> int:
    """The seed whose noise for step 0 and token 0 is made of these 64 bits."""
    seed = undone(undone((undone(bits) - GOLDEN) % 2**64))
    return seed - 2**64 if seed >= 2**63 else seed


@pytest.mark.parametrize("bits", [0, 2**64 - 1, 2**63, 2**63 - 1])
def test_noise_is_finite_at_the_ends_of_the_generators_range(bits: int) -> None:
    noise = gumbel(
        torch.tensor([seed_with_bits(bits)]), torch.tensor(0), torch.tensor([[0]])
    ).item()
    uniform = (bits + 0.5) / 2**64
    assert math.isfinite(noise)
    if uniform < 0.9:
        assert noise == pytest.approx(-math.log(-math.log(max(uniform, 2**-53))), abs=1e-5)
    else:
        assert noise > 30


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        pytest.param(Sampling(temperature=1.0, top_k=0), range(8), id="all tokens"),
        pytest.param(Sampling(temperature=0.5, top_k=0), range(8), id="cold"),
        pytest.param(Sampling(temperature=1.7, top_k=0), range(8), id="hot"),
        pytest.param(Sampling(temperature=1.0, top_k=3), (0, 7, 1), id="top_k"),
        pytest.param(Sampling(temperature=1.0, top_k=99), range(8), id="top_k over all"),
        # Shares in order: 0.42, 0.25, 0.15, 0.09, ...
        pytest.param(Sampling(temperature=1.0, top_k=0, top_p=0.7), (0, 7, 1), id="top_p"),
        pytest.param(Sampling(temperature=0.7, top_k=5, top_p=0.9), (0, 7, 1), id="all three"),
    ],
)
@pytest.mark.parametrize("step", [0, 7])
def test_draws_follow_the_softmax_of_the_tokens_that_may_be_drawn(sampling, allowed, step) -> None:
    shares = (LOGITS / sampling.temperature).softmax(-1)
    mask = torch.zeros(8)
    mask[list(allowed)] = 1
    expected = shares * mask / (shares * mask).sum()
    counts = torch.bincount(draws(sampling, step), minlength=8)
    assert counts[mask == 0].sum() == 0
    kept = mask == 1
    result = chisquare(
        counts[kept].numpy(),
        (expected[kept].double() / expected[kept].double().sum() * SEEDS).numpy(),
    )
    assert result.pvalue > 1e-4


def test_a_tiny_top_p_and_a_top_k_of_one_take_the_most_likely_token() -> None:
    assert draws(Sampling(temperature=1.0, top_k=0, top_p=1e-6)).unique().tolist() == [0]
    assert draws(Sampling(temperature=1.0, top_k=1)).unique().tolist() == [0]


def test_temperature_zero_is_the_most_likely_token_whatever_the_seed() -> None:
    logits = torch.randn(50, 999, generator=torch.Generator().manual_seed(0))
    tokens = choose_tokens(logits, torch.arange(50), torch.tensor(0), Sampling(temperature=0))
    assert tokens.tolist() == logits.argmax(-1).tolist()


@pytest.mark.parametrize(
    "sampling",
    [Sampling(top_k=0), Sampling(top_k=50), Sampling(top_k=0, top_p=0.8), Sampling(temperature=0)],
)
def test_a_rows_draw_is_the_same_alone_and_among_others(sampling) -> None:
    logits = torch.randn(16, 5000, generator=torch.Generator().manual_seed(1)) * 3
    seeds = torch.arange(16) * 2**55
    steps = torch.arange(16) // 3
    together = choose_tokens(logits, seeds, steps, sampling)
    alone = [
        choose_tokens(logits[[row]], seeds[[row]], steps[[row]], sampling).item()
        for row in range(16)
    ]
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    shuffled = choose_tokens(logits[order], seeds[order], steps[order], sampling)
    assert together.tolist() == alone
    assert shuffled.tolist() == together[order].tolist()


def test_seeds_and_steps_change_what_is_drawn() -> None:
    logits = torch.zeros(1, 1000)
    sampling = Sampling(temperature=1.0, top_k=0)
    drawn = {
        choose_tokens(logits, torch.tensor([seed]), torch.tensor([step]), sampling).item()
        for seed in range(10)
        for step in range(10)
    }
    assert len(drawn) > 80
