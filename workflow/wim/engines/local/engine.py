"""The local engine: a causal language model run by transformers in this process."""

import logging
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wim.engines.answers import ReadChoices, unanswered
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.chat_format import ChatFormat, Refusal
from wim.engines.local.blocks import ReadBlocks
from wim.engines.local.choices import choice_tree
from wim.engines.local.contrastive import ContrastiveDecoder, check_contrastive
from wim.engines.local.decoder import Batching, Decoder, UncachedDecoder
from wim.engines.local.head import float32_logits
from wim.engines.local.loading import (
    causal_config,
    context_length,
    open_model,
)
from wim.engines.local.trial import batching_of, text_tokens
from wim.engines.machine import dtype_of
from wim.engines.reasoning import Markers
from wim.settings.models import Thinking
from wim.settings.precision import Attention, Quantization
from wim.settings.sampling import Sampling

logger = logging.getLogger(__name__)
# Rows join a batch once at most this share of it is still being generated.
FULL_ENOUGH = 0.75
# Tokens of prompts that pass through the model at once, and at least one prompt.
PREFILL_TOKENS = 16_384
# Tokens of room, beside those of the longest row, in a batch that others join; a cache that is full
# moves to its beginning.
REFILL_ROOM = 64


@dataclass
class TokenizedRequest:
    """A request as token ids, which end with the opening, and the tokens sampled for it.

    opened: the markers whose opening the prompt ends with. closed: the number of sampled tokens at
    which the reasoning ended.
    """

    request: Request
    tokens: list[int]
    opened: Markers | None = None
    sampled: list[int] = field(default_factory=list)
    closed: int | None = None


class LocalEngine:
    """A model of a staged folder, in memory, on the GPU if there is one.

    Rows are batched by length, if the model computes the same for rows in a batch (`batching`). A
    prefix that all rows of a batch share (a template's beginning) is computed once; on a CPU, where
    each prompt is read alone, any beginning that was read before (`blocks`). Rows that have ended
    leave the batch. continuous: whether others replace them (continuous batching); None: on a
    GPU, where a step takes as long for few rows. name: the model's, for messages; by default its
    folder.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str = "auto",
        batch_size: int = 32,
        quantization: Quantization = "none",
        attention: Attention = "auto",
        continuous: bool | None = None,
        thinking: Thinking = None,
        name: str | None = None,
    ) -> None:
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = dtype_of(dtype, "generation")
        self.batch_size = batch_size
        self.continuous = self.device == "cuda" if continuous is None else continuous
        # What writes no text, or cannot be spoken to, is refused before its weights are loaded.
        causal_config(folder)
        self.chat = ChatFormat.of_folder(folder, thinking, name or str(folder))
        self.model = open_model(folder, self.dtype, self.device, quantization, attention)
        self.context = context_length(self.model.config) or sys.maxsize
        tried = text_tokens(self.chat.tokenizer)
        self.batching = batching_of(self.model, tried, self.device, self.chat.name)
        if self.batching in (Batching.ALONE, Batching.UNCACHED):
            self.batch_size = 1
        # In a batch a row's probabilities differ in the last bits with its neighbours. A CPU gains
        # nothing by reading prompts in batches, so there each is read alone.
        self.choices_alone = self.device == "cpu"
        alone = self.device == "cpu" and self.batching is Batching.SHARED
        self.blocks = ReadBlocks(self.model, self.device) if alone else None
        logger.info(
            "model: %s%s on %s, %.2f GB, batches of %d",
            self.dtype,
            "" if quantization == "none" else f" in {quantization}",
            self.device,
            self.model.get_memory_footprint() / 1e9,
            self.batch_size,
        )

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate."""
        rows, refused = self._prompts(requests)
        for key, reason in refused.items():
            yield unanswered(key, reason)
        fitting, too_long = self._fitting(rows, sampling.max_new_tokens)
        for row in too_long:
            yield Completion(row.request.key, "", "context", len(row.tokens), 0)
        self._begin_round()
        waiting = deque(_longest_first(fitting))
        if waiting and sampling.penalty_alpha:
            tried = text_tokens(self.chat.tokenizer)
            check_contrastive(self.model, tried, self.device, self.batching)
        while waiting:
            yield from self._generate(waiting, sampling)

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs."""
        rows, refused = self._prompts(requests, answer=True)
        for key, reason in refused.items():
            yield ReadChoices(key, None, 0, reason=reason)
        if not rows:
            return
        first = rows[0].request
        before = self.chat.prompt(first.messages, first.opening, answer=True)
        tree = choice_tree(self.chat.after(before, choices))
        fitting, too_long = self._fitting(rows, tree.depth)
        for row in too_long:
            yield ChoiceLogprobs(row.request.key, None, len(row.tokens))
        self._begin_round()
        for batch in _batches(fitting, 1 if self.choices_alone else self.batch_size):
            with float32_logits(self.model):
                decoder = self._prefilled(batch, tree.depth)
                logprobs = tree.logprobs(decoder.logits, decoder.lookahead)
            for row, values in zip(batch, logprobs.tolist(), strict=True):
                yield ChoiceLogprobs(row.request.key, tuple(values), len(row.tokens))

    def _prompts(
        self, requests: Sequence[Request], answer: bool = False
    ) -> tuple[list[TokenizedRequest], dict[str, str]]:
        """The requests as tokens, and why the chat template refuses the others, by their keys.

        answer: whether the answer itself follows, without reasoning.
        """
        rows, refused = [], {}
        for request in requests:
            try:
                prompt = self.chat.prompt(request.messages, request.opening, answer)
            except Refusal as reason:
                about = f" ({request.about})" if request.about else ""
                refused[request.key] = f"{reason}{about}"
                continue
            opened = self.chat.opened(prompt)
            rows.append(TokenizedRequest(request, self.chat.tokens(prompt), opened))
        return rows, refused

    def _fitting(
        self, rows: Sequence[TokenizedRequest], new_tokens: int
    ) -> tuple[list[TokenizedRequest], list[TokenizedRequest]]:
        """The rows that fit in the context with `new_tokens` more, and those that do not."""
        fits = [len(row.tokens) + new_tokens <= self.context for row in rows]
        return (
            [row for row, fit in zip(rows, fits, strict=True) if fit],
            [row for row, fit in zip(rows, fits, strict=True) if not fit],
        )

    def _prefilled(
        self, batch: list[TokenizedRequest], new_tokens: int, kind: type[Decoder] = Decoder
    ) -> Decoder:
        """A batch with room for so many tokens more in each row."""
        chunks = self._chunks(batch, kind)
        first, *others = self._read(next(chunks), kind)
        first.reserve(len(batch), max(len(row.tokens) for row in batch) + new_tokens)
        if others:
            first.join(others)
        for chunk in chunks:
            first.join(self._read(chunk, kind))
        return first

    def _read(self, batch: list[TokenizedRequest], kind: type[Decoder] = Decoder) -> list[Decoder]:
        """Rows that have passed through the model, in one batch or each by itself."""
        tokens = [row.tokens for row in batch]
        if kind is Decoder and self.batching is Batching.UNCACHED:
            return [UncachedDecoder(self.model, tokens, self.device)]
        if kind is Decoder and self.blocks is not None:
            return [self.blocks.read(row) for row in tokens]
        return [kind(self.model, tokens, self.device, self.batching)]

    def _chunks(
        self, batch: list[TokenizedRequest], kind: type[Decoder] = Decoder
    ) -> Iterator[list[TokenizedRequest]]:
        """The rows that are read at once, if rows can join others that were read before."""
        joins = kind is Decoder and self.batching is Batching.SHARED
        start = 0
        while start < len(batch):
            longest = max(len(row.tokens) for row in batch[start:])
            count = max(1, PREFILL_TOKENS // longest) if joins else len(batch)
            yield batch[start : start + count]
            start += count

    def _begin_round(self) -> None:
        if self.blocks is not None:
            self.blocks.begin_round()

    def _generate(
        self, waiting: deque[TokenizedRequest], sampling: Sampling
    ) -> Iterator[Completion]:
        """Complete the first of the waiting rows, and those that replace ended ones.

        Rows join several at a time, since each time prompts are run and the cache is copied.
        """
        import torch

        kind = ContrastiveDecoder if sampling.penalty_alpha else Decoder
        rows = _taken(waiting, self.batch_size)
        refilled = self.continuous and bool(waiting)
        # Rows that take the places of others end later.
        room = sampling.max_new_tokens + (REFILL_ROOM if refilled else 0)
        decoder = self._prefilled(rows, room, kind)
        refilled = refilled and decoder.joins
        while rows:
            if refilled and waiting and len(rows) <= self.batch_size * FULL_ENOUGH:
                for chunk in self._chunks(_taken(waiting, self.batch_size - len(rows))):
                    rows = _at([*rows, *chunk], decoder.join(self._read(chunk)))
            seeds, steps = (
                torch.tensor(each, device=self.device)
                for each in ([row.request.seed for row in rows], [len(row.sampled) for row in rows])
            )
            tokens = decoder.next_tokens(seeds, steps, sampling)
            going = []
            for place, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
                row.sampled.append(token)
                ended = token in self.chat.ends
                if ended or len(row.sampled) >= self._most(row, sampling.max_new_tokens):
                    yield self.chat.completion(
                        row.request.key, row.sampled, len(row.tokens), row.opened
                    )
                else:
                    going.append(place)
            if going and len(going) < len(rows):
                going = decoder.keep(going, awaiting=refilled and bool(waiting))
                tokens = tokens[torch.tensor(going, device=self.device)]
            rows = _at(rows, going)
            if rows:
                decoder.advance(tokens)

    def _most(self, row: TokenizedRequest, answer: int) -> int:
        """The tokens of a row at most: those of the answer, and before it those of reasoning.

        Reasoning has no more of them than the context leaves beside the answer's.
        """
        if not self.chat.room:
            return answer
        start, end = len(self.chat.opening), len(self.chat.closing)
        reasons = row.opened is not None or tuple(row.sampled[:start]) == self.chat.opening
        if not reasons:
            return max(answer, start)
        if row.closed is None and tuple(row.sampled[-end:]) == self.chat.closing:
            row.closed = len(row.sampled)
        if row.closed is not None:
            return row.closed + answer
        return min(self.chat.room, self.context - len(row.tokens) - answer)


def _batches(rows: list[TokenizedRequest], size: int) -> Iterator[list[TokenizedRequest]]:
    """Batches of rows of similar length."""
    rows = _longest_first(rows)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _longest_first(rows: list[TokenizedRequest]) -> list[TokenizedRequest]:
    """Rows by length, the longest first, so that a lack of memory shows at once."""
    return sorted(rows, key=lambda row: (-len(row.tokens), row.request.key))


def _at(rows: list[TokenizedRequest], order: list[int]) -> list[TokenizedRequest]:
    return [rows[place] for place in order]


def _taken(waiting: deque[TokenizedRequest], count: int) -> list[TokenizedRequest]:
    """Take the first `count` of the waiting rows."""
    return [waiting.popleft() for _ in range(min(count, len(waiting)))]
