"""TRL's online DPO with labels of our own. Importing this module loads trl.

Prompts are texts, in the words of the model's chat template. TRL samples the completions and computes the loss and every metric. In between, prompts whose
completions got no label are left out of the batch: TRL itself would count a failed judgement as a
reward of 0, and take the first completion of a tie for the better one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl.experimental.online_dpo import OnlineDPOTrainer

from wim.training.run.trl_internals import OnlineHooks

logger = logging.getLogger(__name__)
SAMPLES = 2
LABELLED = "online/labelled"


@dataclass(frozen=True)
class SampledCompletion:
    """A completion that the model sampled in training.

    Attributes:
        prompt_id: Of its prompt.
        prompt: The text that was continued.
        sample: Its number among those of the prompt.
        tokens: The ids of all that was written, with the one that ended it.
        prompt_tokens: Those of the prompt.
        step: The steps that the model had made before.
    """

    prompt_id: str
    prompt: str
    sample: int
    tokens: tuple[int, ...]
    prompt_tokens: int
    step: int


@dataclass(frozen=True)
class Label:
    """Which of a prompt's two completions is the better one, and the rewards."""

    chosen: int
    score_chosen: float
    score_rejected: float


Labeller = Callable[[Sequence[SampledCompletion]], Sequence[Label | None]]
"""Labels prompts, or None, by their completions, SAMPLES of each prompt in a row."""


Most = Callable[[str, Sequence[int]], int]
"""The number of a completion's tokens that are within its length, by its prompt and its tokens."""


class OnlineTrainer(OnlineHooks, OnlineDPOTrainer):  # type: ignore[misc]
    """OnlineDPOTrainer whose pairs are labelled by `labeller`.

    A batch's loss is the mean over its labelled pairs; a batch without any has no gradient.

    Args:
        labeller: Labels the pairs.
        most: The number of tokens of a completion that are kept; TRL samples up to max_new_tokens.
        trainer: Arguments of OnlineDPOTrainer.
    """

    def __init__(self, labeller: Labeller, most: Most, **trainer: Any) -> None:
        super().__init__(reward_funcs=labeller, **trainer)
        self.labeller = labeller
        self.most = most
        self.stats[LABELLED] = []
        self._batch: tuple[Any, ...] = ()
        self._scores = torch.zeros(0)

    def training_step(self, model: Any, inputs: dict[str, Any], *more: Any) -> Tensor:
        """Sample, label, leave out what has no label, and let TRL train on the rest."""
        prompts, ids = inputs["prompt"], inputs["prompt_id"]
        model.train()
        sampled = self._within_length(prompts, self.sampled_by_trl(model, prompts))
        labels = self.labeller(self._completions(prompts, ids, sampled))
        self.stats[LABELLED].append(sum(label is not None for label in labels) / len(labels))
        usable = [(place, label) for place, label in enumerate(labels) if label is not None]
        if usable:
            places = [place for place, _ in usable]
            chosen = [place + label.chosen * len(prompts) for place, label in usable]
            rejected = [place + (1 - label.chosen) * len(prompts) for place, label in usable]
            scores = [label.score_chosen for _, label in usable]
            scores += [label.score_rejected for _, label in usable]
            self._batch = _rows(sampled, [*chosen, *rejected])
        else:
            # Every process must run a backward pass; a mask of 0 leaves no gradient.
            places, scores = [0], [0.0, 0.0]
            self._batch = _rows(sampled, [0, len(prompts)])
            self._batch[3].zero_()
        self._scores = torch.tensor(scores, device=self.accelerator.device)
        batch = {"prompt": [prompts[each] for each in places]}
        loss: Tensor = super().training_step(model, batch, *more)
        return loss

    def batch(self) -> tuple[Any, ...]:
        """The batch that was sampled and labelled: chosen completions, then rejected ones."""
        return self._batch

    def scores(self) -> Tensor:
        """The scores of that batch, in the same order."""
        return self._scores

    def _within_length(self, prompts: list[str], sampled: tuple[Any, ...]) -> tuple[Any, ...]:
        """A batch in which completions are cut to their length."""
        *others, tokens, mask, vision = sampled
        for row, (drawn, seen) in enumerate(zip(tokens, mask, strict=True)):
            most = self.most(prompts[row % len(prompts)], drawn[seen.bool()].tolist())
            tokens[row, most:] = self.processing_class.pad_token_id
            mask[row, most:] = 0
        return (*others, tokens, mask, vision)

    def _completions(
        self, prompts: list[str], ids: list[str], sampled: tuple[Any, ...]
    ) -> list[SampledCompletion]:
        """The sampled completions, those of a prompt one after the other."""
        _, prompt_mask, tokens, mask, _ = sampled
        rows = [(place, sample) for place in range(len(prompts)) for sample in range(SAMPLES)]
        found = []
        for place, sample in rows:
            row = place + sample * len(prompts)
            found.append(
                SampledCompletion(
                    prompt_id=ids[place],
                    prompt=prompts[place],
                    sample=sample,
                    tokens=tuple(tokens[row][mask[row].bool()].tolist()),
                    prompt_tokens=int(prompt_mask[row].sum()),
                    step=self.state.global_step,
                )
            )
        return found


def _rows(sampled: tuple[Any, ...], rows: list[int]) -> tuple[Any, ...]:
    """Rows of a batch that TRL sampled, in another order; its vision inputs are None."""
    *tensors, vision = sampled
    return (*(tensor[rows] for tensor in tensors), vision)
