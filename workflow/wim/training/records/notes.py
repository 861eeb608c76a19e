"""What is said about a training before, during and when it fails. Nothing here decides an outcome.

Importing this module loads torch.
"""

import logging
import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from wim.errors import UserError
from wim.settings.losses import LOSSES, TAU
from wim.settings.training import TrainingSettings
from wim.training.dpo.losses import pair_losses
from wim.training.run.files import not_finite

logger = logging.getLogger("wim.training")
BETAS = (0.01, 1.0)
NO_BASIN_FROM = 0.11
"""The tau from which on LRML falls everywhere; to five digits its basin closes at 0.10978."""
BATCHES = 8
"""Batches of which the share of pairs in the basin is told, the first ones and the last."""
NAMED_PAIRS = 8
# The same function of the difference of log-ratios alone, for the shape of a mixture.
_OF_DIFFERENCE = {
    "sigmoid": "sigmoid", "hinge": "slic", "slic": "slic", "discopop": "lrml", "lrml": "lrml",
    "cell": "cell", "padll": "padll", "ipo_sum": "ipo_sum", "cdpo": "cdpo",
}  # fmt: skip


def notes(
    settings: TrainingSettings, micro_batch: int, sft_learning_rate: float | None = None
) -> list[str]:
    """What is unusual about the settings, each with the reason.

    micro_batch: pairs that share a forward pass. sft_learning_rate: that of the supervised
    fine-tuning before, where known.
    """
    losses, told = settings.loss_weights, []
    if settings.beta < BETAS[0] and set(losses) != {"sft"}:
        told.append(
            f"beta {settings.beta:g} is below {BETAS[0]}: little then holds the policy near the "
            "reference; LRML's runs lost their reward at 0.01 (DiscoPOP, arXiv 2406.08414)"
        )
    if settings.beta > BETAS[1] and set(losses) != {"sft"}:
        told.append(
            f"beta {settings.beta:g} is above {BETAS[1]:g}: the policy then hardly leaves the "
            "reference, and losses with an exponential became nan (DBAQL from 1, LRML from 2.5, "
            "CELL at 5; DiscoPOP, arXiv 2406.08414)"
        )
    if sft_learning_rate is not None and settings.learning_rate > sft_learning_rate / 100:
        told.append(
            f"learning_rate {settings.learning_rate:g} is more than a hundredth of the "
            f"{sft_learning_rate:g} of supervised fine-tuning: preferences overfit within few "
            "steps, and DPO is usually run 20 to 100 times lower (10 times higher again with LoRA)"
        )
    shared = [name for name in losses if LOSSES[name].over_batch]
    if shared and micro_batch < settings.batch_size:
        told.append(
            f"{' and '.join(shared)}: taken over the {micro_batch} pairs of a forward pass, not "
            f"over the {settings.batch_size} of a step; the resource batch_size and the number of "
            "devices decide how many, and so the checkpoint"
        )
    return told


def rising_interval(
    weights: Mapping[str, float], beta: float, tau: float, label_smoothing: float = 0.0
) -> tuple[float, float] | None:
    """The log-ratio differences (nats) between which the loss rises with the margin, if any do.

    The ends are the local minimum and maximum of DiscoPOP's LRML, or of its weighted sum with
    other losses of the difference alone; further losses are left out. Precise to 1e-4 * tau / beta.
    """
    rho = torch.linspace(-60, 60, 240_001, dtype=torch.float64) * tau / beta
    rho.requires_grad_(True)
    zero = torch.zeros_like(rho)

    def slope(losses: Mapping[str, float]) -> Tensor:
        total = zero.sum()
        for name, weight in losses.items():
            pairs = pair_losses(name, (rho, zero, zero, zero), beta, tau, label_smoothing)
            total = total + weight * pairs.sum()
        return torch.autograd.grad(total, rho)[0]

    known: dict[str, float] = {}
    for name, weight in weights.items():
        if name in _OF_DIFFERENCE:
            known[_OF_DIFFERENCE[name]] = known.get(_OF_DIFFERENCE[name], 0) + weight
    whole = slope(known)
    # Other losses rise too, far to the right; what is asked for is where LRML makes the sum rise.
    rising = torch.nonzero((whole > 0) & (slope({"lrml": 1.0}) > 0)).flatten()
    falling = torch.nonzero(whole <= 0).flatten()
    if not len(rising):
        return None
    before, after = falling[falling < rising[0]], falling[falling > rising[-1]]
    high = _root(rho, whole, int(after[0]) - 1) if len(after) else math.inf
    return _root(rho, whole, int(before[-1])), high


def _root(rho: Tensor, slope: Tensor, before: int) -> float:
    """Where the slope crosses 0 between two neighbouring places, by the line through them."""
    (low, high), (left, right) = rho[before : before + 2].tolist(), slope[before : before + 2]
    return float(low + (high - low) * left / (left - right))


class Basin:
    """The basin of DiscoPOP's LRML: where descent lowers the margin of a pair.

    Between its local minimum and its local maximum the loss rises with the difference of
    log-ratios. A pair there moves down to the minimum, one below the minimum moves up to it and
    no further; only a pair above the maximum gains margin for good.
    """

    def __init__(self, interval: tuple[float, float], settings: TrainingSettings) -> None:
        self.low, self.high = interval
        self.settings = settings
        self.recent: deque[Tensor] = deque(maxlen=BATCHES)
        self.warned = False

    @classmethod
    def of(cls, settings: TrainingSettings) -> "Basin | None":
        """The basin of a loss with LRML in it; None if it falls everywhere."""
        weights = settings.loss_weights
        if not {"lrml", "discopop"} & set(weights):
            return None
        tau, smoothing = settings.tau or TAU, settings.label_smoothing or 0.0
        interval = rising_interval(weights, settings.beta, tau, smoothing)
        return None if interval is None else cls(interval, settings)

    def add(self, pairs: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        """Take a batch's log-probabilities in; warn once there are BATCHES of them."""
        chosen, rejected, reference_chosen, reference_rejected = (each.detach() for each in pairs)
        difference = (chosen - reference_chosen) - (rejected - reference_rejected)
        self.recent.append(difference.cpu())
        if len(self.recent) == BATCHES and not self.warned:
            self._warn()

    def close(self) -> None:
        """Say at the end where the last pairs were."""
        if not self.recent:
            return
        if not self.warned:
            self._warn()
        logger.info("loss %s at the end: %s", self.settings.loss_label, self._shares("last"))

    def _warn(self) -> None:
        self.warned = True
        start = (
            "every pair starts inside, as all differences are 0 before the first step"
            if self.high > 0
            else "every pair starts above it, at 0, and falls in only when pushed down"
        )
        left_out = sorted(set(self.settings.loss_weights) - set(_OF_DIFFERENCE))
        logger.warning(
            "loss %s at beta %g, tau %g rises with the margin where a pair's difference of "
            "log-ratios, chosen minus rejected, is between %.4g and %.4g: descent lowers the margin "
            "there, down to the local minimum at %.4g, and holds a pair below it there; %s. %s. "
            "Only large steps and what pairs have in common take a pair out, and reward accuracies "
            "below 0.5 may persist; a tau of %g or more has no basin%s",
            self.settings.loss_label,
            self.settings.beta,
            self.settings.tau or TAU,
            self.low,
            self.high,
            self.low,
            start,
            self._shares("first"),
            NO_BASIN_FROM,
            f" (left out of this: {', '.join(left_out)})" if left_out else "",
        )

    def _shares(self, which: str) -> str:
        differences = torch.cat(list(self.recent))
        below = float((differences <= self.low).float().mean())
        above = float((differences >= self.high).float().mean())
        return (
            f"of the {which} {len(differences)} training pairs seen, {1 - below - above:.0%} were "
            f"inside and {below:.0%} at or below the minimum"
        )


def diverged(
    what: str, value: float, step: int, settings: TrainingSettings, pairs: list[str]
) -> UserError:
    """The error for a loss or gradient that is not finite; step counts from 1.

    pairs: the ids of the batch, where known.
    """
    batch = f" The batch had {_listed(pairs)}." if pairs else ""
    found = f"{what} is {value} at step {step}, with loss {settings.loss_label}"
    return not_finite(found, settings, batch, _tries_of_loss(settings))


def _tries_of_loss(settings: TrainingSettings) -> list[str]:
    tries = []
    growing = [name for name in settings.loss_weights if name in ("cell", "dbaql")]
    growing += [settings.f_divergence] if settings.f_divergence == "forward_kl" else []
    growing += ["tau above 1"] if (settings.tau or TAU) > 1 else []
    if growing:
        tries.append(
            f"a smaller beta (now {settings.beta:g}), as {' and '.join(growing)} grows "
            "exponentially on pairs that the policy has the wrong way round"
        )
    if "discopop" in settings.loss_weights:
        tries.append("loss: lrml, the same function where TRL's discopop overflows")
    return tries


def _listed(pairs: list[str]) -> str:
    more = f" and {len(pairs) - NAMED_PAIRS} more" if len(pairs) > NAMED_PAIRS else ""
    return "; ".join(pairs[:NAMED_PAIRS]) + more


def ids_of_pairs(
    dataset: Iterable[Mapping[str, Any]], inputs: Mapping[str, Tensor], max_length: int | None
) -> list[str]:
    """The ids of a collated batch's pairs, found by their tokens in the tokenised dataset.

    dataset: rows with prompt_ids, chosen_ids, rejected_ids, and the ids prompt_id, chosen_id and
    rejected_id; without these nothing is found.
    """
    tokens = [
        tuple(row[seen.bool()].tolist())
        for row, seen in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    ]
    batch = set(zip(tokens[: len(tokens) // 2], tokens[len(tokens) // 2 :], strict=True))
    found = []
    for row in dataset:
        prompt = row["prompt_ids"]
        pair = tuple(
            tuple((prompt + row[each])[:max_length]) for each in ("chosen_ids", "rejected_ids")
        )
        if pair in batch and "prompt_id" in row:
            found.append(
                f"prompt {row['prompt_id']} (chosen {row['chosen_id']}, "
                f"rejected {row['rejected_id']})"
            )
    return found
