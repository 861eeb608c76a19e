"""Scores of conversations by a reward model, run by transformers in this process."""

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wim.engines.chat_format import Refusal
from wim.engines.turn_format import Turn
from wim.errors import UserError
from wim.tables.schemas import Message

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conversation:
    """What is scored: a turn in its context."""

    context: tuple[Message, ...]
    turn: Turn


@dataclass(frozen=True)
class Score:
    """A reward model's score of a conversation.

    value: None where it exceeds the context, or where the chat template refuses it for a `reason`.
    """

    value: float | None
    tokens: int
    reason: str = ""


class Scorer(Protocol):
    """Something with a reward model that is open."""

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """The index of each conversation and its score, in order of finishing."""
        ...


class ScoringModel:
    """A sequence classifier with one label, in memory, on the GPU if there is one."""

    def __init__(self, folder: Path, dtype: str = "auto", batch_size: int = 64) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification

        from wim.engines.chat_format import ChatFormat
        from wim.engines.local.head import score_in_float32
        from wim.engines.local.loading import check_whole
        from wim.engines.machine import dtype_of
        from wim.engines.turn_format import TurnFormat

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        chosen = dtype_of(dtype, "generation")
        # In a batch a score differs in the last bits with its neighbours; on a CPU each has its own.
        self.batch_size = batch_size if self.device == "cuda" else 1
        self.turns = TurnFormat(ChatFormat.of_folder(folder))
        self.tokenizer: Any = self.turns.chat.tokenizer
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=chosen,
            device_map=self.device,
            trust_remote_code=False,
            output_loading_info=True,
        )
        self.model: Any = model.eval()
        if self.model.config.num_labels != 1:
            raise UserError(
                f"{folder}: a model of {self.model.config.num_labels} labels, and a reward model "
                "has one; write the name of a reward model."
            )
        check_whole(folder, loading, "a reward model")
        score_in_float32(self.model)
        self.model.config.get_text_config().pad_token_id = self.tokenizer.pad_token_id
        self.context = _positions(self.model)
        logger.info("reward model: %s on %s, batches of %d", chosen, self.device, self.batch_size)

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """The index of each conversation and its score; those of similar length together."""
        import torch

        rows: dict[int, list[int]] = {}
        for place, each in enumerate(conversations):
            try:
                rows[place] = self.turns.conversation(each.context, each.turn)[0]
            except Refusal as reason:
                yield place, Score(None, 0, str(reason))
        order = sorted(rows, key=lambda place: len(rows[place]))
        fitting = [place for place in order if len(rows[place]) <= self.context]
        yield from ((place, Score(None, len(rows[place]))) for place in order[len(fitting) :])
        for start in range(0, len(fitting), self.batch_size):
            places = fitting[start : start + self.batch_size]
            batch = self.tokenizer.pad(
                {"input_ids": [rows[place] for place in places]},
                padding_side="right",
                return_tensors="pt",
            ).to(self.device)
            with torch.no_grad():
                values = self.model(**batch).logits[:, 0].float().tolist()
            for place, value in zip(places, values, strict=True):
                yield place, Score(value, len(rows[place]))


def _positions(model: Any) -> int:
    """The most tokens that a model reads; RoBERTa's first positions are those of padding."""
    import torch

    from wim.engines.local.loading import context_length

    length = context_length(model.config) or sys.maxsize
    tables = (each for each in model.modules() if isinstance(each, torch.nn.Embedding))
    return next(
        (
            length - 1 - table.padding_idx
            for table in tables
            if table.num_embeddings == length and table.padding_idx is not None
        ),
        length,
    )
