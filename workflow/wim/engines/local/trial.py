"""Which way of running rows together is right for a model, by trying it on a few short rows.

A model's code may count positions by places, let padding into its states, or have a cache of its
own. All of this shows where a short row is run beside longer ones: its logits are not those of the
row by itself. What shows only in long rows, as windows do, is known from the layers of the cache.
"""

import logging
from typing import TYPE_CHECKING, Any

from wim.engines.local.decoder import Batching, Decoder, UncachedDecoder
from wim.engines.local.forward import cache_argument, forward
from wim.errors import UserError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)
# The most that a row's logits may differ: the root mean square, as a share of their standard
# deviation. Padding that is taken for text makes 0.2 to 2.
EXACT, ROUNDED, ROUGH = 0.01, 0.15, 0.5
TEXT = "In autumn rain falls on the hills, and the 12 trains that leave at noon come home at night."
# How an architecture fails at what it does not know.
FAILURES = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
SHARED, AHEAD = 2, 2
LENGTHS = (3, 14)
TOKENS = max(LENGTHS) + AHEAD


def text_tokens(tokenizer: Any) -> list[int]:
    """TOKENS tokens of a text, or of the vocabulary where that has no such text."""
    tokens = tokenizer(TEXT, add_special_tokens=False)["input_ids"][:TOKENS]
    if len(set(tokens)) > TOKENS // 2:
        return [tokens[place % len(tokens)] for place in range(TOKENS)]
    plain = sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))
    return [plain[place % len(plain)] for place in range(TOKENS)]


def batching_of(model: Any, tokens: list[int], device: str, name: str) -> Batching:
    """The first way, in the order of Batching, in which short rows have the logits they have alone.

    Args:
        model: A causal language model.
        tokens: TOKENS tokens of a text.
        device: Where the model is.
        name: The model's name, for messages.

    Raises:
        UserError: The model does not continue texts, or computes no numbers in its precision.
    """
    import torch

    architecture = type(model).__name__
    try:
        trial = _Trial(model, tokens, device)
    except torch.OutOfMemoryError:
        raise
    except FAILURES as error:
        raise UserError(
            f"model {name}: {architecture} does not run on a text alone ({_first_line(error)}); "
            "write a causal language model, or its text part."
        ) from error
    if not trial.truth.isfinite().all():
        raise UserError(
            f"model {name}: its logits are not finite in {model.dtype}; write dtype: float32."
        )
    found, reason = trial.first_right()
    if found is None:
        raise UserError(
            f"model {name}: {architecture} does not continue a text as its pass over the whole "
            f"text would: {reason}. It may read texts in both directions, as encoders do; write a "
            "causal language model."
        )
    if found in (Batching.ALONE, Batching.UNCACHED):
        logger.warning(
            "model %s: %s: %s, as together they do not have the numbers they have alone",
            name,
            architecture,
            found.value,
        )
    return found


class _Trial:
    """Two rows that begin alike, and their logits by passes over each as a whole.

    `truth` (rows, AHEAD + 1, vocabulary) are the logits after a row and after each token of `end`.
    """

    def __init__(self, model: Any, tokens: list[int], device: str) -> None:
        import torch

        self.model, self.device = model, device
        longest = max(LENGTHS)
        self.end = tokens[longest:]
        self.rows = [
            tokens[:SHARED] + tokens[longest - length + SHARED : longest] for length in LENGTHS
        ]
        self.truth = torch.stack([self._whole_pass(row + self.end) for row in self.rows])

    def first_right(self) -> tuple[Batching | None, str]:
        """The first way that is right, or why the last one is not."""
        import torch

        exact = self.model.dtype is torch.float32 and not getattr(self.model, "is_quantized", False)
        tolerance, reason = (EXACT if exact else ROUNDED), ""
        for batching in _ways(self.model):
            try:
                off = self._difference(batching)
                if batching is Batching.UNCACHED:
                    off = max(off, self._difference_of_generate())
            except torch.OutOfMemoryError:
                raise
            except FAILURES as error:
                reason = f"it fails with {_first_line(error)}"
                continue
            if off > tolerance == ROUNDED and batching is not Batching.UNCACHED:
                tolerance = min(max(ROUNDED, 3 * self._rounding()), ROUGH)
            if off <= tolerance:
                return batching, ""
            reason = f"its logits differ by {off:.2f} of their standard deviation"
        return None, reason

    def _difference(self, batching: Batching) -> float:
        if batching in (Batching.SHARED, Batching.PADDED):
            return self._off(batching, self.rows, self.truth)
        return max(
            self._off(batching, [row], truth[None])
            for row, truth in zip(self.rows, self.truth, strict=True)
        )

    def _off(self, batching: Batching, rows: list[list[int]], truth: "torch.Tensor") -> float:
        """How far the logits of rows that are run together are from the truth."""
        import torch

        from wim.engines.local.cache import is_used

        if batching is Batching.UNCACHED:
            decoder: Decoder = UncachedDecoder(self.model, rows, self.device)
        else:
            decoder = Decoder(self.model, rows, self.device, batching)
            if not is_used(decoder.cache):
                raise RuntimeError("states that are kept outside of the cache")
        differences = [
            distance(decoder.logits, truth[:, 0]),
            distance(decoder.lookahead(self.end), truth[:, 1:]),
        ]
        # The shorter row goes on alone, from where it was before the look ahead.
        decoder.keep([0])
        decoder.advance(torch.tensor(self.end[:1], device=self.device))
        return max(*differences, distance(decoder.logits, truth[:1, 1]))

    def _rounding(self) -> float:
        """How far the logits of a row are from themselves when more tokens are behind it.

        In half precision an expert may be chosen for its rounding, and int8 has a batch's scales.
        """
        import torch

        alone = torch.stack([self._whole_pass(row)[-1] for row in self.rows])
        return distance(alone, self.truth[:, 0])

    def _difference_of_generate(self) -> float:
        """How far the logits of transformers' own `generate` are from those of whole passes."""
        import torch

        tokens = torch.tensor(self.rows[-1:], device=self.device)
        output = self.model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            max_new_tokens=AHEAD + 1,
            return_dict_in_generate=True,
            output_logits=True,
        )
        whole = self._whole_pass(output.sequences[0, :-1].tolist())[-len(output.logits) :]
        return distance(torch.cat(output.logits).float(), whole)

    def _whole_pass(self, row: list[int]) -> "torch.Tensor":
        """Logits (AHEAD + 1, vocabulary) at the end of a row, which is run as a whole."""
        import torch

        with torch.inference_mode():
            tokens = torch.tensor([row], device=self.device)
            output = forward(self.model, tokens, use_cache=False, logits_to_keep=AHEAD + 1)
            logits: torch.Tensor = output.logits[0, -AHEAD - 1 :].float()
        return logits


def _ways(model: Any) -> list[Batching]:
    """What a model may be able to do, by the layers of its cache."""
    from wim.engines.local.cache import attends_to_all, growing_cache, knows_padding

    if cache_argument(model) is None:
        return [Batching.UNCACHED]
    try:
        cache = growing_cache(model)
    except (AttributeError, KeyError, TypeError):
        return [Batching.UNCACHED]
    ways = [Batching.ALONE, Batching.UNCACHED]
    if knows_padding(cache):
        ways.insert(0, Batching.PADDED)
    if attends_to_all(cache) and not _hidden_window(model.config):
        ways.insert(0, Batching.SHARED)
    return ways


def _hidden_window(config: Any) -> bool:
    """Whether a model has a window that is the business of its layers, and not of its cache."""
    text = config.get_text_config(decoder=True).to_dict()
    return any(
        "window" in key and "layers" not in key and key != "sliding_window" and bool(value)
        for key, value in text.items()
    )


def distance(found: "torch.Tensor", wanted: "torch.Tensor") -> float:
    """The most that logits (..., vocabulary) differ, as a share of their standard deviation."""
    return float(((found - wanted).pow(2).mean(-1).sqrt() / wanted.std(-1)).max())


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
