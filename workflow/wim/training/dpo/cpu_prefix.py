"""A pair in one sequence: the prompt once, then one completion after the other.

Importing this module loads torch. Each completion attends to the prompt and to itself, and its
positions count from the prompt's end. So its hidden states are those of a sequence of its own, and
the prompt is computed once for both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from wim.training.dpo.batches import PAD_TO

# Decoders that use the given attention mask and positions, and attend to all that the mask shows.
_FAMILIES = frozenset({"gemma", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"})


def shares_prefixes(config: Any) -> bool:
    """Whether a decoder of this configuration computes the same for a pair in one sequence."""
    windowed = getattr(config, "sliding_window", None) and getattr(
        config, "use_sliding_window", True
    )
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    return (
        config.model_type in _FAMILIES
        and config._attn_implementation == "sdpa"
        and not windowed
        and set(layers) == {"full_attention"}
    )


@dataclass(frozen=True)
class _Packed:
    """Where the tokens of a pair are in one sequence: the first one, then the rest of the second.

    Attributes:
        shared: Number of tokens that both begin with.
        first: Number of tokens of the first sequence.
        second: Number of tokens of the second sequence.
    """

    shared: int
    first: int
    second: int

    @classmethod
    def of(cls, first: Tensor, second: Tensor) -> "_Packed":
        """The places of two sequences, given by their tokens."""
        both = min(len(first), len(second))
        shared = int((first[:both] == second[:both]).cumprod(0).sum())
        return cls(shared, len(first), len(second))

    def __len__(self) -> int:
        return self.first + self.second - self.shared

    def joined(self, first: Tensor, second: Tensor) -> Tensor:
        """The values of both sequences in one sequence."""
        return torch.cat([first, second[self.shared :]])

    def parted(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The states of each sequence, from those of the joined one."""
        rest = joined[self.first : len(self)]
        return joined[: self.first], torch.cat([joined[: self.shared], rest])

    def hide(self, seen: Tensor) -> None:
        """Hide the first sequence's own tokens from the second's own, in the joined mask."""
        seen[self.first :, self.shared : self.first] = False


def hidden_states(
    decoder: Callable[..., Any], input_ids: Tensor, attention_mask: Tensor, **named: Any
) -> Tensor:
    """Last hidden states of sequences, computed in one sequence for each pair.

    If that saves no positions, the decoder gets the sequences as they are.

    Args:
        decoder: The model below its head.
        input_ids: (2 pairs, length), padded on the right; rows i and i + pairs are a pair.
        attention_mask: The same shape, 1 on tokens.
        named: Further arguments of the decoder.

    Returns:
        (2 pairs, length, width), 0 after a sequence's end.
    """
    pairs, length = len(input_ids) // 2, input_ids.shape[1]
    rows = [ids[: int(count)] for ids, count in zip(input_ids, attention_mask.sum(1), strict=True)]
    couples = list(zip(rows[:pairs], rows[pairs:], strict=True))
    # In sorted order, whichever of the two is chosen, as the order decides how attention rounds.
    reversed_pairs = [first.tolist() > second.tolist() for first, second in couples]
    couples = [
        couple[:: -1 if turned else 1]
        for couple, turned in zip(couples, reversed_pairs, strict=True)
    ]
    packed = [_Packed.of(*couple) for couple in couples]
    longest = -(-max(map(len, packed)) // PAD_TO) * PAD_TO
    if longest >= 2 * length:
        states: Tensor = decoder(
            input_ids=input_ids, attention_mask=attention_mask, **named
        ).last_hidden_state
        return states
    seen = torch.ones(longest, longest, dtype=torch.bool, device=input_ids.device).tril()
    seen = seen.repeat(pairs, 1, 1, 1)
    places = torch.arange(length, device=input_ids.device)
    ids, positions = [], []
    for pair, (first, second), mask in zip(packed, couples, seen, strict=True):
        ids.append(pair.joined(first, second))
        positions.append(pair.joined(places[: len(first)], places[: len(second)]))
        pair.hide(mask[0])
    joined = decoder(
        input_ids=_padded(ids, longest),
        position_ids=_padded(positions, longest),
        attention_mask=seen,
        **named,
    ).last_hidden_state
    parts = [
        pair.parted(states)[:: -1 if turned else 1]
        for pair, turned, states in zip(packed, reversed_pairs, joined, strict=True)
    ]
    return _padded([part[side] for side in (0, 1) for part in parts], length)


def _padded(rows: list[Tensor], length: int) -> Tensor:
    """Rows of different lengths, padded with 0 to one length."""
    found = pad_sequence(rows, batch_first=True)
    after = (0,) * (2 * (found.dim() - 2)) + (0, length - found.shape[1])
    return pad(found, after)
