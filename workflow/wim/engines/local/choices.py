"""How likely an answer begins with one of a few fixed texts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ChoiceTree:
    """The choices as token sequences, and the branches whose next tokens must be looked up.

    A branch is a sequence of tokens that some choice continues; the root is the empty one.
    """

    choices: tuple[tuple[int, ...], ...]

    @property
    def depth(self) -> int:
        """Tokens of the longest choice."""
        return max(len(choice) for choice in self.choices)

    @property
    def branches(self) -> list[tuple[int, ...]]:
        """The longest branches: running each gives the logits after all shorter ones."""
        inner = {choice[:-1] for choice in self.choices if len(choice) > 1}
        return sorted(
            branch
            for branch in inner
            if not any(other != branch and other[: len(branch)] == branch for other in inner)
        )

    def logprobs(
        self, root: "torch.Tensor", lookahead: "Callable[[list[int]], torch.Tensor]"
    ) -> "torch.Tensor":
        """Log-probabilities (rows, choices).

        Where a choice is the beginning of another ("1" of "10"), the other's probability is
        subtracted, so that the choices exclude each other.

        Args:
            root: Logits (rows, vocabulary) of the next token.
            lookahead: Gives the logits (rows, tokens, vocabulary) after each of some tokens.
        """
        import torch

        after: dict[tuple[int, ...], torch.Tensor] = {(): root.log_softmax(-1)}
        for branch in self.branches:
            ahead = lookahead(list(branch)).log_softmax(-1)
            for length in range(1, len(branch) + 1):
                after[branch[:length]] = ahead[:, length - 1]
        begins = torch.stack([self._begins(choice, after) for choice in self.choices], dim=-1)
        next_longer = [
            [self._continues(one, other) for other in self.choices] for one in self.choices
        ]
        taken = torch.tensor(next_longer, dtype=torch.float64, device=root.device)
        probability = begins.double().exp()
        return torch.where(
            taken.any(-1), (probability - probability @ taken.T).clamp(min=0).log(), begins.double()
        )

    def _continues(self, choice: tuple[int, ...], other: tuple[int, ...]) -> bool:
        """Whether the other continues the choice, and no choice in between."""
        between = [
            one
            for one in self.choices
            if len(choice) < len(one) < len(other) and one[: len(choice)] == choice
        ]
        return (
            len(choice) < len(other)
            and other[: len(choice)] == choice
            and not any(other[: len(one)] == one for one in between)
        )

    @staticmethod
    def _begins(
        choice: tuple[int, ...], after: "dict[tuple[int, ...], torch.Tensor]"
    ) -> "torch.Tensor":
        return sum(
            (after[choice[:place]][:, token] for place, token in enumerate(choice)),
            start=after[()].new_zeros(len(after[()])),
        )


def choice_tree(choices: list[list[int]]) -> ChoiceTree:
    """The tree of some choices, each a non-empty sequence of tokens."""
    if not all(choices):
        raise ValueError("a choice has no tokens")
    return ChoiceTree(tuple(tuple(choice) for choice in choices))
