"""Contrastive search: likely tokens that do not repeat the context.

Su et al. 2022, arXiv 2202.06417.

Of the k most likely tokens v it takes the one with the largest
    (1 - alpha) * p(v | context) - alpha * max over the context's tokens x of cos(h(v), h(x)),
where h are the states of the last layer, which the head reads. Nothing is sampled, so that
neither seed nor temperature matters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wim.engines.local.decoder import Batching, Decoder
from wim.engines.local.trial import FAILURES, ROUGH, distance
from wim.errors import UserError
from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import torch


class ContrastiveDecoder(Decoder):
    """A batch that grows by contrastive search.

    `states` (rows, tokens, width) are the context's states of length 1. The candidates of a row are
    run side by side in one pass, in which none attends to another; the chosen one's part of the
    cache and its logits are kept, so that a token takes one pass.
    """

    def __init__(
        self,
        model: Any,
        rows: list[list[int]],
        device: str,
        batching: Batching = Batching.SHARED,
    ) -> None:
        import torch

        self._passed: list[torch.Tensor] = []
        super().__init__(model, rows, device, batching)
        # A token of a row takes passes of several, and those of all rows are chosen together.
        self.ended_share = 0.0
        # The states of the rows' contexts are of one length.
        self.joins = False
        parts = [part.expand(len(rows), -1, -1) for part in self._passed]
        self.states = torch.cat(parts, dim=1)

    def _forward(self, tokens: "torch.Tensor", **given: Any) -> Any:
        from torch.nn.functional import normalize

        with _last_states(self.model) as found:
            output = super()._forward(tokens, **given)
        self._passed.append(normalize(found[-1].float(), dim=-1).to(found[-1].dtype))
        return output

    def next_tokens(
        self, seeds: "torch.Tensor", steps: "torch.Tensor", sampling: Sampling
    ) -> "torch.Tensor":
        """See Decoder.next_tokens; the tokens are also appended."""
        import torch

        probabilities, tokens = self.logits.softmax(-1).topk(
            min(sampling.top_k, self.logits.shape[-1]), dim=-1
        )
        with torch.inference_mode():
            logits = self._side_by_side(tokens)
            states = self._passed[-1]
            similarity = (states @ self.states.transpose(1, 2)).float()
            similarity = similarity.masked_fill(self.mask[:, None] == 0, float("-inf"))
            alpha = sampling.penalty_alpha
            score = (1 - alpha) * probabilities - alpha * similarity.amax(-1)
            best = score.argmax(-1)
            self._commit(best, tokens.shape[-1])
            rows = torch.arange(len(best), device=best.device)
            self.logits = logits[rows, best]
            self.states = torch.cat([self.states, states[rows, best][:, None]], dim=1)
            self._append_to_mask(1)
            self.places.tokens += 1
            self.positions = self.positions + 1
            chosen: torch.Tensor = tokens[rows, best]
        return chosen

    def _side_by_side(self, tokens: "torch.Tensor") -> "torch.Tensor":
        """Logits (rows, k, vocabulary) after each of k tokens (rows, k), each alone."""
        import torch

        rows, count = tokens.shape
        seen = self.mask[:, None, None].bool().expand(rows, 1, count, -1)
        own = torch.eye(count, dtype=torch.bool, device=tokens.device)
        allowed = torch.cat([seen, own.expand(rows, 1, count, count)], dim=-1)
        mask = torch.zeros(allowed.shape, dtype=self.model.dtype, device=tokens.device)
        mask = mask.masked_fill(~allowed, torch.finfo(mask.dtype).min)
        output = self._forward(
            tokens,
            attention_mask=mask,
            position_ids=self.positions.expand(rows, count),
            logits_to_keep=count,
        )
        logits: torch.Tensor = output.logits.float()
        return logits

    def _commit(self, best: "torch.Tensor", count: int) -> None:
        """Keep of the last `count` keys and values those of each row's chosen candidate."""
        for layer in self.cache.layers:
            index = best[:, None, None, None]
            kept = [
                part[..., -count:, :].gather(-2, index.expand(-1, part.shape[1], 1, part.shape[-1]))
                for part in (layer.keys, layer.values)
            ]
            layer.crop(-count)
            layer.update(*kept)

    def advance(self, tokens: "torch.Tensor") -> None:
        """Do nothing: next_tokens has appended them."""

    def keep(self, rows: list[int], awaiting: bool = False) -> list[int]:
        """See Decoder.keep."""
        order = super().keep(rows, awaiting)
        self.states, self.logits = self.states[order], self.logits[order]
        return order


def check_contrastive(model: Any, tokens: list[int], device: str, batching: Batching) -> None:
    """Raise UserError for a model whose candidates cannot be run side by side.

    Args:
        model: The model.
        tokens: Some tokens of a text, of which the last two are tried as candidates.
        device: Where the model is.
        batching: How its rows are run.
    """
    if batching is not Batching.SHARED or "flash" in model.config._attn_implementation:
        raise UserError(
            "sampling.penalty_alpha: contrastive search needs attention to all tokens, as sdpa and "
            "eager have it; this model has sliding windows, recurrent layers or flash attention. "
            "Leave penalty_alpha out, or write models.<name>.attention: sdpa."
        )
    if not _runs_side_by_side(model, tokens, device):
        raise UserError(
            f"sampling.penalty_alpha: {type(model).__name__} does not run candidates side by side, "
            "which contrastive search needs. Leave penalty_alpha out."
        )


def _runs_side_by_side(model: Any, tokens: list[int], device: str) -> bool:
    import torch

    row, candidates = tokens[:-2], tokens[-2:]
    try:
        with torch.inference_mode():
            decoder = ContrastiveDecoder(model, [row], device)
            together = decoder._side_by_side(torch.tensor([candidates], device=device))[0]
            alone = torch.cat(
                [Decoder(model, [[*row, each]], device).logits for each in candidates]
            )
    except torch.OutOfMemoryError:
        raise
    except FAILURES:
        return False
    return decoder.states.shape[1] == len(row) and distance(together, alone) < ROUGH


@contextmanager
def _last_states(model: Any) -> "Iterator[list[torch.Tensor]]":
    """The states (rows, tokens, width) that the model's head reads, of each pass in the context."""
    found: list[torch.Tensor] = []
    hook = model.base_model.register_forward_hook(
        lambda module, given, output: found.append(output[0])
    )
    try:
        yield found
    finally:
        hook.remove()
