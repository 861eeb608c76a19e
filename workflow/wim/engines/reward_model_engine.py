"""Numbers of a reward model: from a store where they are known, else from the model, and then kept."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wim.engines.special_tokens import (
    escaped_messages,
    special_token_pattern,
    special_tokens,
)
from wim.engines.staged import StagedModel
from wim.engines.stored import COMPLETION, LOCAL, answer_schema
from wim.errors import UserError
from wim.provenance.code_changes import stored_code
from wim.provenance.digest import code_digest, digest_of
from wim.tables.schemas import Message

if TYPE_CHECKING:
    from wim.store.rows import RowStore

logger = logging.getLogger(__name__)
SCORE = "score"
Conversation = tuple[Message, ...]


@dataclass(frozen=True)
class Score:
    """What a reward model says of a conversation: a number, or None where it exceeds the context."""

    value: float | None
    tokens: int


class Scorer(Protocol):
    """Something that holds a reward model open."""

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """The place of each conversation and its score, in order of finishing."""
        ...


class ScoringModel:
    """A sequence classifier of one label, held in memory, on the GPU where there is one."""

    def __init__(self, folder: Path, dtype: str = "auto", batch_size: int = 64) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from wim.engines.local.loading import fitting_dtype

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        chosen = fitting_dtype(self.device) if dtype == "auto" else getattr(torch, dtype)
        self.batch_size = batch_size
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.special = special_token_pattern(special_tokens(self.tokenizer))
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        self.model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=chosen, device_map=self.device, trust_remote_code=False
        ).eval()
        if self.model.config.num_labels != 1:
            raise UserError(
                f"{folder}: a model of {self.model.config.num_labels} labels, and a reward model has "
                "one; write the name of a reward model."
            )
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.context = int(self.model.config.max_position_embeddings)
        logger.info("reward model: %s on %s, batches of %d", chosen, self.device, batch_size)

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """The place of each conversation and its score; those of like length together."""
        import torch

        rows = [self._tokens(conversation) for conversation in conversations]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
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

    def _tokens(self, conversation: Conversation) -> list[int]:
        messages = escaped_messages(conversation, self.special)
        text = self.tokenizer.apply_chat_template(messages, tokenize=False)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


class StoredScores:
    """Scores from a store, else from a model. `computed` has the places that the store lacked."""

    def __init__(
        self, open_model: Callable[[], Scorer], store: "RowStore", identity: dict[str, object]
    ) -> None:
        self._open_model = open_model
        self._store = store
        self._identity = identity
        self._model: Scorer | None = None
        self.computed: set[str] = set()

    def scores(self, conversations: Sequence[Conversation]) -> list[Score]:
        """The score of each conversation, in their order. One that is no number is not kept."""
        keys = [digest_of({**self._identity, "scored": list(each)}) for each in conversations]
        known: dict[str, Any] = self._store.find(set(keys))
        found = {key: Score(row["logprobs"][0], row["prompt_tokens"]) for key, row in known.items()}
        missing = {
            key: each for key, each in zip(keys, conversations, strict=True) if key not in found
        }
        names = list(missing)
        if missing:
            self._model = self._model or self._open_model()
            for place, score in self._model.scores(list(missing.values())):
                found[names[place]] = score
                self.computed.add(names[place])
                if score.value is not None and math.isfinite(score.value):
                    row = {**dict.fromkeys(COMPLETION), "logprobs": [score.value]}
                    self._store.add(names[place], row | {"prompt_tokens": score.tokens})
        return [found[key] for key in keys]


def score_code() -> str:
    """The digest of the code that decides a reward model's number."""
    return code_digest(Path(__file__), within=LOCAL)


@contextmanager
def open_scorer(model: StagedModel) -> Iterator[StoredScores]:
    """A staged reward model behind its store, opened when a score is missing."""
    from wim.store.rows import RowStore

    code, dtype = stored_code(model.store, score_code(), SCORE), model.source.dtype
    identity: dict[str, object] = {"scorer": model.digest, "dtype": dtype, "code": code}

    def open_model() -> Scorer:
        return ScoringModel(model.folder, dtype, model.batch_size)

    with RowStore(model.store, answer_schema()) as rows:
        yield StoredScores(open_model, rows, identity)
