"""Texts that were read, kept in blocks, so that a beginning that texts share is read once.

A judge's prompts begin alike, the candidates of a prompt are sampled behind the same text, and a
judge that is asked for a critique and then for a number is shown the first conversation again.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wim.engines.local.decoder import Decoder
from wim.engines.local.forward import cache_argument, forward
from wim.engines.local.head import float32_logits

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

# Tokens of a block, and bytes of all blocks that are kept.
BLOCK = 64
MOST_BYTES = 2**30


class ReadDecoder(Decoder):
    """A row that has been read: its tokens are in the cache, and the logits are known."""

    def __init__(
        self, model: Any, cache: "DynamicCache", logits: "torch.Tensor", tokens: int
    ) -> None:
        import torch

        self.model, self.cache, self.logits = model, cache, logits
        self.joins = self.attends = True
        mask = torch.ones(1, tokens, dtype=torch.long, device=logits.device)
        self._begin(mask, torch.tensor([[tokens]], device=logits.device), [tokens])


@dataclass
class _Block:
    """What is kept of a block's pass.

    layers: keys and values (1, heads, tokens, width) of each layer. logits: (1, vocabulary), of the
    token behind it, if a text has ended there; in float32, so that a text has the same ones whether it
    is continued or only read. used: the round of its last use.
    """

    layers: list[tuple["torch.Tensor", "torch.Tensor"]]
    logits: "torch.Tensor | None"
    used: int

    @property
    def size(self) -> int:
        """Bytes."""
        read = sum(keys.nbytes + values.nbytes for keys, values in self.layers)
        return read + (0 if self.logits is None else self.logits.nbytes)


class ReadBlocks:
    """Reads texts block by block, and keeps the blocks.

    Each block has a pass of its own behind those before it, also where nothing is kept: its numbers
    are decided by the text up to its end, and whether they were kept changes no bit. The last block
    of a text may be shorter.

    Where memory is short, a block gives way only if neither this round nor the one before used it;
    otherwise the new one is not kept. So several rounds over the same texts, which are more than
    fit, find those that came first again, where the least recently used would find none.
    """

    def __init__(self, model: Any, device: str, most_bytes: int = MOST_BYTES) -> None:
        """Take a model whose layers all attend to all tokens."""
        self._model, self._device = model, device
        self._room = most_bytes
        self._round = 0
        self._blocks: dict[tuple[int, ...], _Block] = {}
        self.passes = 0

    def begin_round(self) -> None:
        """Say that other texts follow, or the same ones again."""
        self._round += 1

    def read(self, tokens: Sequence[int]) -> Decoder:
        """A row of one text."""
        from wim.engines.local.cache import growing_cache

        cache = growing_cache(self._model)
        ends = [*range(BLOCK, len(tokens), BLOCK), len(tokens)]
        known = list(self._known(tuple(tokens[:end]) for end in ends))
        if len(known) == len(ends) and known[-1].logits is None:
            # Only longer texts were read there.
            self._forget(tuple(tokens))
            known.pop()
        if known:
            _restore(cache, known)
        logits = known[-1].logits if len(known) == len(ends) else None
        for end in ends[len(known) :]:
            logits = self._read_block(cache, tokens[:end], ends=end == len(tokens))
        assert logits is not None
        return ReadDecoder(self._model, cache, logits, len(tokens))

    def _known(self, beginnings: Iterator[tuple[int, ...]]) -> Iterator[_Block]:
        """The first blocks of a text that are kept."""
        for beginning in beginnings:
            block = self._blocks.pop(beginning, None)
            if block is None:
                return
            # What was used last is last.
            self._blocks[beginning] = block
            block.used = self._round
            yield block

    def _forget(self, text: tuple[int, ...]) -> None:
        self._room += self._blocks.pop(text).size

    def _read_block(
        self, cache: "DynamicCache", text: Sequence[int], ends: bool
    ) -> "torch.Tensor | None":
        """Append to the cache what it lacks of a text, and give the logits behind it if it `ends`."""
        import torch

        start = cache.get_seq_length()
        places = torch.arange(start, len(text), device=self._device)[None]
        tokens = torch.tensor([text[start:]], device=self._device)
        argument = {str(cache_argument(self._model)): cache}
        with torch.inference_mode(), float32_logits(self._model) if ends else nullcontext():
            output = forward(
                self._model,
                tokens,
                use_cache=True,
                position_ids=places,
                logits_to_keep=1,
                **argument,
            )
            logits = output.logits[:, -1].float() if ends else None
        self.passes += 1
        read = [(each.keys[..., start:, :], each.values[..., start:, :]) for each in cache.layers]
        block = _Block(read, logits, self._round)
        if self._make_room(block.size):
            # A part of a tensor keeps the whole in memory.
            block.layers = [(keys.clone(), values.clone()) for keys, values in read]
            self._blocks[tuple(text)] = block
        return logits

    def _make_room(self, size: int) -> bool:
        """Whether so many bytes may be kept."""
        while self._room < size:
            oldest = next(iter(self._blocks), None)
            if oldest is None or self._blocks[oldest].used >= self._round - 1:
                return False
            self._forget(oldest)
        self._room -= size
        return True


def _restore(cache: "DynamicCache", blocks: Sequence[_Block]) -> None:
    """Fill an empty cache with blocks."""
    import torch

    layers = zip(*(block.layers for block in blocks), strict=True)
    for layer, parts in zip(cache.layers, layers, strict=True):
        keys, values = (torch.cat(each, dim=-2) for each in zip(*parts, strict=True))
        layer.update(keys, values)
