"""The process that tries a loss: `python -m wim.own_loss.trial`, a JSON object in and one out.

Before the formula is computed the process gives up files, network and further memory. Importing this
module loads torch.
"""

import json
import math
import resource
import sys
import time
from typing import Any

import psutil
import torch
from torch import Tensor

from wim.errors import UserError
from wim.own_loss.formula import LOG_PROBABILITIES, Formula
from wim.own_loss.interpret import losses_of
from wim.own_loss.parse import parse_loss

# Differences of log-ratios (nats) at which losses and gradients have to be finite.
RATIOS = (0.0, 1e-4, 0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0)
# How a difference is shared out between chosen and rejected, and how likely completions are.
SHARES = (1.0, 0.0, 0.5, 3.0)
LEVELS = (-2.0, -100.0, -2000.0)
CURVE = 100.0
POINTS = 81
MANY = 4096
MEGABYTE = 2**20


class Unfit(UserError):
    """A loss that cannot be trained with."""


def trial(text: str, function: str | None, beta: float) -> dict[str, Any]:
    """What a check finds; see wim.own_loss.check.Check."""
    try:
        formula = parse_loss(text, function)
        _published_test(formula, beta)
        _finite_over_a_wide_range(formula, beta)
        losses_of(formula, _batch(MANY), beta).sum().backward()  # type: ignore[no-untyped-call]
        curve = [[rho, _at(formula, rho, beta)[0]] for rho in _curve()]
        return {
            "problem": None,
            "over_batch": _depends_on_others(formula, beta),
            "slope": _at(formula, 0.0, beta)[1],
            "curve": curve,
        }
    except UserError as error:
        return {"problem": str(error)}
    except (MemoryError, RuntimeError) as error:
        return {
            "problem": f"it cannot be computed: {(str(error) or 'out of memory').splitlines()[0]}"
        }


def _published_test(formula: Formula, beta: float) -> None:
    """That of DiscoPOP: ten pairs, a loss for each, and gradients that are numbers."""
    inputs = _batch(10)
    losses = losses_of(formula, inputs, beta)
    if not losses.requires_grad:
        raise Unfit("the loss does not depend on the policy's log-probabilities")
    gradients = torch.autograd.grad(losses.sum(), list(inputs.values()), allow_unused=True)
    for name, gradient in zip(inputs, gradients, strict=True):
        if name.startswith("policy") and gradient is None:
            raise Unfit(f"the loss does not depend on {name}")
    _check_finite(losses, gradients, "of ten random pairs")
    if not any(bool(each.any()) for each in gradients if each is not None):
        raise Unfit("the gradients of ten random pairs are all 0, so that nothing is learnt")


def _finite_over_a_wide_range(formula: Formula, beta: float) -> None:
    ratios = sorted({sign * each for each in RATIOS for sign in (1.0, -1.0)}, key=abs)
    for rho in ratios:
        rows = [_pair(rho, share, level) for share in SHARES for level in LEVELS]
        alone = [torch.tensor([row], dtype=torch.float32) for row in rows]
        for table in (*alone, torch.tensor(rows, dtype=torch.float32)):
            inputs = _named(table)
            losses = losses_of(formula, inputs, beta)
            gradients = torch.autograd.grad(losses.sum(), list(inputs.values()), allow_unused=True)
            _check_finite(losses, gradients, f"at a difference of log-ratios of {rho:g}")


def _check_finite(losses: Tensor, gradients: tuple[Tensor | None, ...], where: str) -> None:
    if not torch.isfinite(losses).all():
        found = losses[~torch.isfinite(losses)][0].item()
        raise Unfit(f"the loss is {found} {where}")
    for gradient in gradients:
        if gradient is not None and not torch.isfinite(gradient).all():
            found = gradient[~torch.isfinite(gradient)][0].item()
            raise Unfit(f"the gradient is {found} {where}")


def _depends_on_others(formula: Formula, beta: float) -> bool:
    inputs = _batch(6, scale=3.0)
    together = losses_of(formula, inputs, beta)
    alone = torch.cat(
        [
            losses_of(formula, {name: each[row : row + 1] for name, each in inputs.items()}, beta)
            for row in range(6)
        ]
    )
    return not torch.allclose(together, alone, rtol=1e-4, atol=1e-5)


def _at(formula: Formula, rho: float, beta: float) -> tuple[float, float]:
    """The loss of one pair, and its derivative by the difference of log-ratios."""
    inputs = _named(torch.tensor([_pair(rho, 1.0, -100.0)], dtype=torch.float64))
    loss = losses_of(formula, inputs, beta)
    (gradient,) = torch.autograd.grad(loss.sum(), [inputs[LOG_PROBABILITIES[0]]])
    return float(loss.detach()), float(gradient)


def _curve() -> list[float]:
    step = 2 * CURVE / (POINTS - 1)
    return [round(-CURVE + step * place, 6) for place in range(POINTS)]


def _pair(rho: float, share: float, level: float) -> list[float]:
    """The four log-probabilities of a pair with that difference of log-ratios."""
    return [level + share * rho, level + (share - 1) * rho, level, level]


def _batch(pairs: int, scale: float = 10.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return _named(-100 + scale * torch.randn(pairs, 4, generator=generator))


def _named(table: Tensor) -> dict[str, Tensor]:
    columns = [table[:, place].clone().requires_grad_() for place in range(4)]
    return dict(zip(LOG_PROBABILITIES, columns, strict=True))


def _give_up(seconds: float, memory: int) -> None:
    """Files and network, and more time and memory (MB) than these from now on."""
    most = psutil.Process().memory_info().vms + memory * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    used = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (used, used + 1))
    # No file and no socket can be opened from here on; the three that are open remain.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _json_number(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return [_json_number(each) for each in value] if isinstance(value, list) else value


def main() -> None:
    """Read what is asked, try it, and say what was found."""
    asked = json.loads(sys.stdin.read())
    torch.set_num_threads(1)
    # What is loaded at the first use is loaded before files are given up.
    torch.zeros(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
    _give_up(asked["seconds"], asked["memory"])
    found = trial(asked["text"], asked["function"], asked["beta"])
    sys.stdout.write(json.dumps({key: _json_number(value) for key, value in found.items()}))


if __name__ == "__main__":
    main()
