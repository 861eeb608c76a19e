"""A key-value cache that grows in place.

The cache of transformers copies all keys and values at every token; this one reserves room for
the next ones. Importing this module loads transformers.
"""

from collections.abc import Iterator
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
    """A layer whose keys and values (rows, heads, tokens, width) are views into larger buffers.

    The buffers have `reserved` tokens of room, if that is more than a text needs. So rows that leave
    or join, and tokens at the beginning that no row has any more, move no other row.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.reserved = 0
        self._buffers: list[torch.Tensor] = []
        # Where the view begins in the buffers.
        self._begin = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values; the same contract as DynamicLayer's."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
        rows, start = len(key_states), self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if not self._holds(rows, end):
            self._move(rows, start, end)
        self._show(rows, end)
        self.keys[..., start:, :] = key_states
        self.values[..., start:, :] = value_states
        return self.keys, self.values

    def crop(self, tokens_to_remove: int) -> None:
        """Take back so many tokens, as a negative number; the same contract as DynamicLayer's."""
        if self.is_initialized:
            self._show(len(self.keys), self.keys.shape[-2] + tokens_to_remove)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Have the only row so many times; it is copied when something is appended."""
        if self.is_initialized:
            self._buffers = []
            self.keys = self.keys.expand(repeats, -1, -1, -1)
            self.values = self.values.expand(repeats, -1, -1, -1)

    def reserve(self, rows: int, tokens: int) -> None:
        """Have room for so many rows of so many tokens."""
        self.reserved = tokens
        if self.is_initialized:
            held, length = len(self.keys), self.keys.shape[-2]
            self._move(rows, length, length)
            self._show(held, length)

    def fit(self, rows: int, tokens: int) -> None:
        """Have so many rows of so many tokens, aligned at the end.

        Places that are added at the beginning hold any finite numbers. Rows that are added hold
        nothing until they are `put`.
        """
        if not self.is_initialized:
            return
        before = self.keys.shape[-2] - tokens
        if rows > len(self._buffers[0]) or self._begin + before < 0:
            self._move(max(rows, len(self._buffers[0])), tokens, tokens)
        else:
            self._begin += before
        self._show(rows, tokens)

    def put(self, other: "RoomyLayer", rows: torch.Tensor) -> None:
        """Replace these rows by another layer's, which are padded on the left with zeros."""
        if not self.is_initialized:
            return
        missing = self.keys.shape[-2] - other.keys.shape[-2]
        for own, new in ((self.keys, other.keys), (self.values, other.values)):
            own[:, :, :missing].index_fill_(0, rows, 0)
            own[:, :, missing:].index_copy_(0, rows, new)

    def replace(self, rows: torch.Tensor, others: torch.Tensor) -> None:
        """Replace these rows by others of the same layer; only these are copied."""
        if self.is_initialized:
            for own in (self.keys, self.values):
                own.index_copy_(0, rows, own.index_select(0, others))

    def _holds(self, rows: int, tokens: int) -> bool:
        """Whether the buffers have the rows of the view, and room for so many tokens."""
        if not self._buffers or rows != len(self.keys):
            return False
        return all(self._begin + tokens <= buffer.shape[-2] for buffer in self._buffers)

    def _move(self, rows: int, start: int, tokens: int) -> None:
        """Take larger buffers, in which the present tokens end at `start`; one after the other."""
        room = self.reserved
        if tokens > room:
            # A batch that needs more than was reserved for it does so again.
            room = room_for(tokens + tokens // 4 if room else tokens)
        for place, name in enumerate(("keys", "values")):
            old = getattr(self, name)
            held, heads, length, width = old.shape
            kept = min(length, start)
            buffer = old.new_empty(rows, heads, room, width)
            # What nobody sees has a weight of zero, and must be finite.
            buffer[:held, :, : start - kept] = 0
            buffer[:held, :, start - kept : start] = old[:, :, length - kept :]
            self._buffers[place : place + 1] = [buffer]
            # So that the former buffer is free before the next is made.
            setattr(self, name, buffer)
            del old
        self._begin = 0

    def _show(self, rows: int, tokens: int) -> None:
        self.keys, self.values = (
            buffer[:rows, :, self._begin : self._begin + tokens] for buffer in self._buffers
        )


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
