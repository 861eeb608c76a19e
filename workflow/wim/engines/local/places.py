"""Which place of a batch each row has, and where in the cache its text begins."""

from collections.abc import Sequence


class Places:
    """The places of a batch's rows, in the order of which the rows are counted.

    Attributes:
        taken: The place of each row, ascending.
        count: Places, with those that are free.
        tokens: Tokens that the batch has had; all rows end there.
    """

    def __init__(self, lengths: Sequence[int], tokens: int) -> None:
        """Take a batch without free places; lengths: tokens from each row's first to the end."""
        self.taken = list(range(len(lengths)))
        self.count = len(lengths)
        self.tokens = tokens
        # Tokens before a row's first.
        self._starts = {place: tokens - length for place, length in enumerate(lengths)}

    @property
    def whole(self) -> bool:
        """Whether no place is free."""
        return len(self.taken) == self.count

    @property
    def lengths(self) -> list[int]:
        """Tokens from each row's first to the end."""
        return [self.tokens - self._starts[place] for place in self.taken]

    def leave(self, staying: Sequence[int]) -> list[int]:
        """Free the places of all rows but these, by their numbers, and tell which were freed."""
        kept = sorted(self.taken[row] for row in staying)
        left = sorted(set(self.taken) - set(kept))
        self.taken = kept
        self._starts = {place: self._starts[place] for place in kept}
        return left

    def close_gaps(self) -> dict[int, int]:
        """Have the last rows take the free places, and tell the former place of each that moved."""
        count = len(self.taken)
        free = sorted(set(range(count)) - set(self.taken))
        moved = dict(zip(self.taken[count - len(free) :], free, strict=True))
        self._starts = {moved.get(place, place): start for place, start in self._starts.items()}
        self.taken, self.count = list(range(count)), count
        return {new: old for old, new in moved.items()}

    def take(self, lengths: Sequence[int]) -> list[int]:
        """Give rows of these lengths a place each: those that are free first, then further ones."""
        free = sorted(set(range(self.count)) - set(self.taken))
        further = range(self.count, self.count + len(lengths))
        new = [*free, *further][: len(lengths)]
        self._starts |= {
            place: self.tokens - length for place, length in zip(new, lengths, strict=True)
        }
        self.taken = sorted([*self.taken, *new])
        self.count = max(self.count, new[-1] + 1)
        return new
