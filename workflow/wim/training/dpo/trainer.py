"""TRL's DPO trainer, faster and with losses of our own. Importing this module loads trl.

TRL computes its own losses and every metric. The outputs of its forward passes are read as they are
computed, and the losses that it lacks are added to its sum. What docs/design/training-speed.md
measures has modules of its own: the head, the order of pairs, and the stored reference.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from trl import DPOTrainer

from wim.engines.local.loading import context_length
from wim.settings.losses import LOSSES, TAU
from wim.settings.training import TrainingSettings
from wim.training.dpo.batches import ByLength, padding
from wim.training.dpo.cpu_head import score_completions_alone
from wim.training.dpo.filter_pairs import usable_pairs
from wim.training.dpo.log_probabilities import ALPHA, divergence_score, policy_weights, summed
from wim.training.dpo.reference import ReferenceStore
from wim.training.losses import LogRatios, pair_losses
from wim.training.records.basin import Basin
from wim.training.records.notes import diverged, ids_of_pairs
from wim.training.run.trl_internals import DpoHooks, without_hash_of_weights

logger = logging.getLogger("wim.training")


def loss_arguments(settings: TrainingSettings) -> dict[str, Any]:
    """DPOConfig's arguments for the loss: the losses that TRL computes, and the options of all."""
    of_trl = {name: weight for name, weight in settings.loss_weights.items() if not _own(name)}
    return {
        "loss_type": list(of_trl),
        "loss_weights": list(of_trl.values()),
        "beta": settings.beta,
        "discopop_tau": settings.tau or TAU,
        "label_smoothing": settings.label_smoothing or 0.0,
        "f_divergence_type": settings.f_divergence,
        "f_alpha_divergence_coef": settings.f_divergence_alpha or ALPHA,
        "ld_alpha": settings.ld_alpha,
        "use_weighting": settings.wpo_weighting,
    }


def _own(name: str) -> bool:
    return LOSSES[name].own


class PreferenceTrainer(DpoHooks, DPOTrainer):  # type: ignore[misc]
    """TRL's DPOTrainer with our losses. Raises UserError when a loss or a gradient is not finite.

    Args:
        settings: Those of the arm's training.
        reference: The stored log-probabilities of the reference, used if `args` has
            precompute_ref_log_probs.
        trainer: Arguments of DPOTrainer; its `args` contain loss_arguments(settings), and its
            datasets have the columns prompt_ids, chosen_ids and rejected_ids.
    """

    def __init__(
        self, settings: TrainingSettings, reference: ReferenceStore | None = None, **trainer: Any
    ) -> None:
        self.settings = settings
        self.reference = reference
        self.own_head = False
        self.context = context_length(trainer["model"].config)
        with nullcontext() if reference is None else without_hash_of_weights():
            super().__init__(**trainer)
        self._score_completions_alone()
        self.own_losses = {
            name: weight for name, weight in settings.loss_weights.items() if _own(name)
        }
        self.basin = Basin.of(settings) if self.is_world_process_zero() else None

    def trainable(self, dataset: Any, name: str, max_length: int) -> Any:
        """The pairs of a split that have something to learn from."""
        return usable_pairs(dataset, name, max_length, self.context)

    def _score_completions_alone(self) -> None:
        """Have the models' heads score completions alone, and adapters not convert bfloat16."""
        # A sharded head has all its weights only within the model's own forward pass.
        if self.own_head or self.is_fsdp_enabled:
            return
        for model in (self.model, self.ref_model):
            if model is not None:
                base = model.get_base_model() if hasattr(model, "peft_config") else model
                score_completions_alone(base, self.settings.wpo_weighting)
        if self.accelerator.mixed_precision == "bf16":
            # Autocast would round the converted copy back to the same numbers.
            for module in self.model.modules():
                if hasattr(module, "cast_input_dtype_enabled"):
                    module.cast_input_dtype_enabled = False
        self.own_head = True

    def with_reference(self, dataset: Any, batch_size: int, by_trl: Callable[[], Any]) -> Any:
        """A split with the reference's log-probabilities, from the store where there is one."""
        # With a sharded model every process takes part in each forward pass.
        if self.reference is None or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            return by_trl()
        self._score_completions_alone()
        return self.reference.with_reference(dataset, self, batch_size)

    def train_order(self, dataset: Any) -> ByLength | None:
        """Pairs in TRL's order, sorted by length within each step."""
        if self._batches_matter():
            return None
        args, lengths = self.args, self._lengths(dataset)
        micro = args.per_device_train_batch_size
        step = micro * args.gradient_accumulation_steps * args.world_size
        order = ByLength([*map(max, lengths)], step, lambda: math.floor(self.state.epoch or 0))
        unsorted, by_length = (
            padding(lengths, list(each), micro) for each in (order.shuffled, order)
        )
        logger.info(
            "padding: %.1f %% of positions, %.1f %% unsorted", 100 * by_length, 100 * unsorted
        )
        return order

    def eval_order(self, dataset: Any) -> Sequence[int] | None:
        """Held-out pairs by length, the longest first."""
        if self._batches_matter():
            return None
        lengths = self._lengths(dataset)
        return sorted(range(len(lengths)), key=lambda pair: (-max(lengths[pair]), pair))

    def _batches_matter(self) -> bool:
        """Whether a loss depends on which pairs share a forward pass."""
        return any(LOSSES[name].over_batch for name in self.settings.loss_weights)

    def _lengths(self, dataset: Any) -> list[tuple[int, int]]:
        """The tokens of each pair's two sequences."""
        longest = self.args.max_length or math.inf
        prompts, chosen, rejected = (
            [len(ids) for ids in dataset[name]]
            for name in ("prompt_ids", "chosen_ids", "rejected_ids")
        )
        return [
            (int(min(prompt + first, longest)), int(min(prompt + second, longest)))
            for prompt, first, second in zip(prompts, chosen, rejected, strict=True)
        ]

    def with_own_losses(self, inputs: dict[str, Any], by_trl: Callable[[], Any]) -> Any:
        """TRL's loss and metrics, and ours added to the loss."""
        if not self.own_losses and self.basin is None:
            return by_trl()
        with self._forward_passes() as outputs:
            result = by_trl()
        pairs = self._log_probabilities(inputs, outputs)
        if self.basin is not None and self.model.training:
            self.basin.add(pairs)
        own = self._own_loss(pairs, inputs, outputs[0])
        if isinstance(result, tuple):
            loss, of_trl = result
            return loss + own, of_trl
        return result + own

    @contextmanager
    def _forward_passes(self) -> Iterator[list[Any]]:
        """Collects the outputs of forward passes: the policy's, then the reference's."""
        outputs: list[Any] = []
        hooks = [
            model.register_forward_hook(lambda _model, _inputs, output: outputs.append(output))
            for model in (self.model, self.ref_model)
            if model is not None
        ]
        try:
            yield outputs
        finally:
            for hook in hooks:
                hook.remove()

    def _log_probabilities(self, inputs: dict[str, Any], outputs: list[Any]) -> LogRatios:
        """A batch's log-probabilities; under an f-divergence its scores, with a reference of 0."""
        mask = inputs["completion_mask"][:, 1:]
        length, ld_alpha = mask.size(1), self.settings.ld_alpha
        policy = summed(outputs[0].log_probs[:, -length:], mask, ld_alpha)
        if self.precompute_ref_logps:
            reference = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        else:
            reference = summed(outputs[1].log_probs[:, -length:], mask, ld_alpha)
        if self.settings.f_divergence != "reverse_kl":
            alpha = self.settings.f_divergence_alpha or ALPHA
            policy = divergence_score(policy - reference, self.settings.f_divergence, alpha)
            reference = torch.zeros_like(reference)
        return LogRatios(*policy.chunk(2), *reference.chunk(2))

    def _own_loss(self, pairs: LogRatios, inputs: dict[str, Any], output: Any) -> Tensor | float:
        """The weighted sum of our losses' means over the batch; output: the policy's."""
        settings = self.settings
        weights: Tensor | float = 1.0
        if self.own_losses and settings.wpo_weighting:
            mask = inputs["completion_mask"][:, 1:]
            length = mask.size(1)
            weights = policy_weights(
                output.log_probs[:, -length:], output.log_sum_sq_probs[:, -length:], mask
            )
        total: Tensor | float = 0.0
        for name, weight in self.own_losses.items():
            losses = pair_losses(
                name, pairs, self.beta, settings.tau or TAU, settings.label_smoothing or 0.0
            )
            total = total + weight * (losses * weights).mean()
        return total

    def compute_loss(self, model: Any, inputs: dict[str, Any], *more: Any, **named: Any) -> Any:
        """TRL's loss; one that is not finite ends training."""
        result = super().compute_loss(model, inputs, *more, **named)
        loss = result[0] if isinstance(result, tuple) else result
        if self.model.training and not torch.isfinite(loss):
            pairs = ids_of_pairs(self.train_dataset, inputs, self.args.max_length)
            step = self.state.global_step + 1
            raise diverged("loss", loss.item(), step, self.settings, pairs)
        return result

    def log(self, logs: dict[str, float], *more: Any) -> None:
        """Log as TRL does; end training at a gradient that is not finite, before it is saved."""
        norm = logs.get("grad_norm", 0.0)
        if not math.isfinite(norm):
            raise diverged("gradient", norm, self.state.global_step, self.settings, [])
        super().log(logs, *more)

    def train(self, *arguments: Any, **named: Any) -> Any:
        """Train as TRL does, and log at the end where pairs are in the basin of DiscoPOP's loss."""
        result = super().train(*arguments, **named)
        if self.basin is not None:
            self.basin.close()
        return result
