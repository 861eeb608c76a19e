"""A loss written as text has the values and gradients of the same loss of the library."""

from pathlib import Path

import pytest
import torch

from support.workflow_runs import REPOSITORY
from wim.own_loss.formula import LOG_PROBABILITIES
from wim.own_loss.interpret import LossFailed, losses_of
from wim.own_loss.parse import parse_loss
from wim.settings.losses import LOSSES, TAU
from wim.training.losses import OWN, LogRatios, pair_losses

WRITTEN = sorted((REPOSITORY / "config/losses").glob("*.py"))
SIGNATURE = ", ".join((*LOG_PROBABILITIES, "beta"))


def written(body: str, signature: str = SIGNATURE) -> str:
    return f"def my_loss({signature}):\n    " + "\n    ".join(body.splitlines())


def batch(pairs: int, seed: int = 0, scale: float = 30.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sums = [
        -100 + scale * torch.randn(pairs, generator=generator, dtype=torch.float64)
        for _ in LOG_PROBABILITIES
    ]
    return [each.requires_grad_() for each in sums]


def value_and_gradients(
    losses: torch.Tensor, inputs: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    # Weights that differ, so that a mix-up of pairs shows.
    weights = torch.arange(1, len(losses) + 1, dtype=losses.dtype)
    return losses.detach(), list(torch.autograd.grad((losses * weights).sum(), inputs))


def test_every_loss_of_the_library_is_there_as_text() -> None:
    assert {path.stem for path in WRITTEN} == set(OWN)


@pytest.mark.parametrize("beta", [0.05, 0.5])
@pytest.mark.parametrize("pairs", [1, 2, 9])
@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_written_loss_is_the_built_in_one(path: Path, pairs: int, beta: float) -> None:
    formula = parse_loss(path.read_text())
    smoothing = 0.1 if path.stem == "cdpo" else 0.0
    for seed in range(3):
        inputs = batch(pairs, seed)
        named = dict(zip(LOG_PROBABILITIES, inputs, strict=True))
        own = value_and_gradients(losses_of(formula, named, beta), inputs)
        wanted = value_and_gradients(
            pair_losses(path.stem, LogRatios(*inputs), beta, TAU, smoothing), inputs
        )
        torch.testing.assert_close(own[0], wanted[0], rtol=1e-12, atol=1e-12)
        for mine, theirs in zip(own[1], wanted[1], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    assert formula.over_batch == LOSSES[path.stem].over_batch


PUBLISHED = """
def log_ratio_modulated_loss(
    self,
    policy_chosen_logps: torch.FloatTensor,
    policy_rejected_logps: torch.FloatTensor,
    reference_chosen_logps: torch.FloatTensor,
    reference_rejected_logps: torch.FloatTensor,
) -> torch.FloatTensor:
    pi_logratios = policy_chosen_logps - policy_rejected_logps
    ref_logratios = reference_chosen_logps - reference_rejected_logps
    logits = pi_logratios - ref_logratios
    tau = 0.05
    modulation = torch.sigmoid(self.beta * logits / tau)
    logistic = -F.logsigmoid(self.beta * logits)
    exponential = torch.exp(-self.beta * logits)
    losses = (1 - modulation) * logistic + modulation * exponential
    return losses
"""


def test_the_published_signature_with_self_is_read() -> None:
    inputs = batch(6, scale=5.0)
    named = dict(zip(LOG_PROBABILITIES, inputs, strict=True))
    own = losses_of(parse_loss(PUBLISHED), named, 0.05)
    wanted = pair_losses("lrml", LogRatios(*inputs), 0.05, 0.05, 0.0)
    torch.testing.assert_close(own, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("written_so", "by_torch"),
    [
        ("F.softplus(-beta * p)", lambda p, q, b: torch.nn.functional.softplus(-b * p)),
        ("(p - q).abs().sqrt()", lambda p, q, b: (p - q).abs().sqrt()),
        ("torch.maximum(p, q) - p.min()", lambda p, q, b: torch.maximum(p, q) - p.min()),
        ("torch.max(p, q)", lambda p, q, b: torch.maximum(p, q)),
        ("p.clamp(min=-99, max=-90)", lambda p, q, b: p.clamp(-99, -90)),
        ("torch.clamp(p, min=q)", lambda p, q, b: torch.clamp(p, min=q)),
        ("0.5 * (p < q).float() * q", lambda p, q, b: 0.5 * (p < q).double() * q),
        ("((p < q) & ~(q > -95)) * q", lambda p, q, b: ((p < q) & ~(q > -95)) * q),
        ("torch.softmax(p, dim=0) * p", lambda p, q, b: torch.softmax(p, 0) * p),
        ("p - torch.logsumexp(p, dim=-1)", lambda p, q, b: p - torch.logsumexp(p, 0)),
        ("p / p.std(unbiased=False)", lambda p, q, b: p / p.std(correction=0)),
        ("p / q.var(dim=0, keepdim=True)", lambda p, q, b: p / q.var()),
        ("p - p.detach().mean()", lambda p, q, b: p - p.detach().mean()),
        ("torch.logaddexp(p, q)", lambda p, q, b: torch.logaddexp(p, q)),
        ("torch.log1p(torch.exp(-b * -p))", lambda p, q, b: torch.log1p(torch.exp(b * p))),
        ("p ** 2 + 2 ** (p / 50)", lambda p, q, b: p**2 + 2 ** (p / 50)),
        ("-(-p) ** 3 / math.pi", lambda p, q, b: -((-p) ** 3) / torch.pi),
        ("torch.where(p > q, p, 0.0)", lambda p, q, b: torch.where(p > q, p, 0.0)),
        ("p * math.exp(-b) + math.sqrt(b)", lambda p, q, b: p * 2.718281828459045**-b + b**0.5),
        ("p.tanh() + torch.tensor(0.1).to(p.device)", lambda p, q, b: p.tanh() + 0.1),
        ("torch.full_like(p, 0.3) * p", lambda p, q, b: 0.3 * p),
    ],
)
def test_functions_of_the_list_are_those_of_torch(written_so: str, by_torch: object) -> None:
    body = f"p = policy_chosen_logps\nq = policy_rejected_logps\nb = beta\nreturn {written_so}"
    inputs = batch(5, seed=3, scale=4.0)
    named = dict(zip(LOG_PROBABILITIES, inputs, strict=True))
    own = losses_of(parse_loss(written(body)), named, 0.05)
    wanted = by_torch(inputs[0], inputs[1], 0.05)  # type: ignore[operator]
    torch.testing.assert_close(own, wanted, rtol=1e-12, atol=1e-12)
    sums = [
        torch.autograd.grad(each.sum(), inputs[:2], allow_unused=True, materialize_grads=True)
        for each in (own, wanted)
    ]
    torch.testing.assert_close(*sums, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return (policy_chosen_logps * beta).mean()", "found the shape () for 4 pairs"),
        ("return beta", "found the shape of a number for 4 pairs"),
        ("return policy_chosen_logps > 0", "found true and false"),
        ("x = 1 / (beta - beta)\nreturn policy_chosen_logps * x", "line 2: div: float division"),
        ("x = (beta - 1) ** 0.5\nreturn policy_chosen_logps * x", "line 2: a root of a number"),
        ("x = 10 ** 10 ** 10\nreturn policy_chosen_logps * x", "line 2: pow: "),
    ],
)
def test_a_formula_without_a_loss_for_each_pair_is_told(body: str, told: str) -> None:
    named = dict(zip(LOG_PROBABILITIES, batch(4), strict=True))
    with pytest.raises(LossFailed) as failed:
        losses_of(parse_loss(written(body)), named, 0.05)
    assert told in str(failed.value)


def test_equal_formulas_have_one_digest_whatever_they_are_called() -> None:
    first = parse_loss(written("x = beta * policy_chosen_logps\nreturn -F.logsigmoid(x)"))
    second = parse_loss(
        "def other(beta, " + SIGNATURE.removesuffix(", beta") + "):\n"
        '    """Words."""\n'
        "    idle = 3 * beta  # never used\n"
        "    return -F.logsigmoid(beta*policy_chosen_logps)"
    )
    third = parse_loss(written("x = 2 * beta * policy_chosen_logps\nreturn -F.logsigmoid(x)"))
    assert first.digest == second.digest != third.digest
    constant = parse_loss(
        "C = 2\n" + written("x = C * beta * policy_chosen_logps\nreturn -F.logsigmoid(x)")
    )
    assert constant.digest == third.digest


def test_what_a_formula_is_made_of_is_known() -> None:
    formula = parse_loss(written("x = policy_chosen_logps * beta\ny = x\nx = beta\nreturn y / x"))
    assert formula.depends_on == {"policy_chosen_logps", "beta"}
    assert not formula.over_batch
