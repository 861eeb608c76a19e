"""Everything private or undocumented of TRL and its base, transformers' Trainer, that is used here.

Neither has a public hook for what training does differently, and a release of either may change
these without notice. So pyproject.toml bounds trl to the minor version that was tried. Whoever
raises the bound reads this file beside the new source, and runs the tests of training:
they compare losses, samples and metrics with TRL's own.

Importing this module loads nothing; trainers are mixed in where they are defined.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# The mixins precede a trainer of TRL, which has no types.
_Trainer: Any = object


class DpoHooks(_Trainer):  # type: ignore[misc]
    """Calls of DPOTrainer's private methods, for a subclass to change what they do."""

    def _prepare_dataset(self, dataset: Any, processing: Any, args: Any, name: str) -> Any:
        return self.trainable(dataset, name, args.max_length)

    def trainable(self, dataset: Any, name: str, max_length: int) -> Any:
        """The pairs of a split that can be trained on, with TRL's columns of token ids.

        TRL makes the ids itself, by the chat template, and keeps pairs that have nothing to learn
        from.

        Args:
            dataset: The split.
            name: Its name.
            max_length: The most tokens of a sequence.
        """
        raise NotImplementedError

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        def by_trl() -> Any:
            return super(DpoHooks, self)._precompute_ref_logps(  # type: ignore[misc]
                dataset, name, batch_size
            )

        return self.with_reference(dataset, batch_size, by_trl)

    def with_reference(self, dataset: Any, batch_size: int, by_trl: Callable[[], Any]) -> Any:
        """A tokenised split with the columns ref_chosen_logps and ref_rejected_logps.

        TRL computes them anew for every training.
        """
        raise NotImplementedError

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        order = self.train_order(dataset)
        if order is None:
            return super()._get_train_sampler(dataset)  # type: ignore[misc]
        return order

    def train_order(self, dataset: Any) -> Any:
        """A sampler of a split to train on, None for the Trainer's.

        The Trainer can group by length, but then other pairs share a step.
        """
        raise NotImplementedError

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        order = self.eval_order(eval_dataset)
        if order is None:
            return super()._get_eval_sampler(eval_dataset)  # type: ignore[misc]
        return order

    def eval_order(self, dataset: Any) -> Sequence[int] | None:
        """The order of a held-out split, None for the Trainer's."""
        raise NotImplementedError

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        def by_trl() -> Any:
            return super(DpoHooks, self)._compute_loss(  # type: ignore[misc]
                model, inputs, return_outputs
            )

        return self.with_own_losses(inputs, by_trl)

    def with_own_losses(self, inputs: dict[str, Any], by_trl: Callable[[], Any]) -> Any:
        """TRL's loss of a batch, or (loss, outputs), with our losses added to it.

        TRL chooses losses by name from a fixed list.
        """
        raise NotImplementedError


class OnlineHooks(_Trainer):  # type: ignore[misc]
    """Calls of OnlineDPOTrainer's private methods, for a subclass to change what they do.

    TRL samples and scores within one training step. Here a step samples first, labels, and then
    has TRL train on those completions with those scores.
    """

    def sampled_by_trl(self, model: Any, prompts: list[Any]) -> tuple[Any, ...]:
        """A batch sampled by TRL: prompt ids and mask, completion ids and mask, vision inputs."""
        sampled: tuple[Any, ...] = super()._generate(model, prompts)  # type: ignore[misc]
        return sampled

    def _generate(self, *_: Any) -> tuple[Any, ...]:
        return self.batch()

    def batch(self) -> tuple[Any, ...]:
        """What TRL trains on in place of a new sample, chosen completions before rejected ones."""
        raise NotImplementedError

    def _calculate_rewards_from_functions(self, *_: Any, **__: Any) -> Any:
        return self.scores()

    def scores(self) -> Any:
        """The scores of `batch`, in the same order."""
        raise NotImplementedError


@contextmanager
def without_hash_of_weights() -> Iterator[None]:
    """A context in which a DPOTrainer that is made does not hash all of its model's weights.

    The hash names TRL's own cache of the reference's log-probabilities, which is not used here; it
    would read every weight back from the GPU.
    """
    from trl.trainer import dpo_trainer

    hashed = dpo_trainer.hash_module
    dpo_trainer.hash_module = lambda _: "unused"
    try:
        yield
    finally:
        dpo_trainer.hash_module = hashed


def restore_counters(trainer: Any, tokens: int, summed_loss: float) -> None:
    """Set the sums that a trainer begins at 0 even when it resumes.

    Args:
        trainer: One that is about to train.
        tokens: What TRL has counted for the metric num_tokens.
        summed_loss: The sum of the losses of all steps, whose mean is the metric train_loss.
    """
    trainer._total_train_tokens = tokens
    trainer._total_loss_scalar = summed_loss
    # The mean is over the steps since this one.
    trainer._initial_global_step = 0


def new_head_expected() -> AbstractContextManager[None]:
    """A context in which transformers does not warn of a new head for one number."""
    from trl.trainer.reward_trainer import suppress_seqcls_warning

    context: AbstractContextManager[None] = suppress_seqcls_warning()
    return context


def chunked_log_probabilities() -> Any:
    """The autograd function that scores tokens under a head in tiles of its vocabulary."""
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction

    return ChunkedLogProbFunction


def fused_head_output() -> Any:
    """The class of what a model with TRL's fused head returns."""
    from trl.trainer.utils import FusedCausalLMOutput

    return FusedCausalLMOutput
