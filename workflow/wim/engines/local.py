"""The local engine: a causal language model run by transformers in this process."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.choices import choice_tree
from wim.engines.sampling import choose_tokens
from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """A request as token numbers, with the opening at the end."""

    request: Request
    tokens: list[int]


class LocalEngine:
    """A model of a staged folder, held in memory, on the GPU where there is one.

    Rows are batched by length. A prefix that all rows of a batch share (a template's
    opening) is computed once. Rows that have ended leave the batch.
    """

    def __init__(self, folder: Path, dtype: str = "auto", batch_size: int = 32) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = fitting_dtype(self.device) if dtype == "auto" else getattr(torch, dtype)
        self.batch_size = batch_size
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=self.dtype, device_map=self.device, trust_remote_code=False
        ).eval()
        self.context = int(self.model.config.max_position_embeddings)
        self.ends = _end_tokens(self.model, self.tokenizer)
        self.special = _special_tokens(self.tokenizer)
        logger.info("model: %s on %s, batches of %d", self.dtype, self.device, batch_size)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate."""
        fitting, too_long = self._encoded(requests, sampling.max_new_tokens)
        for row in too_long:
            yield Completion(row.request.key, "", "context", len(row.tokens), 0)
        for batch in self._batches(fitting):
            yield from self._generate_batch(batch, sampling)

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs."""
        if not requests:
            return
        tree = choice_tree(self._after(requests[0], choices))
        fitting, too_long = self._encoded(requests, tree.depth)
        for row in too_long:
            yield ChoiceLogprobs(row.request.key, None, len(row.tokens))
        for batch in self._batches(fitting):
            decoder = self._prefilled(batch)
            logprobs = tree.logprobs(decoder.logits, decoder.lookahead)
            for row, values in zip(batch, logprobs.tolist(), strict=True):
                yield ChoiceLogprobs(row.request.key, tuple(values), len(row.tokens))

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _text(self, request: Request) -> str:
        messages = [
            {"role": message["role"], "content": self._inert(message["content"])}
            for message in request.messages
        ]
        conversation = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return str(conversation) + request.opening

    def _inert(self, text: str) -> str:
        """Text in which no special token stands: a word joiner (U+2060) is put into each.

        Without it a response could end its own turn and answer in the judge's place.
        """
        return self.special.sub(lambda found: found[0][0] + "\u2060" + found[0][1:], text)

    def _after(self, request: Request, choices: Sequence[str]) -> list[list[int]]:
        """The choices' tokens where the answer to a request goes on; some tokenizers join them."""
        text = self._text(request)
        before = self._tokens(text)
        joined = [self._tokens(text + choice) for choice in choices]
        if all(tokens[: len(before)] == before for tokens in joined):
            return [tokens[len(before) :] for tokens in joined]
        return [self._tokens(choice) for choice in choices]

    def _encoded(
        self, requests: Sequence[Request], new_tokens: int
    ) -> tuple[list[Encoded], list[Encoded]]:
        """The requests that fit in the context with so many new tokens, and those that do not."""
        rows = [Encoded(request, self._tokens(self._text(request))) for request in requests]
        fits = [len(row.tokens) + new_tokens <= self.context for row in rows]
        return (
            [row for row, fit in zip(rows, fits, strict=True) if fit],
            [row for row, fit in zip(rows, fits, strict=True) if not fit],
        )

    def _batches(self, rows: list[Encoded]) -> Iterator[list[Encoded]]:
        """Batches of rows of like length, the longest first: memory shows at once if it fails."""
        rows = sorted(rows, key=lambda row: (-len(row.tokens), row.request.key))
        for start in range(0, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size]

    def _prefilled(self, batch: list[Encoded]) -> "Decoder":
        return Decoder(self.model, [row.tokens for row in batch], self.device)

    def _generate_batch(self, batch: list[Encoded], sampling: Sampling) -> Iterator[Completion]:
        import torch

        decoder = self._prefilled(batch)
        rows = list(range(len(batch)))
        drawn: list[list[int]] = [[] for _ in batch]
        seeds = torch.tensor([row.request.seed for row in batch], device=self.device)
        for step in range(sampling.max_new_tokens):
            tokens = choose_tokens(decoder.logits, seeds, step, sampling)
            going = []
            for place, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
                drawn[row].append(token)
                ended = token in self.ends
                if ended or step + 1 == sampling.max_new_tokens:
                    yield self._completion(batch[row], drawn[row], ended)
                else:
                    going.append(place)
            if not going:
                return
            if len(going) < len(rows):
                rows = [rows[place] for place in going]
                index = torch.tensor(going, device=self.device)
                seeds, tokens = seeds[index], tokens[index]
                decoder.keep(index)
            decoder.advance(tokens)

    def _completion(self, row: Encoded, tokens: list[int], ended: bool) -> Completion:
        text = self.tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=True)
        reason: Any = "stop" if ended else "length"
        return Completion(row.request.key, text.strip(), reason, len(row.tokens), len(tokens))


class Decoder:
    """A batch of token sequences that grow one token at a time.

    `logits` (rows, vocabulary) are those of each row's next token. The part that all rows
    share is run once; the rest is padded on the left, between the shared part and itself.
    """

    def __init__(self, model: Any, rows: list[list[int]], device: str) -> None:
        import torch

        from wim.engines.cache import growing_cache

        self.model = model
        shared = _shared_prefix(rows)
        longest = max(len(row) for row in rows)
        pads = [longest - len(row) for row in rows]
        self.mask = torch.tensor(
            [[1] * shared + [0] * pad + [1] * (longest - shared - pad) for pad in pads],
            device=device,
        )
        self.positions = torch.tensor([[len(row)] for row in rows], device=device)
        tokens = torch.tensor(
            [[0] * pad + row[shared:] for pad, row in zip(pads, rows, strict=True)], device=device
        )
        places = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
        with torch.inference_mode():
            self.cache = growing_cache(model)
            if shared:
                first = torch.tensor([rows[0][:shared]], device=device)
                model(first, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
                self.cache.batch_repeat_interleave(len(rows))
            self._run(tokens, places)

    def _run(
        self, tokens: "torch.Tensor", positions: "torch.Tensor", keep: int = 1
    ) -> "torch.Tensor":
        output = self.model(
            tokens,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        logits: torch.Tensor = output.logits.float()
        self.logits = logits[:, -1]
        return logits

    def advance(self, tokens: "torch.Tensor") -> None:
        """Append one token (rows,) to each row."""
        import torch

        with torch.inference_mode():
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=-1)
            self._run(tokens[:, None], self.positions)
            self.positions = self.positions + 1

    def keep(self, index: "torch.Tensor") -> None:
        """Go on with the rows of these indices only."""
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.cache.batch_select_indices(index)

    def lookahead(self, tokens: list[int]) -> "torch.Tensor":
        """Logits (rows, tokens, vocabulary) after each of some tokens; the rows stay as they are."""
        import torch

        mask, logits = self.mask, self.logits
        rows = len(mask)
        with torch.inference_mode():
            self.mask = torch.cat([mask, mask.new_ones(rows, len(tokens))], dim=-1)
            ahead = torch.tensor([tokens] * rows, device=mask.device)
            places = self.positions + torch.arange(len(tokens), device=mask.device)
            found = self._run(ahead, places, keep=len(tokens))
            self.cache.crop(-len(tokens))
        self.mask, self.logits = mask, logits
        return found


def fitting_dtype(device: str) -> "torch.dtype":
    """bfloat16 where the hardware multiplies it natively, else float32."""
    import torch

    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*ends, tokenizer.eos_token_id] if token is not None)


def _special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches the text of any token that means more than its characters."""
    added = tokenizer.added_tokens_decoder.values()
    texts = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _shared_prefix(rows: list[list[int]]) -> int:
    """Length of the prefix that all rows share, leaving each at least one token of its own."""
    if len(rows) == 1:
        return 0
    shortest, longest = min(rows), max(rows)
    limit = min(len(row) for row in rows) - 1
    for place in range(limit):
        if shortest[place] != longest[place]:
            return place
    return limit
