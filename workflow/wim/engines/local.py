"""The local engine: a causal language model run by transformers in this process."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.choices import choice_tree
from wim.engines.contrastive import ContrastiveDecoder
from wim.engines.decoder import Decoder
from wim.engines.loading import fitting_dtype, open_model
from wim.settings.precision import Attention, Quantization
from wim.settings.sampling import Sampling

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

    def __init__(
        self,
        folder: Path,
        dtype: str = "auto",
        batch_size: int = 32,
        quantization: Quantization = "none",
        attention: Attention = "auto",
    ) -> None:
        import torch
        from transformers import AutoTokenizer

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = fitting_dtype(self.device) if dtype == "auto" else getattr(torch, dtype)
        self.batch_size = batch_size
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model = open_model(folder, self.dtype, self.device, quantization, attention)
        self.context = int(self.model.config.max_position_embeddings)
        self.ends = _end_tokens(self.model, self.tokenizer)
        self.special = _special_tokens(self.tokenizer)
        logger.info(
            "model: %s%s on %s, %.2f GB, batches of %d",
            *(self.dtype, "" if quantization == "none" else f" in {quantization}", self.device),
            *(self.model.get_memory_footprint() / 1e9, batch_size),
        )

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

    def _prefilled(self, batch: list[Encoded], kind: type[Decoder] = Decoder) -> Decoder:
        return kind(self.model, [row.tokens for row in batch], self.device)

    def _generate_batch(self, batch: list[Encoded], sampling: Sampling) -> Iterator[Completion]:
        import torch

        kind = ContrastiveDecoder if sampling.penalty_alpha else Decoder
        decoder = self._prefilled(batch, kind)
        rows = list(range(len(batch)))
        drawn: list[list[int]] = [[] for _ in batch]
        seeds = torch.tensor([row.request.seed for row in batch], device=self.device)
        for step in range(sampling.max_new_tokens):
            tokens = decoder.next_tokens(seeds, step, sampling)
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
