"""Notes on unusual settings, and errors that name the batch. Nothing here decides an outcome.

Importing this module loads torch.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from wim.errors import UserError
from wim.settings.losses import LOSSES, TAU
from wim.settings.training import TrainingSettings
from wim.training.steps import not_finite

logger = logging.getLogger("wim.training")
BETAS = (0.01, 1.0)
NAMED_PAIRS = 8


def notes(
    settings: TrainingSettings, micro_batch: int, sft_learning_rate: float | None = None
) -> list[str]:
    """Notes for the log on what is unusual about the settings, each with the reason.

    Args:
        settings: Those of the arm's training.
        micro_batch: Pairs that share a forward pass.
        sft_learning_rate: That of the supervised fine-tuning before, if known.
    """
    losses, found = settings.loss_weights, []
    if settings.beta < BETAS[0] and set(losses) != {"sft"}:
        found.append(
            f"beta {settings.beta:g} is below {BETAS[0]}: the policy is then hardly regularised "
            "towards the reference; LRML's runs lost their reward at 0.01 (DiscoPOP, arXiv "
            "2406.08414)"
        )
    if settings.beta > BETAS[1] and set(losses) != {"sft"}:
        found.append(
            f"beta {settings.beta:g} is above {BETAS[1]:g}: the policy then hardly leaves the "
            "reference, and losses with an exponential became nan (DBAQL from 1, LRML from 2.5, "
            "CELL at 5; DiscoPOP, arXiv 2406.08414)"
        )
    if sft_learning_rate is not None and settings.learning_rate > sft_learning_rate / 100:
        found.append(
            f"learning_rate {settings.learning_rate:g} is more than a hundredth of the "
            f"{sft_learning_rate:g} of supervised fine-tuning: preferences overfit within few "
            "steps, and DPO is usually run 20 to 100 times lower (10 times higher again with LoRA)"
        )
    shared = [name for name in losses if LOSSES[name].over_batch]
    if shared and micro_batch < settings.batch_size:
        found.append(
            f"{' and '.join(shared)}: taken over the {micro_batch} pairs of a forward pass, not "
            f"over the {settings.batch_size} of a step; the resource batch_size and the number of "
            "devices decide how many, and so the checkpoint"
        )
    return found


def diverged(
    what: str, value: float, step: int, settings: TrainingSettings, pairs: list[str]
) -> UserError:
    """The error for a loss or a gradient that is not finite.

    Args:
        what: "loss" or "gradient".
        value: Its value.
        step: The step, from 1.
        settings: Those of the arm's training.
        pairs: Descriptions of the batch's pairs, if known.
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
    """Descriptions of a batch's pairs by their ids, found by their tokens in the dataset.

    Args:
        dataset: Rows with the tokens prompt_ids, chosen_ids and rejected_ids, and the ids
            prompt_id, chosen_id and rejected_id; without ids nothing is found.
        inputs: The collated batch, chosen sequences before rejected ones.
        max_length: The most tokens of a sequence.
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
