"""What can be read is computed, or refused by name; nothing else comes of it."""

import random

import pytest
import torch

from support.hostile_losses import returning, written
from wim.own_loss.check import Limits, check_text
from wim.own_loss.expressions import LossRefused
from wim.own_loss.formula import LOG_PROBABILITIES
from wim.own_loss.interpret import LossFailed, losses_of
from wim.own_loss.parse import parse_loss
from wim.own_loss.vocabulary import FUNCTIONS

NUMBERS = (
    *("0", "1", "-1", "0.5", "2", "-0.0", "1e39", "1e308", "-1e300", "5e-324", "10**10**10"),
    *("0**-1", "(-8)**0.5", "1e308*10", "1e308*10 - 1e308*10", "math.pi", "beta"),
)


def expression(chance: random.Random, depth: int) -> str:
    """Any expression of the vocabulary, of operators, functions, names and awkward numbers."""
    if depth == 0 or chance.random() < 0.15:
        return chance.choice((*NUMBERS, *LOG_PROBABILITIES * 3))
    kind = chance.random()
    if kind < 0.3:
        operator = chance.choice(("+", "-", "*", "/", "**", "<", ">=", "==", "&", "|"))
        return f"({expression(chance, depth - 1)} {operator} {expression(chance, depth - 1)})"
    if kind < 0.36:
        return chance.choice(("-", "~", "+")) + expression(chance, depth - 1)
    name = chance.choice(list(FUNCTIONS))
    function = FUNCTIONS[name]
    count = chance.randint(function.required, len(function.parameters))
    options = {"dim": ("0", "-1"), "plain": ("True", "False", "0", "1")}
    arguments = [
        chance.choice(options.get(parameter, options["plain"]))
        if parameter in function.plain
        else expression(chance, depth - 1)
        for parameter in function.parameters[:count]
    ]
    return f"torch.{name}({', '.join(arguments)})"


def pairs(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    values = -50 + 10 * torch.randn(4, count, generator=generator)
    return {
        name: row.clone().requires_grad_()
        for name, row in zip(LOG_PROBABILITIES, values, strict=True)
    }


def test_any_formula_has_losses_and_gradients_or_is_refused() -> None:
    chance, computed, failed = random.Random(3), 0, 0
    for _ in range(1_500):
        try:
            formula = parse_loss(returning(expression(chance, 4)))
        except LossRefused:
            continue
        for count in (1, 5):
            try:
                losses = losses_of(formula, pairs(count), 0.1)
            except LossFailed as error:
                failed += 1
                assert "\n" not in str(error)
                continue
            computed += 1
            assert losses.shape == (count,)
            if losses.requires_grad:
                losses.sum().backward()
    assert computed > 400 and failed > 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (returning("p * 10**10**10"), "line 3: pow: "),
        (returning("p * 0**-1"), "line 3: pow: "),
        (returning("p * (-8)**0.5"), "a root of a number below 0"),
        (returning("F.elu(p, alpha=p)"), "an option is one number for all pairs"),
        (returning("F.softplus(p, beta=p.mean())"), "an option is one number for all pairs"),
        (returning("p - policy_rejected_logps + 1e300 * 1e300"), "the loss is inf"),
        (returning("(p - policy_rejected_logps) * (1e308*10 - 1e308*10)"), "the loss is nan"),
        (returning("(p - policy_rejected_logps) / 5e-324"), "the loss is "),
        (returning("10**3"), "of a number"),
        (returning("torch.ones_like(p)"), "does not depend on the policy"),
        (returning("p > policy_rejected_logps"), "found true and false"),
        (written("policy_chosen_logps = 0\nreturn policy_rejected_logps"), "does not depend on"),
    ],
)
def test_what_cannot_be_trained_with_is_told(text: str, told: str) -> None:
    problem = check_text(text, None, 0.1, Limits(seconds=20, memory=2048)).problem
    assert problem is not None and told in problem


def test_a_power_of_a_truth_has_a_gradient() -> None:
    formula = parse_loss(returning("torch.clamp(p, 0, 1) ** (p < 0) + p"))
    inputs = pairs(3)
    losses_of(formula, inputs, 0.1).sum().backward()
    assert inputs["policy_chosen_logps"].grad is not None
