"""Losses of pairs are the published ones: value and gradient, stationary points, large inputs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from wim.settings.losses import LOSSES
from wim.training.losses import OWN, LogRatios, cell, dbaql, kto_pair, lrml, pair_losses, pfl
from wim.training.records.basin import rising_interval

Array = np.ndarray
BETA, TAU, SMOOTHING = 0.07, 0.06, 0.1
EXPONENTIAL = {"cell", "dbaql"}


def s(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def fdpo(x: Array) -> Array:
    return np.log(1 + np.exp(-x))


def fslic(x: Array) -> Array:
    return np.maximum(0, 1 - x)


def published(name: str, pc: Array, pr: Array, rc: Array, rr: Array, b: float, t: float) -> Array:
    """The losses as the papers write them, in float64; `s(mean)` in aql and Std in aqfl."""
    rho = (pc - pr) - (rc - rr)
    x = b * rho
    match name:
        case "sigmoid":
            return fdpo(x)
        case "cdpo":
            return (1 - SMOOTHING) * fdpo(x) + SMOOTHING * fdpo(-x)
        case "slic":
            return fslic(x)
        case "ipo_sum":
            return (rho - 1 / (2 * b)) ** 2
        case "kto_pair":
            kl_c, kl_r = max(0, np.mean(pc - rc)), max(0, np.mean(pr - rr))
            return (1 - s(b * (pc - rc - kl_r)) + 1 - s(b * (kl_c - (pr - rr)))) / 2
        case "dbaql":
            w = s(np.var(x / t, ddof=1))
            return w * fdpo(x / 0.9) + (1 - w) * np.exp(-0.9 * x)
        case "aql":
            q = s(t * (0.5 + 0.01 * (s(np.mean(x / t)) - 0.5)) - x)
            return q * fdpo(x) + (1 - q) * fslic(x)
        case "padll":
            return 0.9 * (1 - 0.5 * (rho < 0)) * fdpo(x)
        case "aqfl":
            m1 = np.std(x / t, ddof=1) * np.mean(s(-x / t))
            m2 = m1 + 0.05 * (s(np.mean(x / t)) - m1)
            r = s(0.1 * np.abs(x / t - m2))
            return r * fdpo(x) + (1 - r) * fslic(x)
        case "cell":
            return 0.5 * fdpo(x) + 0.5 * np.exp(-x)
        case "lrml":
            return (1 - s(x / t)) * fdpo(x) + s(x / t) * np.exp(-x)
        case "pfl":
            return np.where(pc > pr, fdpo(x / t) / 2, 2 * fslic(x / t))
    raise ValueError(name)


def generated(name: str, logits: Array, correct: Array) -> Array:
    """The code that was trained at beta 0.05, where it takes the unscaled difference."""
    b = 0.05
    match name:
        case "lrml":
            return fdpo(b * logits) * (1 - s(logits)) + np.exp(-b * logits) * s(logits)
        case "dbaql":
            w = s(np.var(logits, ddof=1))
            return w * fdpo(b * logits / 0.9) + (1 - w) * np.exp(-b * logits * 0.9)
        case "aql":
            quantile = 0.5 + 0.01 * (s(np.mean(logits)) - 0.5)
            q = s(-b * (logits - quantile))
            return q * fdpo(b * logits) + (1 - q) * fslic(b * logits)
        case "aqfl":
            quantile = np.std(logits, ddof=1) * np.mean(s(-logits))
            quantile += 0.05 * (s(np.mean(logits)) - quantile)
            r = s(0.1 * np.abs(logits - quantile))
            return r * fdpo(b * logits) + (1 - r) * fslic(b * logits)
        case "pfl":
            return np.where(correct, fdpo(logits) / 2, fslic(logits) * 2)
    raise ValueError(name)


def batch(seed: int = 0, pairs: int = 7) -> list[Array]:
    """Log-probabilities of some pairs, their differences on both sides of every kink."""
    draw = np.random.default_rng(seed)
    references = [draw.uniform(-90, -40, pairs) for _ in range(2)]
    policies = [reference + draw.normal(0, 12, pairs) for reference in references]
    return [*policies, *references]


def tensors(arrays: list[Array], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.tensor(each, dtype=dtype, requires_grad=True) for each in arrays]


def loss_of(name: str, beta: float = BETA, tau: float = TAU) -> Callable[..., torch.Tensor]:
    return lambda *pairs: pair_losses(name, LogRatios(*pairs), beta, tau, SMOOTHING)


def of_difference(
    name: str, rho: list[float], beta: float, tau: float = TAU, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses and their gradient where the reference is 0 and the chosen one alone has moved."""
    chosen = torch.tensor(rho, dtype=dtype, requires_grad=True)
    zero = torch.zeros_like(chosen)
    losses = pair_losses(name, LogRatios(chosen, zero, zero, zero), beta, tau, SMOOTHING)
    return losses.detach(), torch.autograd.grad(losses.sum(), chosen)[0]


def test_every_loss_of_ours_and_only_those_has_a_function() -> None:
    assert {name for name, kind in LOSSES.items() if kind.own} == set(OWN) - {"sigmoid"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OWN)
def test_values_are_those_of_the_published_equation(name: str, seed: int) -> None:
    arrays = batch(seed)
    found = loss_of(name)(*tensors(arrays)).detach().numpy()
    assert found.shape == (7,)
    np.testing.assert_allclose(found, published(name, *arrays, BETA, TAU), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", OWN)
def test_gradients_are_those_of_finite_differences_through_the_whole_batch(name: str) -> None:
    arrays = batch()
    jacobian = torch.autograd.functional.jacobian(loss_of(name), tuple(tensors(arrays)))
    for place, of_input in enumerate(jacobian):
        for pair in range(7):
            values = []
            for step in (1e-5, -1e-5):
                moved = [each.copy() for each in arrays]
                moved[place][pair] += step
                values.append(published(name, *moved, BETA, TAU))
            slope = (values[0] - values[1]) / 2e-5
            np.testing.assert_allclose(of_input[:, pair].numpy(), slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["lrml", "dbaql", "aql", "aqfl", "pfl"])
def test_at_beta_and_tau_of_their_discovery_they_are_the_code_that_was_trained(name: str) -> None:
    pc, pr, rc, rr = arrays = batch(3)
    found = loss_of(name, 0.05, 0.05)(*tensors(arrays)).detach().numpy()
    np.testing.assert_allclose(found, generated(name, pc - pr - rc + rr, pc > pr), atol=1e-6)


LN2 = math.log(2)
QUANTILE = 1 / (1 + math.exp(-TAU * 0.5))
# Value, and slope in x; aql and kto_pair have none that is short, or a kink.
AT_START: dict[str, tuple[float, float | None]] = {
    "sigmoid": (LN2, -0.5),
    "cdpo": (LN2, -0.4),
    "slic": (1, -1),
    "kto_pair": (0.5, None),
    "dbaql": ((LN2 + 1) / 2, -0.25 / 0.9 - 0.45),
    "padll": (0.9 * LN2, -0.45),
    "cell": ((LN2 + 1) / 2, -0.75),
    "lrml": ((LN2 + 1) / 2, -0.75 + 0.25 * (1 - LN2) / TAU),
    "pfl": (2, -2 / TAU),
    "aql": (QUANTILE * LN2 + 1 - QUANTILE, None),
    "ipo_sum": (1 / (4 * BETA**2), -1 / BETA**2),
}


@pytest.mark.parametrize("name", AT_START)
def test_where_policy_and_reference_agree_value_and_slope_are_known(name: str) -> None:
    value, slope = AT_START[name]
    losses, gradient = of_difference(name, [0.0, 0.0], BETA, dtype=torch.float64)
    assert losses.tolist() == pytest.approx([value] * 2, abs=1e-6)
    if slope is not None:
        assert (gradient / BETA).tolist() == pytest.approx([slope] * 2, abs=1e-6)


def slope_by_hand(x: float, tau: float = 0.05) -> float:
    """LRML's derivative in x, by the product rule."""
    share = s(x / tau)
    turn = share * (1 - share) / tau * (np.exp(-x) - fdpo(x))
    return float(turn - (1 - share) * s(-x) - share * np.exp(-x))


def test_lrml_has_the_stationary_points_of_its_paper() -> None:
    def slope(rho: float) -> float:
        return float(of_difference("lrml", [rho], 0.05, 0.05, torch.float64)[1])

    low, high = brentq(slope, -4, 0, xtol=1e-12), brentq(slope, 0, 4, xtol=1e-12)
    assert (low, high) == pytest.approx((-2.372, 1.440), abs=1e-3)
    by_hand = [brentq(slope_by_hand, *bracket, xtol=1e-12) for bracket in ((-0.2, 0), (0, 0.2))]
    assert (low, high) == pytest.approx([x / 0.05 for x in by_hand], abs=1e-6)
    values = [float(of_difference("lrml", [rho], 0.05, 0.05)[0]) for rho in (low, high)]
    assert values == pytest.approx([0.78592, 0.87829], abs=5e-6)
    assert slope(low - 0.1) < 0 < slope(low + 0.1)
    assert slope(0.0) == pytest.approx(0.05 * (-0.75 + 0.25 * (1 - LN2) / 0.05), abs=1e-9)
    assert slope(0.0) == pytest.approx(0.0392, abs=5e-5)


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.5])
def test_the_basin_of_lrml_is_found_and_scales_with_one_over_beta(beta: float) -> None:
    interval = rising_interval({"lrml": 1.0}, beta, 0.05)
    assert interval == pytest.approx((-0.118569 / beta, 0.072006 / beta), rel=1e-4)
    assert rising_interval({"discopop": 2.0}, beta, 0.05) == interval


@pytest.mark.parametrize(
    ("tau", "holds_the_start"),
    [(0.05, True), (0.102, True), (0.103, False), (0.1095, False), (0.11, None), (0.5, None)],
)
def test_the_basin_holds_the_start_below_a_tau_and_is_gone_above_another(
    tau: float, holds_the_start: bool | None
) -> None:
    interval = rising_interval({"lrml": 1.0}, 0.1, tau)
    found = interval and interval[0] < 0 < interval[1]
    assert found == holds_the_start
    assert (tau < (1 - LN2) / 3) == bool(found)


def test_a_mixture_has_the_basin_of_its_sum() -> None:
    assert rising_interval({"lrml": 0.2, "sigmoid": 0.8}, 0.05, 0.05) is None
    narrower = rising_interval({"lrml": 0.5, "sigmoid": 0.5}, 0.05, 0.05)
    alone = rising_interval({"lrml": 1.0, "sft": 5.0}, 0.05, 0.05)
    assert narrower is not None and alone is not None
    assert alone[0] < narrower[0] < 0 < narrower[1] < alone[1]
    beside_one_that_rises_later = rising_interval({"lrml": 1.0, "ipo_sum": 1e-5}, 0.05, 0.05)
    assert beside_one_that_rises_later == pytest.approx(alone, abs=0.05)
    never_falling_again = rising_interval({"lrml": 1.0, "cdpo": 99.0}, 0.05, 0.05, 0.49)
    assert never_falling_again is not None and never_falling_again[1] == math.inf


@pytest.mark.parametrize("tau", [0.05, 1.0])
@pytest.mark.parametrize("name", OWN)
def test_large_differences_give_no_nan_and_inf_only_where_a_loss_is_unbounded(
    name: str, tau: float
) -> None:
    for x in (-5000.0, -1000.0, -90.0, 90.0, 1000.0, 5000.0):
        for losses, gradient in (
            of_difference(name, [x / BETA], BETA, tau),
            of_difference(name, [x / BETA, 1.0, -2.0], BETA, tau),
        ):
            assert not losses.isnan().any() and not gradient.isnan().any()
            unbounded = name in EXPONENTIAL and x < 0
            assert unbounded or (losses.isfinite().all() and gradient.isfinite().all())
    assert of_difference("cell", [-1000 / BETA], BETA)[0].isinf().all()
    assert of_difference("dbaql", [-1000 / BETA] * 2, BETA)[0].isinf().all()


def test_lrml_far_below_zero_is_the_logistic_loss_and_at_a_tau_above_1_unbounded() -> None:
    assert of_difference("lrml", [-2000.0], 1.0, 0.05)[0].item() == 2000
    growing, _ = of_difference("lrml", [-40.0], 1.0, 2.0, torch.float64)
    assert growing.item() == pytest.approx(math.exp(20) + 40, rel=1e-6)


@pytest.mark.parametrize("name", OWN)
def test_a_single_pair_has_a_loss_and_a_gradient(name: str) -> None:
    losses, gradient = of_difference(name, [0.0], BETA)
    assert losses.isfinite().all() and gradient.isfinite().all()


def test_dbaql_leans_on_the_exponential_the_less_the_more_the_pairs_differ() -> None:
    x = np.array([-0.5, 0.5])
    pairs = LogRatios(*tensors([x / BETA, *[np.zeros(2)] * 3]))
    share = s(np.var(x / 10, ddof=1))
    expected = share * fdpo(x / 0.9) + (1 - share) * np.exp(-0.9 * x)
    np.testing.assert_allclose(dbaql(pairs, BETA, 10).detach(), expected, atol=1e-9)
    np.testing.assert_allclose(dbaql(pairs, BETA, 0.01).detach(), fdpo(x / 0.9), atol=1e-9)


def test_the_mean_of_kto_pairs_is_that_of_its_original_of_twice_as_many() -> None:
    pc, pr, rc, rr = pairs = tensors(batch(5))
    kl_c, kl_r = (pc - rc).mean().clamp(min=0), (pr - rr).mean().clamp(min=0)
    original = torch.cat(
        [
            1 - torch.sigmoid(BETA * ((pc - rc) - kl_r)),
            1 - torch.sigmoid(BETA * (kl_c - (pr - rr))),
        ]
    )
    assert kto_pair(LogRatios(*pairs), BETA).mean().item() == pytest.approx(
        original.mean().item(), abs=1e-12
    )


def test_pfl_goes_by_the_policys_own_order_and_not_by_the_reference() -> None:
    chosen, rejected = torch.tensor([-10.0, -30.0]), torch.tensor([-20.0, -20.0])
    same = pfl(LogRatios(chosen, rejected, chosen, rejected), BETA)
    assert same.tolist() == pytest.approx([LN2 / 2, 2])


def test_default_tau_is_that_of_the_paper() -> None:
    pairs = LogRatios(*tensors(batch()))
    assert torch.equal(lrml(pairs, BETA), lrml(pairs, BETA, 0.05))
    assert not torch.equal(lrml(pairs, BETA), cell(pairs, BETA))
