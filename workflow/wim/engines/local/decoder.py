"""A batch of token sequences that a causal language model continues, one token at a time."""

from collections.abc import Sequence
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any

from wim.engines.local.forward import cache_argument, forward
from wim.engines.local.places import Places
from wim.engines.local.sampling import choose_tokens
from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import torch


# The share of a batch's places that may be free before its rows close the gaps. A CPU's time is that of
# the rows, a GPU's that of a step, however many rows it has.
ENDED_SHARE = {"cpu": 0.0, "cuda": 0.25}
# Tokens that a mask has room for.
MASK_ROOM = 64


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

    A row that has left keeps its place in the batch until others take it, or until the share
    `ended_share` of the places is free; the last rows then move to the free ones. Until then it is
    passed through the model with the others, as some token at position 0, and nothing is made of it.
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
        mask = torch.tensor(
            [[1] * shared + [0] * pad + [1] * (longest - shared - pad) for pad in pads],
            device=device,
        )
        lengths = [longest if shared else len(row) for row in rows]
        self._begin(mask, torch.tensor([[len(row)] for row in rows], device=device), lengths)
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

    def _begin(self, mask: "torch.Tensor", positions: "torch.Tensor", lengths: list[int]) -> None:
        """Take rows that fill a batch.

        Args:
            mask: (places, tokens), which of the tokens in the cache a row has.
            positions: (places, 1), of the next tokens.
            lengths: Tokens from each row's first to the end.
        """
        self.ended_share = ENDED_SHARE[mask.device.type]
        self.positions = positions
        self.places = Places(lengths, mask.shape[-1])
        # The places of the rows, if some are free.
        self._index: torch.Tensor | None = None
        self._see(mask)

    def _see(self, mask: "torch.Tensor") -> None:
        """Take a mask, and have room to append to it."""
        from torch.nn.functional import pad

        self._roomy_mask = pad(mask, (0, MASK_ROOM), value=1)
        self.mask = self._roomy_mask[:, : mask.shape[-1]]

    def _append_to_mask(self, tokens: int) -> None:
        """Have every row see so many further tokens."""
        width = self.mask.shape[-1]
        if width + tokens > self._roomy_mask.shape[-1]:
            self._see(self.mask)
        self.mask = self._roomy_mask[:, : width + tokens]

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
        found = output.logits[:, -keep:]
        logits: torch.Tensor = (found if self._index is None else found[self._index]).float()
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
            self._append_to_mask(1)
            self.places.tokens += 1
            if self._index is None:
                self._run(tokens[:, None], self.positions)
                self.positions = self.positions + 1
                return
            in_places = tokens.new_zeros(len(self.mask)).index_copy_(0, self._index, tokens)
            self._run(in_places[:, None], self.positions)
            self.positions = self.positions.index_add(
                0, self._index, self.positions.new_ones(len(tokens), 1)
            )

    def keep(self, rows: list[int], awaiting: bool = False) -> list[int]:
        """Continue with these of the rows only, and give them in the order they have from now on.

        awaiting: whether others join soon, for which a GPU leaves the places free.
        """
        import torch

        by_place = {self.places.taken[row]: row for row in rows}
        left = self.places.leave(rows)
        share = 1.0 if awaiting and self.ended_share else self.ended_share
        with torch.inference_mode():
            if self.places.count - len(rows) > share * self.places.count:
                former = self.places.close_gaps()
                self._move_rows(former)
                by_place = {
                    place: by_place[former.get(place, place)] for place in self.places.taken
                }
            elif left:
                # In the model a position after the last would be an error.
                index, width = self._on_device(left), self.mask.shape[-1]
                self.positions = self.positions.index_fill(0, index, 0)
                self._roomy_mask[:, :width].index_fill_(0, index, 0)
                self.mask = self._roomy_mask[:, :width]
            self._find_rows()
        return [by_place[place] for place in self.places.taken]

    def _find_rows(self) -> None:
        self._index = None if self.places.whole else self._on_device(self.places.taken)

    def _on_device(self, numbers: Sequence[int]) -> "torch.Tensor":
        import torch

        return torch.tensor(numbers, device=self.mask.device)

    def _move_rows(self, former: dict[int, int]) -> None:
        """Move rows within the batch, layer by layer, and give up the places after the last.

        former: the place that a row comes from, by its new one.
        """
        from wim.engines.local.cache import RoomyLayer

        rows = len(self.places.taken)
        order = self._on_device([former.get(place, place) for place in range(rows)])
        tokens = max(self.places.lengths) if self.joins else self.mask.shape[-1]
        self.positions = self.positions[order]
        self._see(self.mask[order, -tokens:])
        into, out_of = (self._on_device(list(each)) for each in (former, former.values()))
        for layer in self.cache.layers:
            if isinstance(layer, RoomyLayer):
                if former:
                    layer.replace(into, out_of)
                layer.fit(rows, tokens)
            else:
                layer.reorder_cache(order)

    def reserve(self, rows: int, tokens: int) -> None:
        """Have room for so many rows of so many tokens in every layer that keeps all tokens."""
        from wim.engines.local.cache import RoomyLayer

        for layer in self.cache.layers:
            if isinstance(layer, RoomyLayer):
                layer.reserve(max(rows, len(self.mask)), tokens)

    def join(self, others: Sequence["Decoder"]) -> list[int]:
        """Take in the rows of new batches, which are used up; only where all have `joins`.

        All rows end at the same position. The new ones take free places first; the others stay where
        they are. Layer by layer, so that little is in memory twice.

        Returns:
            The order of the rows from now on, of those here followed by the others'.
        """
        import torch

        former, present = self.places.taken, self.places.count
        lengths = [other.places.lengths for other in others]
        tokens = max(each.mask.shape[-1] for each in others)
        tokens = max(tokens, *self.places.lengths)
        new = self.places.take([length for some in lengths for length in some])
        untaken = iter(new)
        parts = [self._on_device(list(islice(untaken, len(some)))) for some in lengths]
        with torch.inference_mode():
            kept = min(tokens, self.mask.shape[-1])
            mask = self.mask.new_zeros(self.places.count, tokens)
            mask[:present, tokens - kept :] = self.mask[:, -kept:]
            positions = self.positions.new_zeros(self.places.count, 1)
            positions[:present] = self.positions
            for part, other in zip(parts, others, strict=True):
                width = other.mask.shape[-1]
                mask[part, : tokens - width] = 0
                mask[part, tokens - width :] = other.mask
                positions[part] = other.positions
            self._see(mask)
            self.positions = positions
            for layer in self.cache.layers:
                layer.fit(self.places.count, tokens)
                for part, other in zip(parts, others, strict=True):
                    layer.put(other.cache.layers.pop(0), part)
            logits = torch.cat([self.logits, *(other.logits for other in others)])
            joined = [*former, *new]
            order = sorted(range(len(joined)), key=joined.__getitem__)
            self.logits = logits[order]
            self._find_rows()
        return order

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
                self._append_to_mask(len(some))
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

    def keep(self, rows: list[int], awaiting: bool = False) -> list[int]:
        """Do nothing: there is one row."""
        return rows

    def reserve(self, rows: int, tokens: int) -> None:
        """Do nothing: there is no cache."""

    def lookahead(self, tokens: list[int]) -> "torch.Tensor":
        """See Decoder.lookahead; the logits after the row itself where there are no tokens."""
        import torch

        with torch.inference_mode():
            row = torch.tensor([[*self.tokens, *tokens]], device=self.device)
            kept = max(len(tokens), 1)
            output = forward(self.model, row, use_cache=False, logits_to_keep=kept)
            logits: torch.Tensor = output.logits[:, -kept:].float()
        return logits


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
