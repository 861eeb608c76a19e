"""Batches of pairs of like length. Importing this module loads torch and accelerate."""

from collections.abc import Callable, Iterator, Sequence

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import Sampler

PAD_TO = 16
"""Batches are padded to a multiple of so many tokens, which matrix products are made for."""


class ByLength(Sampler[int]):
    """Trainer's own shuffled order, in which each step's pairs are then sorted by length.

    A step's pairs are the same as without sorting, and so is its gradient, but for rounding: they
    fall to its micro-batches and devices in another order. The last step of an epoch keeps its
    order where it has fewer pairs, as its micro-batches may differ in size.

    lengths: tokens of each pair's longer sequence. step: pairs of a step over all devices. epoch:
    the one that begins, from 0.
    """

    def __init__(self, lengths: Sequence[int], step: int, epoch: Callable[[], int]) -> None:
        self.lengths = lengths
        self.step = step
        self.epoch = epoch
        self.drawn = SeedableRandomSampler(lengths)

    def __iter__(self) -> Iterator[int]:
        self.drawn.set_epoch(self.epoch())
        order = list(self.drawn)
        for start in range(0, len(order), self.step):
            pairs = order[start : start + self.step]
            if len(pairs) == self.step:
                pairs.sort(key=lambda pair: (self.lengths[pair], pair))
            yield from pairs

    def __len__(self) -> int:
        return len(self.lengths)


def padding(lengths: Sequence[tuple[int, int]], order: Sequence[int], micro_batch: int) -> float:
    """The share of positions that are padding, in micro-batches of pairs in that order.

    lengths: tokens of each pair's two sequences.
    """
    tokens = positions = 0
    for start in range(0, len(order), micro_batch):
        pairs = [lengths[place] for place in order[start : start + micro_batch]]
        longest = max(map(max, pairs))
        tokens += sum(map(sum, pairs))
        positions += 2 * len(pairs) * -(-longest // PAD_TO) * PAD_TO
    return 1 - tokens / positions
