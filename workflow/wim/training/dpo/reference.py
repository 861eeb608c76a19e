"""Log-probabilities under the reference model, computed once for all trainings that need them.

Importing this module loads torch and trl.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from wim.provenance.code import code_digest
from wim.provenance.digest import digest_of
from wim.store.memo import Memo
from wim.store.rows import RowStore
from wim.training.dpo.batches import PAD_TO
from wim.training.dpo.log_probabilities import summed

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("wim.training")
SCHEMA = pa.schema([pa.field("log_probs", pa.list_(pa.float32()), nullable=False)])
# The code that decides a log-probability, besides this module and that of the trainer's CPU head.
DECIDING = (
    "wim.training.dpo.batches",
    "wim.training.dpo.cpu_prefix",
    "wim.training.run.trl_internals",
)


@dataclass(frozen=True, order=True)
class TokenizedCompletion:
    """A completion whose log-probability is wanted: its tokens, and those of its prompt."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.tokens)


# A pair's completions in sorted order, whichever of them is chosen.
Pair = tuple[TokenizedCompletion, TokenizedCompletion]


@dataclass(frozen=True)
class ReferenceStore:
    """The stored log-probabilities of completions' tokens, by model, tokens and pair.

    They are computed as training computes them, a pair in one forward pass: in bfloat16 a batch of
    another shape would round differently. Arms with the same pairs, whichever side is chosen, find
    them again, with other losses, betas, seeds and epochs.

    Attributes:
        folder: The folder of the store.
        model: The digest of the reference model's weights.
    """

    folder: Path
    model: str

    def with_reference(self, dataset: "Dataset", trainer: Any, batch_size: int) -> "Dataset":
        """A tokenised dataset with TRL's columns ref_chosen_logps and ref_rejected_logps.

        Those not yet stored are computed by the trainer's model without its adapter; of several
        processes each computes a share.

        Args:
            dataset: Rows of prompt_ids, chosen_ids and rejected_ids.
            trainer: The trainer of the model.
            batch_size: Pairs in a forward pass.
        """
        pairs = [
            (
                _cut(row["prompt_ids"], row["chosen_ids"], trainer.args.max_length),
                _cut(row["prompt_ids"], row["rejected_ids"], trainer.args.max_length),
            )
            for row in dataset
        ]
        ordered: dict[Pair, None] = dict.fromkeys((min(pair), max(pair)) for pair in pairs)
        keys = self._keys(ordered, trainer)
        log_probs, computed = self._log_probs(keys, trainer, batch_size)
        logger.info(
            "reference log-probabilities: %d pairs computed, %d known",
            computed,
            len(keys) - computed,
        )
        sums = []
        for chosen, rejected in pairs:
            pair = (min(chosen, rejected), max(chosen, rejected))
            found = {each: log_probs[key] for each, key in zip(pair, keys[pair], strict=True)}
            sums.append(_sums(found[chosen], found[rejected], trainer.ld_alpha))
        for place, name in enumerate(("ref_chosen_logps", "ref_rejected_logps")):
            dataset = dataset.add_column(name, [sides[place] for sides in sums])
        return dataset

    def _keys(self, pairs: Iterable[Pair], trainer: Any) -> dict[Pair, tuple[str, str]]:
        """The keys of both completions of each pair."""
        made_by = {
            "model": self.model,
            "dtype": str(trainer.model.dtype),
            "arithmetic": trainer.accelerator.mixed_precision,
            "device": trainer.accelerator.device.type,
            "code": reference_code(),
        }

        def key(of: TokenizedCompletion, beside: TokenizedCompletion) -> str:
            pair = {"prompt": of.prompt, "completion": of.tokens, "beside": beside.tokens}
            return digest_of({**made_by, **pair})

        return {pair: (key(*pair), key(*reversed(pair))) for pair in pairs}

    def _log_probs(
        self, keys: dict[Pair, tuple[str, str]], trainer: Any, batch_size: int
    ) -> tuple[dict[str, Tensor], int]:
        """The log-probabilities by key, and how many pairs the store lacked."""
        state = trainer.accelerator
        lacking: list[Pair] = []

        def own_share(missing: list[str]) -> Iterator[tuple[str, Tensor]]:
            lacking.extend(pairs_of(missing))
            yield from compute(lacking[state.process_index :: state.num_processes])

        def pairs_of(missing: list[str]) -> list[Pair]:
            wanted = set(missing)
            found = [pair for pair in keys if not wanted.isdisjoint(keys[pair])]
            return sorted(found, key=lambda pair: (-max(map(len, pair)), keys[pair]))

        def compute(pairs: list[Pair]) -> Iterator[tuple[str, Tensor]]:
            for batch in _chunks(pairs, batch_size):
                for pair, both in zip(batch, _log_probs(batch, trainer), strict=True):
                    yield from zip(keys[pair], both, strict=True)

        names = {key: key for pair in keys for key in keys[pair]}
        with RowStore(self.folder, SCHEMA) as rows:
            found = dict(_memo(rows).values(names, own_share))
        state.wait_for_everyone()
        if lacking and state.num_processes > 1:
            # Processes that looked up at different moments may have divided different pairs.
            with RowStore(self.folder, SCHEMA) as rows:
                found = dict(_memo(rows).values(names, lambda left: compute(pairs_of(left))))
        return found, len(lacking)


def _memo(rows: RowStore) -> Memo[str, Tensor]:
    return Memo(
        rows,
        value_of=lambda _, row: torch.tensor(row["log_probs"]),
        row_of=lambda log_probs: {"log_probs": log_probs.tolist()},
    )


def reference_code() -> str:
    """The digest of the code that decides a reference log-probability."""
    here = Path(__file__)
    # On a CPU the trainer's model computes with this head; see PreferenceTrainer.
    return code_digest(here, here.with_name("cpu_head.py"), within=DECIDING)


def _cut(prompt: list[int], completion: list[int], max_length: int | None) -> TokenizedCompletion:
    room = None if max_length is None else max(0, max_length - len(prompt))
    return TokenizedCompletion(tuple(prompt[:max_length]), tuple(completion[:room]))


def _chunks(pairs: list[Pair], batch_size: int) -> Iterator[list[Pair]]:
    for start in range(0, len(pairs), batch_size):
        yield pairs[start : start + batch_size]


def _log_probs(pairs: Sequence[Pair], trainer: Any) -> list[tuple[Tensor, Tensor]]:
    """The log-probability of each token of both completions of each pair."""
    batch = [pair[side] for side in (0, 1) for pair in pairs]
    device, model = trainer.accelerator.device, trainer.ref_model or trainer.model
    longest = -(-max(map(len, batch)) // PAD_TO) * PAD_TO
    # One more row, of the length that the batch is to be padded to.
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
        found = (
            model(
                input_ids=ids,
                attention_mask=seen.long(),
                labels=labels,
                use_cache=False,
                fused_lm_head=True,
            )
            .log_probs.float()
            .cpu()
        )
    each_row = [
        row[len(each.prompt) - 1 : len(each) - 1] for row, each in zip(found, batch, strict=True)
    ]
    return list(zip(each_row[: len(pairs)], each_row[len(pairs) :], strict=True))


def _sums(chosen: Tensor, rejected: Tensor, ld_alpha: float | None) -> tuple[float, float]:
    both = pad_sequence([chosen, rejected], batch_first=True)
    mask = torch.arange(both.shape[1]) < torch.tensor([[len(chosen)], [len(rejected)]])
    first, second = summed(both, mask.long(), ld_alpha).tolist()
    return first, second
