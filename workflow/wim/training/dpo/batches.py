"""Batches of pairs of similar length. Importing this module loads torch and accelerate."""

from collections.abc import Callable, Iterator, Sequence

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import Sampler

PAD_TO = 16
"""Batches are padded to a multiple of this number of tokens, for which matrix products are fast."""


class ByLength(Sampler[int]):
    """The Trainer's shuffled order, with each step's pairs sorted by length.

    A step has the same pairs as without sorting, and the same gradient but for rounding: they are
    divided among micro-batches and devices in another order. An incomplete last step of an epoch
    keeps its order, as its micro-batches may differ in size.

    Args:
        lengths: Tokens of each pair's longer sequence.
        step: Pairs of a step over all devices.
        epoch: Returns the number of the epoch that begins, from 0.
    """

    def __init__(self, lengths: Sequence[int], step: int, epoch: Callable[[], int]) -> None:
        self.lengths = lengths
        self.step = step
        self.epoch = epoch
        self.shuffled = SeedableRandomSampler(lengths)

    def __iter__(self) -> Iterator[int]:
        self.shuffled.set_epoch(self.epoch())
        order = list(self.shuffled)
        for start in range(0, len(order), self.step):
            pairs = order[start : start + self.step]
            if len(pairs) == self.step:
                pairs.sort(key=lambda pair: (self.lengths[pair], pair))
            yield from pairs

    def __len__(self) -> int:
        return len(self.lengths)


def padding(lengths: Sequence[tuple[int, int]], order: Sequence[int], micro_batch: int) -> float:
    """The share of positions that are padding.

    Args:
        lengths: Tokens of each pair's two sequences.
        order: The pairs, by their places in `lengths`.
        micro_batch: Pairs of a forward pass.
    """
    tokens = positions = 0
    for start in range(0, len(order), micro_batch):
        pairs = [lengths[place] for place in order[start : start + micro_batch]]
        longest = max(map(max, pairs))
        tokens += sum(map(sum, pairs))
        positions += 2 * len(pairs) * -(-longest // PAD_TO) * PAD_TO
    return 1 - tokens / positions
