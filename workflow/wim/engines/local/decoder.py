"""A batch of token sequences that a causal language model continues, one token at a time."""

from typing import TYPE_CHECKING, Any

from wim.engines.local.sampling import choose_tokens
from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import torch


class Decoder:
    """A batch of token sequences that grow one token at a time.

    `logits` (rows, vocabulary) are those of each row's next token. The part that all rows
    share is run once; the rest is padded on the left, between the shared part and itself.
    Windows count places and not tokens, so where a layer has one nothing is shared, and the
    padding is in front.
    """

    def __init__(self, model: Any, rows: list[list[int]], device: str) -> None:
        import torch

        from wim.engines.local.cache import attends_to_all, growing_cache

        self.model = model
        self.cache = growing_cache(model)
        shared = _shared_prefix(rows) if attends_to_all(self.cache) else 0
        longest = max(len(row) for row in rows)
        pads = [longest - len(row) for row in rows]
        self.mask = torch.tensor(
            [[1] * shared + [0] * pad + [1] * (longest - shared - pad) for pad in pads],
            device=device,
        )
        self.positions = torch.tensor([[len(row)] for row in rows], device=device)
        tokens = torch.tensor(
            [[0] * pad + row[shared:] for pad, row in zip(pads, rows, strict=True)], device=device
        )
        places = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
        with torch.inference_mode():
            if shared:
                first = torch.tensor([rows[0][:shared]], device=device)
                self._forward(first, logits_to_keep=1)
                self.cache.batch_repeat_interleave(len(rows))
            self._run(tokens, places)

    def _forward(self, tokens: "torch.Tensor", **given: Any) -> Any:
        return self.model(tokens, past_key_values=self.cache, use_cache=True, **given)

    def _run(
        self, tokens: "torch.Tensor", positions: "torch.Tensor", keep: int = 1
    ) -> "torch.Tensor":
        output = self._forward(
            tokens, attention_mask=self.mask, position_ids=positions, logits_to_keep=keep
        )
        logits: torch.Tensor = output.logits.float()
        self.logits = logits[:, -1]
        return logits

    def next_tokens(
        self, seeds: "torch.Tensor", steps: "torch.Tensor", sampling: Sampling
    ) -> "torch.Tensor":
        """The next token (rows,) of each row; seeds (rows,), steps (rows,): tokens so far."""
        return choose_tokens(self.logits, seeds, steps, sampling)

    def advance(self, tokens: "torch.Tensor") -> None:
        """Append one token (rows,) to each row."""
        import torch

        with torch.inference_mode():
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=-1)
            self._run(tokens[:, None], self.positions)
            self.positions = self.positions + 1

    def keep(self, index: "torch.Tensor") -> None:
        """Continue with the rows of these indices only."""
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.cache.batch_select_indices(index)

    @property
    def joins(self) -> bool:
        """Whether other rows may join: every layer attends to all tokens, and keeps them all."""
        from wim.engines.local.cache import attends_to_all

        return attends_to_all(self.cache)

    def join(self, other: "Decoder") -> None:
        """Append the rows of another batch, which is used up.

        All rows end at the same position. Layer by layer, so that little is in memory twice.
        """
        import torch
        from torch.nn.functional import pad

        with torch.inference_mode():
            # The beginning of rows that have left is padding in all others.
            skipped = int(self.mask.any(0).int().argmax())
            masks = [self.mask[:, skipped:], other.mask]
            longest = max(mask.shape[-1] for mask in masks)
            self.mask = torch.cat([pad(mask, (longest - mask.shape[-1], 0)) for mask in masks])
            for layer in self.cache.layers:
                layer.join(other.cache.layers.pop(0), skipped)
            self.positions = torch.cat([self.positions, other.positions])
            self.logits = torch.cat([self.logits, other.logits])

    def lookahead(self, tokens: list[int]) -> "torch.Tensor":
        """Logits (rows, tokens, vocabulary) after each of some tokens; rows are unchanged."""
        import torch

        from wim.engines.local.cache import whole_windows

        mask, logits = self.mask, self.logits
        rows = len(mask)
        with torch.inference_mode():
            self.mask = torch.cat([mask, mask.new_ones(rows, len(tokens))], dim=-1)
            ahead = torch.tensor([tokens] * rows, device=mask.device)
            places = self.positions + torch.arange(len(tokens), device=mask.device)
            with whole_windows(self.cache):
                found = self._run(ahead, places, keep=len(tokens))
                self.cache.crop(-len(tokens))
        self.mask, self.logits = mask, logits
        return found


def _shared_prefix(rows: list[list[int]]) -> int:
    """Length of the prefix that all rows share, leaving each at least one token of its own."""
    if len(rows) == 1:
        return 0
    shortest, longest = min(rows), max(rows)
    limit = min(len(row) for row in rows) - 1
    for place in range(limit):
        if shortest[place] != longest[place]:
            return place
    return limit
