"""A batch of token sequences that a causal language model continues, one token at a time."""

import inspect
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from wim.engines.local.sampling import choose_tokens
from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import torch


class Batching(Enum):
    """How rows are run together, by what a model computes rightly; see wim.engines.local.trial."""

    SHARED = "the part that all rows share is run once, and the rest is padded behind it"
    PADDED = "rows are padded in front"
    ALONE = "rows are run one by one"
    UNCACHED = "rows are run one by one, and as a whole for each token"


class Decoder:
    """A batch of token sequences that grow one token at a time.

    `logits` (rows, vocabulary) are those of each row's next token. With Batching.SHARED the part
    that all rows share is run once; the rest is padded on the left, between the shared part and
    itself. Windows count places and not tokens, so where a layer has one nothing is shared, and the
    padding is in front.
    """

    def __init__(
        self,
        model: Any,
        rows: list[list[int]],
        device: str,
        batching: Batching = Batching.SHARED,
    ) -> None:
        import torch

        from wim.engines.local.cache import attends, attends_to_all, growing_cache

        self.model = model
        self.cache = growing_cache(model)
        self.joins = batching is Batching.SHARED and attends_to_all(self.cache)
        self.attends = attends(self.cache)
        shared = _shared_prefix(rows) if self.joins else 0
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
        cache = {str(cache_argument(self.model)): self.cache}
        return forward(self.model, tokens, use_cache=True, **given, **cache)

    def _run(
        self, tokens: "torch.Tensor", positions: "torch.Tensor", keep: int = 1
    ) -> "torch.Tensor":
        # States have taken up the padding's mask in the first pass.
        mask = self.mask if self.attends or tokens.shape[1] == self.mask.shape[1] else None
        output = self._forward(
            tokens, attention_mask=mask, position_ids=positions, logits_to_keep=keep
        )
        logits: torch.Tensor = output.logits[:, -keep:].float()
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
        self.cache.reorder_cache(index)

    def join(self, others: Sequence["Decoder"]) -> None:
        """Append the rows of other batches, which are used up; only where all have `joins`.

        All rows end at the same position. Layer by layer, so that little is in memory twice.
        """
        import torch
        from torch.nn.functional import pad

        with torch.inference_mode():
            # The beginning of rows that have left is padding in all others.
            skipped = int(self.mask.any(0).int().argmax())
            masks = [self.mask[:, skipped:], *(other.mask for other in others)]
            longest = max(mask.shape[-1] for mask in masks)
            self.mask = torch.cat([pad(mask, (longest - mask.shape[-1], 0)) for mask in masks])
            for layer in self.cache.layers:
                layer.join([other.cache.layers.pop(0) for other in others], skipped)
            self.positions = torch.cat([self.positions, *(other.positions for other in others)])
            self.logits = torch.cat([self.logits, *(other.logits for other in others)])

    def lookahead(self, tokens: list[int]) -> "torch.Tensor":
        """Logits (rows, tokens, vocabulary) after each of some tokens; rows are unchanged."""
        import torch

        from wim.engines.local.cache import has_states, unchanged

        mask, logits = self.mask, self.logits
        rows, found = len(mask), []
        # Recurrent layers may go on from their states by one token only.
        at_once = 1 if has_states(self.cache) else len(tokens)
        with torch.inference_mode(), unchanged(self.cache, len(tokens)):
            for start in range(0, len(tokens), at_once):
                some = tokens[start : start + at_once]
                self.mask = torch.cat([self.mask, mask.new_ones(rows, len(some))], dim=-1)
                ahead = torch.tensor([some] * rows, device=mask.device)
                places = self.positions + start + torch.arange(len(some), device=mask.device)
                found.append(self._run(ahead, places, keep=len(some)))
        self.mask, self.logits = mask, logits
        return torch.cat(found, dim=1)


class UncachedDecoder(Decoder):
    """One row of a model that can keep nothing of its passes: each token takes a whole pass."""

    def __init__(self, model: Any, rows: list[list[int]], device: str) -> None:
        self.model, self.device, self.joins = model, device, False
        (self.tokens,) = rows
        self.logits = self.lookahead([])[:, -1]

    def advance(self, tokens: "torch.Tensor") -> None:
        """See Decoder.advance."""
        self.logits = self.lookahead(tokens.tolist())[:, -1]
        self.tokens = [*self.tokens, *tokens.tolist()]

    def keep(self, index: "torch.Tensor") -> None:
        """Do nothing: there is one row."""

    def lookahead(self, tokens: list[int]) -> "torch.Tensor":
        """See Decoder.lookahead; the logits after the row itself where there are no tokens."""
        import torch

        with torch.inference_mode():
            row = torch.tensor([[*self.tokens, *tokens]], device=self.device)
            kept = max(len(tokens), 1)
            output = forward(self.model, row, use_cache=False, logits_to_keep=kept)
            logits: torch.Tensor = output.logits[:, -kept:].float()
        return logits


def forward(model: Any, tokens: "torch.Tensor", **given: Any) -> Any:
    """A model's output; arguments that its architecture does not know are left out."""
    names, takes_others = _arguments(type(model).forward)
    known = given if takes_others else {name: given[name] for name in given if name in names}
    return model(tokens, **known)


def cache_argument(model: Any) -> str | None:
    """The name of the argument that takes a cache; None where a model takes none."""
    names, _ = _arguments(type(model).forward)
    return next((name for name in ("past_key_values", "cache_params") if name in names), None)


@cache
def _arguments(function: Any) -> tuple[frozenset[str], bool]:
    """The names of the arguments of an architecture's pass, and whether it takes others too."""
    parameters = inspect.signature(function).parameters
    others = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return frozenset(parameters), others


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
