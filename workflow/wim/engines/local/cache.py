"""A key-value cache that grows in place.

The cache of transformers copies all keys and values at every token; this one reserves room for
the next ones. Importing this module loads transformers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from transformers.cache_utils import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionCacheLayerMixin,
)

ROOM = 64


def room_for(tokens: int) -> int:
    """Tokens that a buffer of so many has room for.

    It depends on nothing else, so that a pass over the same text has tensors of the same layout,
    however the cache came about.
    """
    return -(-tokens // ROOM) * ROOM


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A layer whose keys and values (rows, heads, tokens, width) are views into larger buffers."""

    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values; the same contract as DynamicLayer's."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
            self.buffers: list[torch.Tensor] = []
        self.keys = self._appended(0, self.keys, key_states)
        self.values = self._appended(1, self.values, value_states)
        return self.keys, self.values

    def _appended(self, which: int, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        start, end = old.shape[-2], old.shape[-2] + new.shape[-2]
        buffer = self.buffers[which] if which < len(self.buffers) else None
        # Selecting or repeating rows makes new tensors, which are not in a buffer.
        fits = (
            buffer is not None
            and buffer.data_ptr() == old.data_ptr()
            and buffer.shape[0] == old.shape[0]
            and buffer.shape[-2] >= end
        )
        if buffer is None or not fits:
            rows, heads, _, width = new.shape
            buffer = new.new_empty(rows, heads, room_for(end), width)
            buffer[..., :start, :] = old
            self.buffers[which : which + 1] = [buffer]
        buffer[..., start:end, :] = new
        return buffer[..., :end, :]

    def join(self, others: Sequence["RoomyLayer"], skipped: int) -> None:
        """Append other layers' rows; the shorter ones are padded on the left with zeros.

        skipped: tokens at the beginning of these rows that are padding in all of them.
        """
        keys = [self.keys[..., skipped:, :], *(other.keys for other in others)]
        values = [self.values[..., skipped:, :], *(other.values for other in others)]
        self.buffers = [_stacked(keys), _stacked(values)]
        self.keys, self.values = (buffer[..., :-ROOM, :] for buffer in self.buffers)


def _stacked(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The rows of tensors (rows, heads, tokens, width), aligned at the end, with ROOM after it."""
    longest = max(each.shape[-2] for each in tensors)
    _, heads, _, width = tensors[0].shape
    found = tensors[0].new_zeros(sum(map(len, tensors)), heads, longest + ROOM, width)
    row = 0
    for each in tensors:
        found[row : row + len(each), :, longest - each.shape[-2] : longest] = each
        row += len(each)
    return found


def growing_cache(model: Any) -> DynamicCache:
    """An empty cache for a model; other layers (windows, states) remain those of transformers."""
    cache = DynamicCache(config=model.config)
    cache.layers = [
        RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def attends_to_all(cache: DynamicCache) -> bool:
    """Whether every layer keeps all tokens and attends to them, in a cache made here."""
    return all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def attends(cache: DynamicCache) -> bool:
    """Whether any layer keeps tokens to attend to, besides states."""
    return any(isinstance(layer, DynamicLayer) for layer in cache.layers)


def knows_padding(cache: DynamicCache) -> bool:
    """Whether every layer is of a kind that transformers' own masks hide padding from.

    A layer that a model brings itself may group tokens by their places, where padding shifts them.
    """
    kinds = {type(layer) for layer in cache.layers} - {RoomyLayer}
    return all(kind.__module__ == DynamicCache.__module__ for kind in kinds)


def has_states(cache: DynamicCache) -> bool:
    """Whether a layer keeps more than keys and values, so that tokens cannot be taken back."""
    kinds = (RoomyLayer, DynamicSlidingWindowLayer)
    return not all(type(layer) in kinds for layer in cache.layers)


def is_used(cache: DynamicCache) -> bool:
    """Whether all states of a cache that a model has run with are in it, and none in the model."""
    states = [each for each in cache.layers if isinstance(each, LinearAttentionCacheLayerMixin)]
    return all(any(each.has_previous_state.values()) for each in states)


@contextmanager
def unchanged(cache: DynamicCache, tokens: int) -> Iterator[None]:
    """Take back what is appended in the context.

    Keys and values are cropped; states cannot be, so that a cache with such is copied.

    Args:
        cache: The cache, to which `tokens` tokens are appended in the context.
        tokens: Their number.
    """
    layers = cache.layers
    if has_states(cache):
        cache.layers = deepcopy(layers)
        yield
        cache.layers = layers
        return
    windows = [layer for layer in layers if isinstance(layer, DynamicSlidingWindowLayer)]
    for layer in windows:
        # Windows keep what falls out of them until they are cropped.
        layer.activate_past_recording()
    yield
    cache.crop(-tokens)
    for layer in windows:
        layer.record_past = False
