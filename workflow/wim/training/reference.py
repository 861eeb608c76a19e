"""Log-probabilities under the reference model, computed once for all trainings that need them.

Importing this module loads torch and trl.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from wim.digest import code_digest, digest_of
from wim.rowstore import RowStore
from wim.training import head
from wim.training.batches import PAD_TO
from wim.training.log_probabilities import summed

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("wim.training")
SCHEMA = pa.schema([pa.field("log_probs", pa.list_(pa.float32()), nullable=False)])
# What does not decide a log-probability: an edit there leaves stored ones valid.
PLUMBING = (
    "wim.rowstore",
    "wim.store_parts",
    "wim.errors",
    "wim.digest",
    "wim.walltime",
    "wim.training.log_probabilities",
)


@dataclass(frozen=True)
class Completion:
    """What a log-probability is of: the tokens of a completion after those of its prompt."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.tokens)


@dataclass(frozen=True)
class ReferenceStore:
    """The stored log-probabilities of completions' tokens, by model and tokens.

    A row belongs to a completion, not to a pair: arms that make other pairs of the same
    completions, other losses, betas, seeds and epochs find it again. folder: that of the store.
    model: the digest of the reference model's weights.
    """

    folder: Path
    model: str

    def with_reference(self, dataset: "Dataset", trainer: Any, batch_size: int) -> "Dataset":
        """A tokenised dataset with TRL's columns ref_chosen_logps and ref_rejected_logps.

        Those not yet stored are computed by the trainer's model without its adapter, batch_size
        pairs' worth at a time; of several processes each computes a share.
        """
        pairs = [
            (
                _cut(row["prompt_ids"], row["chosen_ids"], trainer.args.max_length),
                _cut(row["prompt_ids"], row["rejected_ids"], trainer.args.max_length),
            )
            for row in dataset
        ]
        keys = self._keys({each for pair in pairs for each in pair}, trainer)
        with RowStore(self.folder, SCHEMA) as rows:
            known = rows.find(keys.values())
            missing = [each for each, key in keys.items() if key not in known]
            longest = _longest_of_prompts(missing)
            missing.sort(
                key=lambda each: (-longest[each.prompt], each.prompt, -len(each), keys[each])
            )
            state = trainer.accelerator
            for batch in _chunks(missing[state.process_index :: state.num_processes], batch_size):
                for each, log_probs in zip(batch, _log_probs(batch, trainer), strict=True):
                    rows.add(keys[each], {"log_probs": log_probs.tolist()})
        state.wait_for_everyone()
        if missing:
            with RowStore(self.folder, SCHEMA) as rows:
                known = rows.find(keys.values())
        logger.info(
            "reference log-probabilities: %d computed, %d known",
            len(missing),
            len(keys) - len(missing),
        )
        found = {each: torch.tensor(known[key]["log_probs"]) for each, key in keys.items()}
        sums = [
            _sums(found[chosen], found[rejected], trainer.ld_alpha) for chosen, rejected in pairs
        ]
        for place, name in enumerate(("ref_chosen_logps", "ref_rejected_logps")):
            dataset = dataset.add_column(name, [pair[place] for pair in sums])
        return dataset

    def _keys(self, completions: set[Completion], trainer: Any) -> dict[Completion, str]:
        made_by = {
            "model": self.model,
            "dtype": str(trainer.model.dtype),
            "arithmetic": trainer.accelerator.mixed_precision,
            "device": trainer.accelerator.device.type,
            "code": code_digest(Path(__file__), Path(head.__file__), without=PLUMBING),
        }
        return {
            each: digest_of({**made_by, "prompt": each.prompt, "completion": each.tokens})
            for each in completions
        }


def _cut(prompt: list[int], completion: list[int], max_length: int | None) -> Completion:
    room = None if max_length is None else max(0, max_length - len(prompt))
    return Completion(tuple(prompt[:max_length]), tuple(completion[:room]))


def _longest_of_prompts(completions: Sequence[Completion]) -> dict[tuple[int, ...], int]:
    """The longest completion of each prompt: those of one prompt are to stand side by side."""
    found: dict[tuple[int, ...], int] = {}
    for each in completions:
        found[each.prompt] = max(found.get(each.prompt, 0), len(each))
    return found


def _chunks(completions: list[Completion], batch_size: int) -> Iterator[list[Completion]]:
    for start in range(0, len(completions), 2 * batch_size):
        yield completions[start : start + 2 * batch_size]


def _log_probs(batch: Sequence[Completion], trainer: Any) -> list[Tensor]:
    """The log-probability of each token of each completion."""
    device, model = trainer.accelerator.device, trainer.ref_model or trainer.model
    longest = -(-max(map(len, batch)) // PAD_TO) * PAD_TO
    # One row more, as long as a padded batch is to be.
    rows = [torch.tensor(each.prompt + each.tokens) for each in batch] + [
        torch.zeros(longest, dtype=torch.long)
    ]
    ids = pad_sequence(rows, batch_first=True, padding_value=-1)[:-1].to(device)
    places = torch.arange(longest, device=device)
    prompts = torch.tensor([len(each.prompt) for each in batch], device=device)[:, None]
    seen = ids >= 0
    labels = ids.masked_fill(~seen | (places < prompts), -100)
    ids = ids.masked_fill(~seen, trainer.processing_class.pad_token_id)
    adapter = model.disable_adapter() if isinstance(model, PeftModel) else nullcontext()
    with torch.no_grad(), adapter, trainer.accelerator.autocast():
        found = model(
            input_ids=ids,
            attention_mask=seen.long(),
            labels=labels,
            use_cache=False,
            fused_lm_head=True,
        ).log_probs.cpu()
    return [
        row[len(each.prompt) - 1 : len(each) - 1] for row, each in zip(found, batch, strict=True)
    ]


def _sums(chosen: Tensor, rejected: Tensor, ld_alpha: float | None) -> tuple[float, float]:
    both = pad_sequence([chosen, rejected], batch_first=True)
    mask = torch.arange(both.shape[1]) < torch.tensor([[len(chosen)], [len(rejected)]])
    first, second = summed(both, mask.long(), ld_alpha).tolist()
    return first, second
