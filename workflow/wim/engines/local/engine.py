"""The local engine: a causal language model run by transformers in this process."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.local.choices import choice_tree
from wim.engines.local.contrastive import ContrastiveDecoder
from wim.engines.local.decoder import Decoder
from wim.engines.local.loading import fitting_dtype, open_model
from wim.engines.special_tokens import escaped_messages, special_token_pattern, special_tokens
from wim.settings.precision import Attention, Quantization
from wim.settings.sampling import Sampling

logger = logging.getLogger(__name__)
# Rows join a batch once at most this share of it is still being generated.
FULL_ENOUGH = 0.75


@dataclass(frozen=True)
class TokenizedRequest:
    """A request as token ids, which end with the opening, and the tokens sampled for it."""

    request: Request
    tokens: list[int]
    sampled: list[int] = field(default_factory=list)


class LocalEngine:
    """A model of a staged folder, in memory, on the GPU if there is one.

    Rows are batched by length. A prefix that all rows of a batch share (a template's beginning)
    is computed once. Rows that have ended leave the batch. continuous: whether others replace them
    (continuous batching); None: on a GPU, where a step takes as long for few rows.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str = "auto",
        batch_size: int = 32,
        quantization: Quantization = "none",
        attention: Attention = "auto",
        continuous: bool | None = None,
    ) -> None:
        import torch
        from transformers import AutoTokenizer

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = fitting_dtype(self.device) if dtype == "auto" else getattr(torch, dtype)
        self.batch_size = batch_size
        self.continuous = self.device == "cuda" if continuous is None else continuous
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model = open_model(folder, self.dtype, self.device, quantization, attention)
        self.context = int(self.model.config.max_position_embeddings)
        self.ends = _end_tokens(self.model, self.tokenizer)
        # The tokenizer knows all special tokens of its model, so that no other spelling counts.
        self.special = special_token_pattern(special_tokens(self.tokenizer), spellings=())
        logger.info(
            "model: %s%s on %s, %.2f GB, batches of %d",
            self.dtype,
            "" if quantization == "none" else f" in {quantization}",
            self.device,
            self.model.get_memory_footprint() / 1e9,
            batch_size,
        )

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate."""
        fitting, too_long = self._tokenized(requests, sampling.max_new_tokens)
        for row in too_long:
            yield Completion(row.request.key, "", "context", len(row.tokens), 0)
        waiting = deque(_longest_first(fitting))
        while waiting:
            yield from self._generate(waiting, sampling)

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs."""
        if not requests:
            return
        tree = choice_tree(self._after(requests[0], choices))
        fitting, too_long = self._tokenized(requests, tree.depth)
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
        conversation = self.tokenizer.apply_chat_template(
            escaped_messages(request.messages, self.special),
            tokenize=False,
            add_generation_prompt=True,
        )
        return str(conversation) + request.opening

    def _after(self, request: Request, choices: Sequence[str]) -> list[list[int]]:
        """The choices' tokens after a request; some tokenizers merge them with what is before."""
        text = self._text(request)
        before = self._tokens(text)
        joined = [self._tokens(text + choice) for choice in choices]
        if all(tokens[: len(before)] == before for tokens in joined):
            return [tokens[len(before) :] for tokens in joined]
        return [self._tokens(choice) for choice in choices]

    def _tokenized(
        self, requests: Sequence[Request], new_tokens: int
    ) -> tuple[list[TokenizedRequest], list[TokenizedRequest]]:
        """The requests that fit in the context with `new_tokens` more, and those that do not."""
        rows = [
            TokenizedRequest(request, self._tokens(self._text(request))) for request in requests
        ]
        fits = [len(row.tokens) + new_tokens <= self.context for row in rows]
        return (
            [row for row, fit in zip(rows, fits, strict=True) if fit],
            [row for row, fit in zip(rows, fits, strict=True) if not fit],
        )

    def _batches(self, rows: list[TokenizedRequest]) -> Iterator[list[TokenizedRequest]]:
        """Batches of rows of similar length."""
        rows = _longest_first(rows)
        for start in range(0, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size]

    def _prefilled(self, batch: list[TokenizedRequest], kind: type[Decoder] = Decoder) -> Decoder:
        return kind(self.model, [row.tokens for row in batch], self.device)

    def _generate(
        self, waiting: deque[TokenizedRequest], sampling: Sampling
    ) -> Iterator[Completion]:
        """Complete the first of the waiting rows, and those that replace ended ones.

        Rows join several at a time, since each time prompts are run and the cache is copied.
        """
        import torch

        kind = ContrastiveDecoder if sampling.penalty_alpha else Decoder
        rows = _taken(waiting, self.batch_size)
        decoder = self._prefilled(rows, kind)
        refilled = self.continuous and decoder.joins
        while rows:
            if refilled and waiting and len(rows) <= self.batch_size * FULL_ENOUGH:
                joining = _taken(waiting, self.batch_size - len(rows))
                decoder.join(self._prefilled(joining, kind))
                rows += joining
            seeds, steps = (
                torch.tensor(each, device=self.device)
                for each in ([row.request.seed for row in rows], [len(row.sampled) for row in rows])
            )
            tokens = decoder.next_tokens(seeds, steps, sampling)
            going = []
            for place, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
                row.sampled.append(token)
                ended = token in self.ends
                if ended or len(row.sampled) == sampling.max_new_tokens:
                    yield self._completion(row, ended)
                else:
                    going.append(place)
            if going and len(going) < len(rows):
                index = torch.tensor(going, device=self.device)
                tokens = tokens[index]
                decoder.keep(index)
            rows = [rows[place] for place in going]
            if rows:
                decoder.advance(tokens)

    def _completion(self, row: TokenizedRequest, ended: bool) -> Completion:
        tokens = row.sampled[:-1] if ended else row.sampled
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        reason: Any = "stop" if ended else "length"
        return Completion(row.request.key, text, reason, len(row.tokens), len(row.sampled))


def _longest_first(rows: list[TokenizedRequest]) -> list[TokenizedRequest]:
    """Rows by length, the longest first, so that a lack of memory shows at once."""
    return sorted(rows, key=lambda row: (-len(row.tokens), row.request.key))


def _taken(waiting: deque[TokenizedRequest], count: int) -> list[TokenizedRequest]:
    """Take the first `count` of the waiting rows."""
    return [waiting.popleft() for _ in range(min(count, len(waiting)))]


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*ends, tokenizer.eos_token_id] if token is not None)
