"""A key-value cache that grows in place.

The cache of transformers copies all keys and values at every token; this one reserves room for
the next ones. Importing this module loads transformers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 64


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
            buffer = new.new_empty(rows, heads, end + ROOM, width)
            buffer[..., :start, :] = old
            self.buffers[which : which + 1] = [buffer]
        buffer[..., start:end, :] = new
        return buffer[..., :end, :]

    def join(self, other: "RoomyLayer", skipped: int) -> None:
        """Append another layer's rows; the shorter ones are padded on the left with zeros.

        skipped: tokens at the beginning of these rows that are padding in all of them.
        """
        self.buffers = [
            _stacked(own[..., skipped:, :], new)
            for own, new in ((self.keys, other.keys), (self.values, other.values))
        ]
        self.keys, self.values = (buffer[..., :-ROOM, :] for buffer in self.buffers)


def _stacked(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The rows of two tensors (rows, heads, tokens, width), aligned at the end, with room after."""
    longest = max(first.shape[-2], second.shape[-2])
    rows, heads, _, width = first.shape
    found = first.new_zeros(rows + len(second), heads, longest + ROOM, width)
    found[:rows, :, longest - first.shape[-2] : longest] = first
    found[rows:, :, longest - second.shape[-2] : longest] = second
    return found


def growing_cache(model: Any) -> DynamicCache:
    """An empty cache for a model; other layers (sliding windows) remain those of transformers."""
    cache = DynamicCache(config=model.config)
    cache.layers = [
        RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def attends_to_all(cache: DynamicCache) -> bool:
    """Whether every layer keeps all tokens and attends to them, in a cache made here."""
    return all(isinstance(layer, RoomyLayer) for layer in cache.layers)


@contextmanager
def whole_windows(cache: DynamicCache) -> Iterator[None]:
    """Have windows keep what falls out of them, until `crop` takes off the tokens behind it."""
    windows = [layer for layer in cache.layers if hasattr(layer, "activate_past_recording")]
    for layer in windows:
        layer.activate_past_recording()
    try:
        yield
    finally:
        for layer in windows:
            layer.record_past = False
