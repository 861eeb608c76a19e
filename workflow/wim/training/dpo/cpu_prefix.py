"""A pair in one sequence: the prompt once, then one completion after the other.

Importing this module loads torch. A completion sees its prompt and itself and takes its positions
from there, so that its hidden states are those of its own sequence, and the prompt is computed
once for both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from wim.training.dpo.batches import PAD_TO

# Decoders that take any attention mask and positions as given, and attend to all that they show.
_FAMILIES = frozenset({"gemma", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"})


def shares_prefixes(config: Any) -> bool:
    """Whether a decoder of this configuration gives the same for a pair in one sequence."""
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
    """Where the tokens of a pair stand in one sequence.

    shared: tokens that both begin with. first, second: tokens of each sequence. The rest of the
    second one begins behind the whole first one.
    """

    shared: int
    first: int
    second: int

    @classmethod
    def of(cls, first: Tensor, second: Tensor) -> "_Packed":
        """Of the tokens of two sequences."""
        both = min(len(first), len(second))
        shared = int((first[:both] == second[:both]).cumprod(0).sum())
        return cls(shared, len(first), len(second))

    def __len__(self) -> int:
        return self.first + self.second - self.shared

    def joined(self, first: Tensor, second: Tensor) -> Tensor:
        """Values of both sequences in one."""
        return torch.cat([first, second[self.shared :]])

    def parted(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The states of each sequence, of those of one."""
        rest = joined[self.first : len(self)]
        return joined[: self.first], torch.cat([joined[: self.shared], rest])

    def hide(self, seen: Tensor) -> None:
        """Take the first sequence's own tokens out of what the second's own see."""
        seen[self.first :, self.shared : self.first] = False


def hidden_states(
    decoder: Callable[..., Any], input_ids: Tensor, attention_mask: Tensor, **named: Any
) -> Tensor:
    """Last hidden states (2 pairs, length, width) of sequences, in one sequence for each pair.

    input_ids, attention_mask: (2 pairs, length), padded on the right, of which a pair's are those
    of i and i + pairs. Behind a sequence's end the states are 0. Where nothing is saved, the decoder
    takes the sequences as they are.
    """
    pairs, length = len(input_ids) // 2, input_ids.shape[1]
    rows = [ids[: int(count)] for ids, count in zip(input_ids, attention_mask.sum(1), strict=True)]
    couples = list(zip(rows[:pairs], rows[pairs:], strict=True))
    # In one order, whichever of the two is chosen: it decides how attention rounds.
    turned_round = [first.tolist() > second.tolist() for first, second in couples]
    couples = [
        couple[:: -1 if turned else 1] for couple, turned in zip(couples, turned_round, strict=True)
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
        for pair, turned, states in zip(packed, turned_round, joined, strict=True)
    ]
    return _padded([part[side] for side in (0, 1) for part in parts], length)


def _padded(rows: list[Tensor], length: int) -> Tensor:
    """Rows of different lengths, filled up with 0 to one length."""
    found = pad_sequence(rows, batch_first=True)
    behind = (0,) * (2 * (found.dim() - 2)) + (0, length - found.shape[1])
    return pad(found, behind)
